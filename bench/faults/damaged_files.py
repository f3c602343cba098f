"""Damages every file of a workspace in every way and runs every command on it. A traceback is a defect, and so is
output that differs without a message.

    damage_table(workspace, study) -> Table

The workspace is copied for each case and never changed. Commands run in this process, one after the other.
"""

import io
import json
import os
import re
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path, PurePath
from unittest.mock import patch

from agent.ledger.store import Ledger
from bench.faults.injection.supervisor import Fault, Supervisor
from bench.faults.outcome import Outcome
from bench.faults.scenarios.commands.other import service
from bench.faults.scenarios.commands.rescore import SCORER, rescore, write_replacement_scorer
from bench.faults.scenarios.nights import NIGHTS, use_harvest_world
from bench.faults.scenarios.scenario import exit_code_of
from bench.faults.stage import scratch
from testing.workspace_files import add_files_with_digests

Damage = Callable[[Path], None]
ShowProgress = Callable[[str], None]


def _flip(share: float) -> Damage:
    def flip(path: Path) -> None:
        content = bytearray(path.read_bytes())
        if content:
            content[int(share * (len(content) - 1))] ^= 1
            path.write_bytes(bytes(content))

    return flip


def _truncate(share: float) -> Damage:
    return lambda path: os.truncate(path, int(share * path.stat().st_size))


def _zeros(path: Path) -> None:
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[:middle] + b"\0" * len(content[middle : middle + 600]) + content[middle + 600 :])


def _garbage(path: Path) -> None:
    path.write_bytes(bytes((number * 167 + 13) % 256 for number in range(max(64, path.stat().st_size))))


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: Mapping[str, Damage] = {
    "deleted": Path.unlink,
    "empty": _truncate(0.0),
    "cut to 30 bytes": lambda path: os.truncate(path, min(30, path.stat().st_size)),
    "cut in the middle": _truncate(0.5),
    "its end cut off": lambda path: os.truncate(path, max(0, path.stat().st_size - 7)),
    "garbage": _garbage,
    "zeros in the middle": _zeros,
    **{f"a bit flipped at {share:.0%}": _flip(share) for share in (0.02, 0.25, 0.5, 0.75, 0.98)},
    "a folder": _folder,
    "unreadable": lambda path: path.chmod(0),
}

