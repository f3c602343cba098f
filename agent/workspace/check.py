"""Every file of a workspace: whole, or damaged with the way out. ``nightlane doctor`` prints it; see docs/files.md.

Nothing is written here but by ``mend``.
"""

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from agent.ledger.columns import COLUMNS
from agent.ledger.file import holds_sessions, lost_sessions, lost_sessions_message, repair_hint, require_sound
from agent.ledger.repair import salvage
from agent.ledger.results_sheet import one_line, row_text
from agent.study.load import parse_study
from agent.workspace.folder import Workspace
from common import row_digests
from common.errors import BadInput, MissingRequirement
from common.files import set_aside, write_durably
from common.wording import count
from lanes import Recipe
from preferences.store.append_only_file import describe_alteration, read, set_bad_lines_aside
from preferences.store.rows import KINDS, row_from_json
from preferences.store.stores import Stores
from probes.endpoint.spending import Allowance, SpendingMeter
from probes.result.reading import outcome_from_json
from probes.run.store import ProbeStore
from probes.scoring.judge.epoch import load_epoch
from probes.scoring.judge.settings import JudgeSettings, cache_folder

UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What reading a garbled file may raise."""


Accept = Callable[[dict[str, Any]], object]
"""Takes a line of a store, or raises BadInput."""
SAID = ("votes", "withdrawals", "reviews", "certifications", "reserved")
"""Files of the stores beside their rows."""


@dataclass(frozen=True)
class Found:
    """A file, or a group of them. ``says``: what is in it, or what is wrong and the way out. ``mend`` does what can be
    done and says what that was; None where nothing is damaged, or only a person can."""

    what: str
    whole: bool
    says: str
    mend: Callable[[], str] | None = None


@dataclass(frozen=True)
class _Known:
    """What the ledger says that other files are held against."""

    studies: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    finished: frozenset[str] = frozenset()
    rows: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    readings: frozenset[str] = frozenset()


def check(workspace: Workspace) -> list[Found]:
    """In the order of importance; nothing where there is no workspace yet."""
    if not workspace.runs.exists():
        return []
    ledger, known = _ledger(workspace)
    return [
        ledger,
        *(_followers(workspace, known) if holds_sessions(workspace.ledger) else ()),
        *_sessions(workspace, known),
        _probes(workspace, known),
        *_stores(workspace),
        *_judging(workspace, known),
        *_evaluations(workspace),
        *_leftovers(workspace),
    ]


def repair(workspace: Workspace) -> list[str]:
    """Do what can be done of all that is damaged, and say what it was. The ledger first: others are held against it."""
    with workspace.held():
        done = []
        ledger, _ = _ledger(workspace)
        if ledger.mend is not None:
            done.append(f"{ledger.what}: {ledger.mend()}")
        for found in check(workspace)[1:]:
            if found.mend is not None:
                done.append(f"{found.what}: {found.mend()}")
        return done


# the ledger


def _ledger(workspace: Workspace) -> tuple[Found, _Known]:
    path = workspace.ledger
    what = str(path)
    missing = lost_sessions(path)
    if not path.is_dir() and not holds_sessions(path):
        return Found(what, not missing, lost_sessions_message(path, missing) if missing else "no session yet"), _Known()
    try:
        require_sound(path)
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            changed = list(row_digests.unkept(database)) if row_digests.has_digests(database) else []
            known = _known(database)
            decided = database.execute("SELECT COUNT(*) FROM decisions").fetchone()[0]
    except (sqlite3.Error, *UNREADABLE) as error:
        return Found(
            what, False, f"is damaged ({error}); restore it, or {repair_hint(path)}", lambda: salvage(path)
        ), _Known()
    if changed:
        named = [f"{name} of {table}" if name else f"one of {table}, which is gone" for table, name in changed[:3]]
        told = f"{len(changed)} of its rows are not as they were written ({', '.join(named)})"
        return Found(what, False, f"{told}; restore it, or {repair_hint(path)}", lambda: salvage(path)), known
    if missing:
        return Found(what, False, lost_sessions_message(path, missing)), known
    held = f"{count(len(known.studies), 'session')}, {count(decided, 'decision')}"
    return Found(what, True, f"{held}, every row as it was written"), known


def _known(database: sqlite3.Connection) -> _Known:
    sessions = list(database.execute("SELECT id, study_path, study_text, finished FROM sessions"))
    rows = [json.loads(row[0]) for row in database.execute("SELECT row FROM decisions ORDER BY rowid")]
    events = database.execute("SELECT time, session, text FROM events ORDER BY rowid")
    readings = database.execute("SELECT id FROM probes WHERE kind = 'reading'")
    return _Known(
        {row[0]: (row[1], row[2]) for row in sessions},
        frozenset(row[0] for row in sessions if row[3]),
        tuple(map(row_text, rows)),
        tuple(one_line(" ".join(event)) for event in events),
        frozenset(row[0] for row in readings),
    )


def _followers(workspace: Workspace, known: _Known) -> Iterator[Found]:
    """results.tsv and progress.log: that each has the ledger's lines, in order, and none more of its sessions."""
    own = len(COLUMNS)
    yield _follower(
        workspace.root / "results.tsv",
        known,
        known.rows,
        lambda line: line.split("\t")[1:2],
        lambda line: "\t".join(line.split("\t")[:own]),
    )
    yield _follower(
        workspace.runs / "progress.log", known, known.lines, lambda line: line.split(" ")[1:2], lambda line: line
    )


