"""Every file of a workspace damaged in every way, and every command run on it: a traceback is a defect, and so is a
command that says something else than before without a word of it.

    damage_table(workspace, study) -> Table

The workspace is copied for each case and never changed. Commands run in this process, one after the other.
"""

import io
import os
import re
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest.mock import patch

from agent.ledger.store import Ledger

Damage = Callable[[Path], None]
Say = Callable[[str], None]


def _flip(share: float) -> Damage:
    def act(path: Path) -> None:
        content = bytearray(path.read_bytes())
        if content:
            content[int(share * (len(content) - 1))] ^= 1
            path.write_bytes(bytes(content))

    return act


def _cut(share: float) -> Damage:
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
    "empty": _cut(0.0),
    "cut to 30 bytes": lambda path: os.truncate(path, min(30, path.stat().st_size)),
    "cut in the middle": _cut(0.5),
    "its end cut off": lambda path: os.truncate(path, max(0, path.stat().st_size - 7)),
    "garbage": _garbage,
    "zeros in the middle": _zeros,
    **{f"a bit flipped at {share:.0%}": _flip(share) for share in (0.02, 0.25, 0.5, 0.75, 0.98)},
    "a folder": _folder,
    "unreadable": lambda path: path.chmod(0),
}

SESSIONS = ("status", "report", "explain", "check", "run", "resume", "doctor")
PAIRS = ("pairs list", "pairs show", "pairs audit", "pairs export", "pairs vote", "pairs review", "doctor", "resume")
READERS: Mapping[str, tuple[str, ...]] = {
    "results.tsv": ("run", "resume", "doctor"),
    "runs/progress.log": ("run", "resume", "doctor"),
    "runs/ledger.sqlite": (*SESSIONS, "status json", "proposer export"),
    "runs/ledger.sqlite-wal": (*SESSIONS, "status json", "proposer export"),
    "runs/ledger.sqlite-shm": ("status", "run", "resume", "doctor"),
    "runs/judging.sqlite": ("status", "report", "run", "resume", "doctor"),
    "runs/lock": ("status", "run", "resume", "doctor"),
    "runs/session-*/checkpoint.sqlite": ("resume", "doctor"),
    "runs/session-*/study.toml": ("report", "resume", "doctor"),
    "runs/session-*/report.md": ("report", "doctor"),
    "runs/session-*/recipe.toml": ("report", "doctor"),
    "runs/probe-*/outcome.json": SESSIONS,
    "runs/probe-*/probe.json": SESSIONS,
    "runs/probe-*/recipe.toml": ("report", "resume", "doctor"),
    "runs/probe-*/answers.jsonl": ("report", "explain", "resume", "doctor"),
    "runs/rl_data/*.jsonl": PAIRS,
    "runs/worker-*.log": ("resume", "doctor"),
}
"""The files of a workspace, and the commands that meet them. Of a pattern's files the last is damaged, of the stores
each."""


FREE = re.compile(r'"free_gb": [\d.]+')
"""Of status --json: what changes while nothing happens."""


@dataclass(frozen=True)
class Case:
    """One command on a workspace with one damaged file. ``code``: its exit code, None for a traceback, which ``says``
    has then; else what it wrote to stderr. ``changed``: it printed something else than on the whole workspace."""

    file: str
    damage: str
    command: str
    code: int | None
    changed: bool
    says: str