WITH_DIGESTS = (
    "runs/session-*/choices-*.json",
    "runs/probe-*/outcome.json",
    "runs/probe-*/answers.jsonl",
    "runs/probe-*/adapter/*",
    "runs/rl_data/*",
    "runs/evaluation-*/*",
    "mined/*",
    "model/*",
    "model/adapter/*",
    "runs/promotion-*/*",
    "exported/*",
)
"""The files in which ``doctor`` must find every change."""
ROUNDS = ("a bit flipped", "cut", "empty")
SESSIONS = ("status", "report", "explain", "check", "run", "resume", "doctor")
STEERING = ("note", "propose", "skip", "budget", "pause", "continue", "stop")
STUDY = ("check", "run", "resume", "service", "rescore", "note")
PAIRS = ("pairs list", "pairs show", "pairs audit", "pairs export", "pairs vote", "pairs review", "doctor", "resume")
READERS: Mapping[str, tuple[str, ...]] = {
    "results.tsv": ("run", "resume", "doctor"),
    "runs/progress.log": ("run", "resume", "doctor"),
    "runs/ledger.sqlite": (*SESSIONS, *STEERING, "rescore", "status json", "proposer export"),
    "runs/ledger.sqlite-wal": (*SESSIONS, *STEERING, "rescore", "status json", "proposer export"),
    "runs/ledger.sqlite-shm": ("status", "run", "resume", "note", "doctor"),
    "runs/judging.sqlite": ("status", "report", "run", "resume", "doctor"),
    "runs/lock": ("status", "run", "resume", "note", "doctor"),
    "runs/session-*/checkpoint.sqlite": ("resume", "doctor"),
    "runs/session-*/in_flight.json": ("status", "resume", "doctor"),
    "runs/session-*/choices-*.json": ("report", "resume", "doctor"),
    "runs/session-*/study.toml": ("report", "resume", "doctor"),
    "runs/session-*/report.md": ("report", "doctor"),
    "runs/session-*/report.html": ("report", "doctor"),
    "runs/session-*/recipe.toml": ("report", "doctor"),
    "runs/probe-*/outcome.json": (*SESSIONS, "rescore"),
    "runs/probe-*/probe.json": SESSIONS,
    "runs/probe-*/recipe.toml": ("report", "resume", "doctor"),
    "runs/probe-*/answers.jsonl": ("report", "explain", "resume", "rescore", "doctor"),
    "runs/rescore-*/*.json": ("rescore", "doctor"),
    "runs/rl_data/*.jsonl": PAIRS,
    "runs/probe-*/adapter/*": ("resume", "doctor"),
    "runs/rl_data/sums.json": ("pairs list", "pairs vote", "doctor", "resume"),
    "runs/evaluation-*/results.jsonl": ("doctor",),
    "runs/evaluation-*/answers-*.jsonl": ("doctor",),
    "runs/evaluation-*/report.md": ("doctor",),
    "runs/evaluation-*/evaluation.json": ("doctor",),
    "*/export.json": ("doctor",),
    "mined/train.*": ("doctor",),
    "*/finetune.json": ("doctor",),
    "*/run.json": ("doctor",),
    "model/recipe.toml": ("doctor",),
    "runs/promotion-*/report.md": ("doctor",),
    "runs/promotion-*/promotion.json": ("doctor",),
    "exported/adapter.gguf": ("doctor",),
    "*/adapter_export.json": ("doctor",),
    "model/adapter/*": ("doctor",),
    "runs/worker-*.log": ("resume", "doctor"),
    "units/*.service": ("service",),
    "rules.toml": ("rescore",),
    "study/study.toml": STUDY,
    "study/prompts.jsonl": STUDY,
    "study/good.jsonl": STUDY,
}
"""The files of a workspace, and the commands that read them. Only the last file that matches a pattern is damaged; of
the stores, every file is."""
OWN = ("study/*", "rules.toml")
"""The files that a person writes: damage that leaves them legal cannot be told from an edit."""
FREE_SPACE = re.compile(r'"free_gb": [\d.]+')
"""The part of status --json that changes by itself."""


@dataclass(frozen=True)
class DamagedFileCase:
    """One command on a workspace with one damaged file.

    ``code`` is its exit code, None after a traceback; ``says`` is the traceback or the content of stderr. ``changed``:
    its stdout differs from that on the undamaged workspace.
    """

    file: str
    damage: str
    command: str
    code: int | None
    changed: bool
    says: str


@dataclass(frozen=True)
class Table:
    cases: tuple[DamagedFileCase, ...]

    @property
    def tracebacks(self) -> tuple[DamagedFileCase, ...]:
        return tuple(case for case in self.cases if case.code is None)

    @property
    def unnoticed(self) -> tuple[DamagedFileCase, ...]:
        """Cases whose output changed without a message, and whose damage ``doctor`` does not find either; and cases in
        which ``doctor`` misses a change of a file that has a digest."""
        found_by_doctor = {(case.file, case.damage) for case in self.cases if case.command == "doctor" and case.code}
        return tuple(
            case
            for case in self.cases
            if case.code == 0
            and not any(PurePath(case.file).match(pattern) for pattern in OWN)
            and (case.file, case.damage) not in found_by_doctor
            and (_has_digest(case) if case.command == "doctor" else case.changed and not case.says)
        )

    def lines(self) -> Iterator[str]:
        """A Markdown table with the exit codes of the commands by file and damage."""
        yield "| file | damage | tracebacks | unnoticed | exit codes |"
        yield "|---|---|---:|---:|---|"
        tracebacks, unnoticed = set(self.tracebacks), set(self.unnoticed)
        for file, damage in dict.fromkeys((case.file, case.damage) for case in self.cases):
            own = [case for case in self.cases if (case.file, case.damage) == (file, damage)]
            counts = Counter(str(case.code) for case in own)
            codes = ", ".join(f"{code}: {number}" for code, number in sorted(counts.items()))
            yield (
                f"| {file} | {damage} | {len(tracebacks.intersection(own))} | {len(unnoticed.intersection(own))} "
                f"| {codes} |"
            )


def _has_digest(case: DamagedFileCase) -> bool:
    return case.damage != "deleted" and any(PurePath(case.file).match(pattern) for pattern in WITH_DIGESTS)