def _follower(
    path: Path,
    known: _Known,
    wanted: tuple[str, ...],
    session_of: Callable[[str], list[str]],
    own: Callable[[str], str],
) -> Found:
    if not path.exists() and not wanted:
        return Found(str(path), True, "not written yet")
    again = "the next run or resume writes it again from the ledger"
    try:
        lines = path.read_bytes().decode("utf-8").splitlines() if path.exists() else []
    except UNREADABLE as error:
        return Found(str(path), False, f"cannot be read ({error}); {again}, so move it away if it is no text")
    mine = [own(line) for line in lines if known.studies.keys() & session_of(line)]
    if (more := [line for line in mine if line not in set(wanted)]) and len(mine) > len(wanted):
        return Found(
            str(path),
            False,
            f"has {len(more)} lines of sessions of this ledger that the ledger does not have ({more[0][:60]}...): it "
            f"lost them, or somebody wrote them; restore the ledger, else {again}",
        )
    if mine == list(wanted):
        return Found(str(path), True, f"{count(len(mine), 'line')}, as the ledger has them")
    if mine == list(wanted[: len(mine)]) and len(known.finished) < len(known.studies):
        return Found(str(path), True, f"{count(len(wanted) - len(mine), 'line')} behind the ledger, which resume adds")
    return Found(str(path), False, f"does not say what the ledger says; {again}")


# sessions and probes


def _sessions(workspace: Workspace, known: _Known) -> Iterator[Found]:
    for name in sorted(known.studies):
        folder, (_, study) = workspace.session(name), known.studies[name]
        problems, mends = [], []
        text = _text(folder / "study.toml")
        if folder.exists() and text != study:
            problems.append("study.toml is not the study that the ledger has")
            mends.append(_writing(folder / "study.toml", study))
        if name in known.finished:
            for file in ("report.md", "recipe.toml"):
                if not _text(folder / file) or (file == "recipe.toml" and not _is_recipe(folder / file)):
                    problems.append(f"{file} cannot be read: nightlane report {name} writes it again")
        else:
            checkpoint = folder / "checkpoint.sqlite"
            if checkpoint.exists() and (why := _unsound(checkpoint)):
                problems.append(f"checkpoint.sqlite is damaged ({why}): resume sets it aside and goes on by the ledger")
                mends.append(_setting_aside(checkpoint))
        for path in folder.glob("choices-*.json"):
            if not _is_json(path):
                problems.append(f"{path.name} cannot be read: it is asked for again")
                mends.append(_setting_aside(path))
        yield Found(str(folder), not problems, "; ".join(problems) or "whole", _all(mends))


