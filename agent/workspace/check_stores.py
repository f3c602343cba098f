"""Checks the stores of preference pairs, and the records of judging."""

import contextlib
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from agent.study.load import recorded_study
from agent.workspace.check_ledger import LedgerContent
from agent.workspace.file_status import FileStatus, database_problem, setting_aside, setting_database_aside
from agent.workspace.folder import Workspace
from common.errors import BadInput, MissingRequirement
from common.wording import count
from preferences.store.append_only_file import (
    SUMS,
    Accept,
    describe_alteration,
    fuller_copy,
    read,
    set_bad_lines_aside,
    set_sums_aside,
    sums_are_readable,
)
from preferences.store.rows import KINDS, row_from_json
from preferences.store.stores import ENTRIES, Stores, entry_from_json, reserved_from_json
from probes.endpoint.spending import Allowance, SpendingMeter
from probes.scoring.judge.epoch import load_epoch
from probes.scoring.judge.settings import JudgeSettings, cache_folder


def check_stores(workspace: Workspace) -> Iterator[FileStatus]:
    folder = workspace.runs / "rl_data"
    if not folder.exists():
        return
    if not folder.is_dir():
        yield FileStatus(str(folder), False, "is not a folder; restore it, or set it aside", setting_aside(folder))
        return
    stores = Stores(folder)
    files: dict[Path, Accept] = {stores.path(kind): partial(row_from_json, kind) for kind in KINDS}
    files |= {folder / f"{name}.jsonl": partial(entry_from_json, name) for name in ENTRIES}
    files[folder / "reserved.jsonl"] = reserved_from_json
    if not sums_are_readable(folder):
        message = (
            "has the checksums of the stores and cannot be read, so changes of the stores cannot be noticed"
            "; restore it, or take the stores as they are with nightlane doctor --repair"
        )
        yield FileStatus(
            str(folder / SUMS), False, message, partial(set_sums_aside, folder, [path.name for path in files])
        )
    for path, parse in files.items():
        yield _check_store(path, parse)
    try:
        stores.read_all()
        stores.reserved_prompts()
    except (BadInput, OSError) as error:
        yield FileStatus(str(folder), False, str(error))


def _check_store(path: Path, parse: Accept) -> FileStatus:
    remedy = "restore the file, or keep the lines that can be read with nightlane doctor --repair"
    try:
        if fuller := fuller_copy(path, parse):
            remedy = f"{fuller.name} beside it has more lines that can be read: doctor --repair takes them over"
        rows = [parse(data) for _, data in read(path)]
        why = describe_alteration(path) or (f"has {count(len(rows), 'line')}" if fuller else "")
    except PermissionError as error:
        return FileStatus(str(path), False, f"cannot be read ({error.strerror}); make it readable for you")
    except OSError as error:
        why = f"cannot be read ({error.strerror})"
    except BadInput as error:
        why = str(error).removeprefix(f"{path} ")
    if why:
        return FileStatus(str(path), False, f"{why}; {remedy}", lambda: set_bad_lines_aside(path, parse))
    return FileStatus(str(path), True, f"{count(len(rows), 'line')}, as they were written")


def check_judging(workspace: Workspace, content: LedgerContent) -> Iterator[FileStatus]:
    """The record of what judging cost, and each judge's cache and comparison epoch."""
    judges, costs = _judges(workspace, content), workspace.judging
    if costs.exists():
        yield _check_database(costs, "spent", "set it aside, and what judging cost before is no longer counted")
    elif judges:
        message = (
            "is gone, so the cost of judging so far is unknown: restore it, or begin it again with doctor --repair"
        )
        yield FileStatus(str(costs), False, message, lambda: _begin_costs(costs))
    for settings, folder in judges:
        path = cache_folder(settings, folder) / "judgements.sqlite"
        if path.exists():
            remedy = "set it aside, and the judgements that are needed are asked for again"
            yield _check_database(path, "judgements", remedy, rows_may_vanish=True)
        try:
            load_epoch(settings, folder)
        except MissingRequirement as error:
            yield FileStatus(str(path.parent), False, str(error))


def check_references(workspace: Workspace) -> Iterator[FileStatus]:
    """DPO's log probabilities by the base, a cache."""
    if (path := workspace.runs / "reference.sqlite").exists():
        remedy = "the next DPO probe begins a new one, or delete it"
        yield _check_database(path, "logps", remedy, rows_may_vanish=True)


def _check_database(path: Path, table: str, remedy: str, rows_may_vanish: bool = False) -> FileStatus:
    problem = database_problem(path, (table,), rows_may_vanish)
    if problem is None:
        return FileStatus(str(path), True, "whole")
    return FileStatus(str(path), False, f"is damaged ({problem}): {remedy}", setting_database_aside(path))


def _begin_costs(path: Path) -> str:
    with SpendingMeter(Allowance(file=path, session="")):
        return "an empty one was made"


def _judges(workspace: Workspace, content: LedgerContent) -> list[tuple[JudgeSettings, Path]]:
    """The judges of the sessions, each cache once."""
    judges = {}
    for path, text in content.studies.values():
        study = Path(os.path.normpath(workspace.root.absolute() / path))
        with contextlib.suppress(BadInput):
            settings = recorded_study(study, text).scorer
            if isinstance(settings, JudgeSettings):
                judges[cache_folder(settings, study.parent)] = (settings, study.parent)
    return list(judges.values())