def damage_table(
    workspace: Path,
    study: Path,
    round_of: int | None = None,
    only: Sequence[str] = (),
    show_progress: ShowProgress = lambda file: None,
) -> Table:
    """Run the commands on damaged copies of the workspace. ``study``: the study.toml of the workspace's sessions.

    ``round_of``: each file gets only one damage, a different one in each round. ``only``: the commands to run; all if
    it is empty.
    """
    damages = dict(DAMAGES)
    if os.geteuid() == 0:
        damages.pop("unreadable", None)  # the superuser can read every file
    cases: list[DamagedFileCase] = []
    place = workspace.with_name(f"{workspace.name}-damaged")  # a sibling: sessions have relative paths to studies
    copy = _Copy(workspace, place)
    with tempfile.TemporaryDirectory() as folder:
        commands = _commands(workspace, place, study, Path(folder))
        chosen = [name for name in commands if not only or name in only]
        undamaged = {name: _run(copy, name, commands[name])[1] for name in chosen if name not in WRITING}
        for number, (file, readers) in enumerate(_files(workspace).items()):
            show_progress(file)
            names = list(damages) if round_of is None else [_damage_of_round(round_of, number, tuple(damages))]
            for damage in names:
                for command in (command for command in readers if command in chosen):
                    code, stdout, message = _run(
                        copy, command, commands[command], file, partial(damages[damage], place / file)
                    )
                    changed = stdout != undamaged.get(command, stdout)
                    cases.append(DamagedFileCase(file, damage, command, code, changed, message))
    shutil.rmtree(place, ignore_errors=True)
    return Table(tuple(cases))