def _probes(workspace: Workspace, known: _Known) -> Found:
    """Complete ones are readable; those that the ledger has a reading of are complete. Others were cut off, and are run
    again when they are wanted."""
    store, damaged, number, open_ones = ProbeStore(workspace.runs), [], 0, 0
    there = {path.name.removeprefix("probe-"): path for path in sorted(workspace.runs.glob("probe-*"))}
    for name, path in there.items():
        number += 1
        if name not in known.readings and not (path / "outcome.json").exists():
            open_ones += 1
        elif not probe_is_whole(store, name):
            damaged.append(path)
    gone = sorted(known.readings - there.keys())
    what = str(workspace.runs / "probe-*")
    told = f"{number} folders" + (f", {open_ones} of them cut off, to be run again when wanted" if open_ones else "")
    if gone:
        told += f"; {len(gone)} that were measured are gone, and reports say so"
    if not damaged:
        return Found(what, True, told)
    names = ", ".join(path.name for path in damaged[:3])
    return Found(
        what,
        False,
        f"{len(damaged)} are damaged ({names}): set them aside, and what is wanted of them is run again",
        _all([_setting_aside(path) for path in damaged]),
    )


def probe_is_whole(store: ProbeStore, probe: str) -> bool:
    """Whether a probe's folder gives its outcome, its recipe and the answers that it has."""
    folder = store.directory(probe)
    try:
        named = json.loads((folder / "probe.json").read_text(encoding="utf-8"))
        outcome = outcome_from_json(json.loads((folder / "outcome.json").read_text(encoding="utf-8")))
        recipe = Recipe.from_toml((folder / "recipe.toml").read_text(encoding="utf-8"))
        answers = folder / "answers.jsonl"
        lines = answers.read_text(encoding="utf-8").splitlines() if answers.exists() else []
        return (
            (named["id"], named["recipe"], named["seed"]) == (probe, recipe.digest, outcome.seed)
            and outcome.probe == probe
            and all(isinstance(json.loads(line), dict) for line in lines)
            and len(store.answers(probe)) == len(lines)
        )
    except UNREADABLE:
        return False


# preference pairs and judging


def _stores(workspace: Workspace) -> Iterator[Found]:
    folder = workspace.runs / "rl_data"
    if not folder.exists():
        return
    stores = Stores(folder)
    takes: dict[Path, Accept] = {stores.path(kind): partial(row_from_json, kind) for kind in KINDS}
    takes |= {folder / f"{name}.jsonl": dict for name in SAID}
    for path, accept in takes.items():
        try:
            rows = [accept(data) for _, data in read(path)]
            if why := describe_alteration(path):
                raise BadInput(f"{path} {why}")
            yield Found(str(path), True, f"{count(len(rows), 'line')}, as they were written")
        except (BadInput, OSError) as error:
            yield _bad_lines(path, error, accept)
    try:
        stores.read_all()
        stores.reserved_prompts()
    except (BadInput, OSError) as error:
        yield Found(str(folder), False, str(error))


def _bad_lines(path: Path, error: Exception, accept: Accept) -> Found:
    mend = None if isinstance(error, OSError) else lambda: set_bad_lines_aside(path, accept)
    return Found(
        str(path),
        False,
        f"{error}; restore the file, or have the lines that can be read kept with nightlane doctor --repair",
        mend,
    )