@dataclass(frozen=True)
class Table:
    cases: tuple[Case, ...]

    @property
    def tracebacks(self) -> tuple[Case, ...]:
        return tuple(case for case in self.cases if case.code is None)

    @property
    def unnoticed(self) -> tuple[Case, ...]:
        """Commands that printed something else and said nothing, where ``doctor`` finds nothing either."""
        seen = {(case.file, case.damage) for case in self.cases if case.command == "doctor" and case.code}
        return tuple(
            case
            for case in self.cases
            if case.command != "doctor"
            and case.changed
            and case.code == 0
            and not case.says
            and (case.file, case.damage) not in seen
        )

    def lines(self) -> Iterator[str]:
        """As a table in Markdown: by file and damage, the exit codes of its commands."""
        yield "| file | damage | tracebacks | unnoticed | exit codes |"
        yield "|---|---|---:|---:|---|"
        bad, unseen = set(self.tracebacks), set(self.unnoticed)
        for where in dict.fromkeys((case.file, case.damage) for case in self.cases):
            own = [case for case in self.cases if (case.file, case.damage) == where]
            codes = Counter(str(case.code) for case in own)
            told = ", ".join(f"{code}: {number}" for code, number in sorted(codes.items()))
            yield (
                f"| {where[0]} | {where[1]} | {len(bad.intersection(own))} | {len(unseen.intersection(own))} | {told} |"
            )


def damage_table(
    workspace: Path, study: Path, round_of: int | None = None, only: Sequence[str] = (), say: Say = lambda text: None
) -> Table:
    """Damage a copy of the workspace for each case. ``study``: its study.toml, which the workspace's sessions name.
    ``round_of``: each file has one damage instead of all, and another one in each round. ``only``: the commands to run,
    where not all are."""
    damages = dict(DAMAGES)
    if os.geteuid() == 0:
        damages.pop("unreadable", None)  # nothing is, to the superuser
    cases: list[Case] = []
    copy = workspace.with_name(f"{workspace.name}-damaged")  # beside it: sessions name their study from there
    with tempfile.TemporaryDirectory() as folder:
        commands = _commands(workspace, copy, study, Path(folder))
        fit = [name for name in commands if not only or name in only]
        whole = {name: _run(workspace, copy, commands[name])[1] for name in fit if name not in WRITING}
        for number, (file, readers) in enumerate(_files(workspace).items()):
            say(file)
            chosen = damages if round_of is None else [list(damages)[(number + 5 * round_of) % len(damages)]]
            for damage in chosen:
                for name in (name for name in readers if name in fit):
                    hit = partial(damages[damage], copy / file)
                    code, printed, told = _run(workspace, copy, commands[name], hit)
                    cases.append(Case(file, damage, name, code, printed != whole.get(name, printed), told))
    shutil.rmtree(copy, ignore_errors=True)
    return Table(tuple(cases))


def _files(workspace: Path) -> dict[str, tuple[str, ...]]:
    found = {}
    for pattern, readers in READERS.items():
        paths = sorted(path for path in workspace.glob(pattern) if path.is_file())
        for path in paths if "rl_data" in pattern else paths[-1:]:
            found[str(path.relative_to(workspace))] = readers
    return found


WRITING = ("run", "resume", "pairs vote", "pairs review")
FAST = ("status", "doctor", "pairs list")


def _commands(workspace: Path, copy: Path, study: Path, scratch: Path) -> dict[str, Sequence[str]]:
    with Ledger(workspace / "runs" / "ledger.sqlite", read_only=True) as ledger:
        decision = next(row.id for row in reversed(ledger.decisions()) if row.turn > 0)
    rows = (workspace / "runs" / "rl_data" / "dpo.jsonl").read_text(encoding="utf-8").splitlines()
    pair = rows[0].partition('"id": "')[2].partition('"')[0]
    found: dict[str, Sequence[str]] = {
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
        "pairs vote": ["pairs", "vote", pair, "up", "--by", "me"],
        "pairs review": ["pairs", "review", "--kind", "dpo", "--by", "me", "--rows", "1"],
    }
    return {name: [*given, "--workspace", str(copy)] for name, given in found.items()}


def _run(
    workspace: Path, copy: Path, command: Sequence[str], act: Callable[[], None] = lambda: None
) -> tuple[int | None, str, str]:
    """Exit code (None: a traceback), stdout and stderr of a command on a fresh copy that ``act`` has damaged."""
    from cli.main import main

    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(workspace, copy)
    act()
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
    return code, FREE.sub("", out.getvalue()), err.getvalue()