def _damage_of_round(round_of: int, number: int, damages: Sequence[str]) -> str:
    """In four rounds, every file gets a bit flip, a cut, the loss of all its content, and some other damage."""
    kinds = [[name for name in damages if name.startswith(kind)] for kind in ROUNDS]
    others = [name for name in damages if not any(name in kind for kind in kinds)]
    names = (*kinds, others)[round_of % (1 + len(ROUNDS))]
    return names[(number + round_of // (1 + len(ROUNDS))) % len(names)]


def play_damaged(number: int) -> Outcome:
    """Damage the workspace of a night with a harvest that was killed before its end, so that it can be resumed.

    Each file gets one damage, which depends on the number.
    """
    night, folder = NIGHTS[0], scratch()
    root, report = folder / "root", folder / "report.json"
    root.mkdir()
    supervisor = Supervisor(root, folder, timeout=900)

    def damage() -> int:
        os.environ["TMPDIR"] = str(folder)
        use_harvest_world()
        add_files_with_digests(root)
        write_replacement_scorer(root)
        for command in (rescore(root), service(root)):
            if code := exit_code_of(command):
                return code
        table = damage_table(root, root / "study" / "study.toml", round_of=number)
        found = {
            "faults": len({(case.file, case.damage) for case in table.cases}),
            "unnoticed": [asdict(case) for case in table.unnoticed],
            "tracebacks": [asdict(case) for case in table.tracebacks],
        }
        report.write_text(json.dumps(found), encoding="utf-8")
        return 0

    name = "a workspace with a damaged file, every command"
    try:
        night.prepare(root, supervisor.run)
        calls = supervisor.run(night.command(root), count=True).count
        shutil.rmtree(root / "runs")
        (root / "results.tsv").unlink()
        supervisor.run(night.command(root), Fault("kill", int(0.8 * calls)))
        result = Supervisor(folder / "none", folder, timeout=900).run(damage)
        if result.hung:
            too_slow = "this machine is too slow: the commands on the damaged files take over 900 s"
            return Outcome("damaged", number, name, "", faults=0, not_played=too_slow)
        if result.code:
            return Outcome("damaged", number, name, "", traceback=(result.stderr[-2000:],))
        found = json.loads(report.read_text(encoding="utf-8"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    line = "{file} {damage}, {command}: {says}".format_map
    unnoticed, tracebacks = (tuple(line(case)[-300:] for case in found[kind]) for kind in ("unnoticed", "tracebacks"))
    return Outcome("damaged", number, name, "", different=unnoticed, traceback=tracebacks, faults=found["faults"])


def _files(workspace: Path) -> dict[str, tuple[str, ...]]:
    files = {}
    for pattern, readers in READERS.items():
        paths = sorted(path for path in workspace.glob(pattern) if path.is_file())
        for path in paths if "rl_data" in pattern else paths[-1:]:
            files[str(path.relative_to(workspace))] = readers
    return files


READING = ("status", "status json", "explain", "pairs list", "pairs show", "pairs audit", "doctor")
WRITING = ("run", "resume", "pairs vote", "pairs review", "service", *STEERING)
FAST = ("status", "doctor", "pairs list")


def _commands(workspace: Path, copy: Path, study: Path, scratch: Path) -> dict[str, Sequence[str]]:
    with Ledger(workspace / "runs" / "ledger.sqlite", read_only=True) as ledger:
        decision = next(row.id for row in reversed(ledger.decisions()) if row.turn > 0)
    rows = (workspace / "runs" / "rl_data" / "dpo.jsonl").read_text(encoding="utf-8").splitlines()
    pair = rows[0].partition('"id": "')[2].partition('"')[0]
    study = copy / study.relative_to(workspace) if study.is_relative_to(workspace) else study
    commands: dict[str, Sequence[str]] = {
        "status": ["status"],
        "status json": ["status", "--json"],
        "report": ["report"],
        "explain": ["explain", decision],
        "pairs list": ["pairs", "list"],
        "pairs show": ["pairs", "show", pair],
        "pairs audit": ["pairs", "audit"],
        "pairs export": ["pairs", "export", str(scratch / "dpo"), "--kind", "dpo"],
        "proposer export": ["pairs", "export", str(scratch / "proposer"), "--kind", "proposer"],
        "doctor": ["doctor"],
        "check": ["check", str(study)],
        "resume": ["resume", "--decisions", "4"],
        "run": ["run", str(study), "--decisions", "2"],
        "rescore": ["rescore", "--scorer", str(copy / SCORER)],
        "service": ["service", str(study), "--output", str(copy / "units")],
        "note": ["note", "a note"],
        "propose": ["propose", "curriculum=hard_first"],
        "skip": ["skip", decision],
        "budget": ["budget", "--probes", "60"],
        "pause": ["pause"],
        "continue": ["continue"],
        "stop": ["stop", "--after-round"],
        "pairs vote": ["pairs", "vote", pair, "up", "--by", "me"],
        "pairs review": ["pairs", "review", "--kind", "dpo", "--by", "me", "--rows", "1"],
    }
    return {name: [*command, "--workspace", str(copy)] for name, command in commands.items()}


@dataclass
class _Copy:
    """A copy of the workspace at ``place``, renewed before each command. The directories of probes are most of its
    files and are copied again only if something may have ``changed`` them."""

    workspace: Path
    place: Path
    changed: bool = True

    def renew(self) -> None:
        if self.changed:
            shutil.rmtree(self.place, ignore_errors=True)
            shutil.copytree(self.workspace, self.place)
            return
        for path in [*self.place.iterdir(), *(self.place / "runs").iterdir()]:
            if path.name != "runs" and not path.match("runs/probe-*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        probes = shutil.ignore_patterns("probe-*")
        shutil.copytree(self.workspace, self.place, ignore=probes, dirs_exist_ok=True)


def _run(
    copy: _Copy, name: str, command: Sequence[str], file: str = "", damage: Callable[[], None] = lambda: None
) -> tuple[int | None, str, str]:
    """Run a command on a copy of the workspace with a damaged file; its exit code (None: a traceback), stdout and
    stderr."""
    from cli.main import main

    copy.renew()
    damage()
    copy.changed = name not in READING or file.startswith("runs/probe-")
    for export in (argument for argument in command if Path(argument).name in ("dpo", "proposer") and "/" in argument):
        shutil.rmtree(export, ignore_errors=True)
    out, err = io.StringIO(), io.StringIO()
    code: int | None = 0
    streams = (patch.object(sys, "argv", ["nightlane", *command]), patch.object(sys, "stdin", io.StringIO("good\n")))
    with streams[0], streams[1], redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0
        except BaseException:
            return None, out.getvalue(), traceback.format_exc()
    return code, FREE_SPACE.sub("", out.getvalue()), err.getvalue()