def _judging(workspace: Workspace, known: _Known) -> Iterator[Found]:
    if workspace.judging.exists():
        why = _unsound(workspace.judging, ("spent",))
        says = (
            f"is damaged ({why}): set it aside, and what judging cost before is no longer counted" if why else "whole"
        )
        yield Found(str(workspace.judging), not why, says, _setting_aside(workspace.judging) if why else None)
    judges = _judges(workspace, known)
    if judges and not workspace.judging.exists():
        says = "is gone, so what judging cost is not known: restore it, or begin anew with doctor --repair"
        yield Found(str(workspace.judging), False, says, lambda: _count_anew(workspace.judging))
    for settings, folder in judges:
        path = cache_folder(settings, folder) / "judgements.sqlite"
        if path.exists():
            why = _unsound(path, ("judgements",), gone=False)
            says = f"is damaged ({why}): set it aside, and what is wanted of it is asked for again" if why else "whole"
            yield Found(str(path), not why, says, _setting_aside(path) if why else None)
        try:
            load_epoch(settings, folder)
        except MissingRequirement as error:
            yield Found(str(path.parent), False, str(error))


def _count_anew(path: Path) -> str:
    with SpendingMeter(Allowance(file=path, session="")):
        return "an empty one is there"


def _judges(workspace: Workspace, known: _Known) -> list[tuple[JudgeSettings, Path]]:
    """Of the sessions whose scorer is a judge, each cache once."""
    found = {}
    for path, text in known.studies.values():
        where = Path(os.path.normpath(workspace.root.absolute() / path))
        with contextlib.suppress(BadInput):
            settings = parse_study(where, text).scorer
            if isinstance(settings, JudgeSettings):
                found[cache_folder(settings, where.parent)] = (settings, where.parent)
    return list(found.values())


# the rest


def _evaluations(workspace: Workspace) -> Iterator[Found]:
    for folder in sorted(workspace.runs.glob("evaluation-*")):
        bad = [path.name for path in sorted(folder.glob("*.json*")) if not _is_json(path)]
        yield Found(str(folder), not bad, f"{', '.join(bad)} cannot be read; evaluate again" if bad else "whole")


def _leftovers(workspace: Workspace) -> Iterator[Found]:
    """What killed writes left; the next write of the same file takes it away."""
    left = [path for pattern in (".*.tmp", "runs/.*.tmp", "runs/*/.*.tmp") for path in workspace.root.glob(pattern)]
    if left:
        yield Found(str(workspace.root), True, f"{count(len(left), 'half file')} of killed writes, which nothing reads")


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _is_recipe(path: Path) -> bool:
    try:
        Recipe.from_toml(path.read_text(encoding="utf-8"))
    except UNREADABLE:
        return False
    return True


def _is_json(path: Path) -> bool:
    """Of a .jsonl each line."""
    try:
        text = path.read_text(encoding="utf-8")
        for part in text.splitlines() if path.suffix == ".jsonl" else [text]:
            json.loads(part)
    except UNREADABLE:
        return False
    return True


def _unsound(path: Path, tables: Iterable[str] = (), gone: bool = True) -> str | None:
    """What is wrong with an SQLite file, or None. ``tables``: whose rows have checksums; ``gone``: all of whose rows
    must be there."""
    try:
        require_sound(path)
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            if tables and row_digests.has_digests(database):
                changed = [one for one in row_digests.unkept(database, tuple(tables)) if gone or one[1]]
                return f"{len(changed)} of its rows are not as they were written" if changed else None
    except (sqlite3.Error, OSError) as error:
        return str(error)
    return None


def _writing(path: Path, text: str) -> Callable[[], str]:
    def mend() -> str:
        if path.is_dir():
            set_aside(path)
        write_durably(path, text)
        return f"{path.name} is written again"

    return mend


def _setting_aside(path: Path) -> Callable[[], str]:
    return lambda: f"{path.name} is now {set_aside(path).name}"


def _all(mends: list[Callable[[], str]]) -> Callable[[], str] | None:
    return (lambda: "; ".join(mend() for mend in mends)) if mends else None
