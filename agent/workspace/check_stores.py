"""Checks the stores of preference pairs, and the records of judging."""

import contextlib
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from agent.study.load import parse_study
from agent.workspace.check_ledger import LedgerContent
from agent.workspace.file_status import FileStatus, database_problem, setting_aside
from agent.workspace.folder import Workspace
from common.errors import BadInput, MissingRequirement
from common.wording import count
from preferences.store.append_only_file import describe_alteration, read, set_bad_lines_aside
from preferences.store.rows import KINDS, row_from_json
from preferences.store.stores import Stores
from probes.endpoint.spending import Allowance, SpendingMeter
from probes.scoring.judge.epoch import load_epoch
from probes.scoring.judge.settings import JudgeSettings, cache_folder

ParseLine = Callable[[dict[str, Any]], object]
"""Parses a line of a store, or raises BadInput."""
ANNOTATIONS = ("votes", "withdrawals", "reviews", "certifications", "reserved")
"""Files of the stores beside their rows."""


def check_stores(workspace: Workspace) -> Iterator[FileStatus]:
    folder = workspace.runs / "rl_data"
    if not folder.exists():
        return
    stores = Stores(folder)
    files: dict[Path, ParseLine] = {stores.path(kind): partial(row_from_json, kind) for kind in KINDS}
    files |= {folder / f"{name}.jsonl": dict for name in ANNOTATIONS}
    for path, parse in files.items():
        yield _check_store(path, parse)
    try:
        stores.read_all()
        stores.reserved_prompts()
    except (BadInput, OSError) as error:
        yield FileStatus(str(folder), False, str(error))


def _check_store(path: Path, parse: ParseLine) -> FileStatus:
    try:
        rows = [parse(data) for _, data in read(path)]
        if why := describe_alteration(path):
            raise BadInput(f"{path} {why}")
    except (BadInput, OSError) as error:
        repair = None if isinstance(error, OSError) else lambda: set_bad_lines_aside(path, parse)
        message = f"{error}; restore the file, or keep the lines that can be read with nightlane doctor --repair"
        return FileStatus(str(path), False, message, repair)
    return FileStatus(str(path), True, f"{count(len(rows), 'line')}, as they were written")


def check_judging(workspace: Workspace, content: LedgerContent) -> Iterator[FileStatus]:
    """The record of what judging cost, and each judge's cache and comparison epoch."""
    judges, costs = _judges(workspace, content), workspace.judging
    if costs.exists():
        yield _check_database(costs, "spent", "set it aside, and what judging cost before is no longer counted")
    elif judges:
        message = "is gone, so what judging cost is not known: restore it, or begin anew with doctor --repair"
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


def _check_database(path: Path, table: str, remedy: str, rows_may_vanish: bool = False) -> FileStatus:
    problem = database_problem(path, (table,), rows_may_vanish)
    if problem is None:
        return FileStatus(str(path), True, "whole")
    return FileStatus(str(path), False, f"is damaged ({problem}): {remedy}", setting_aside(path))


def _begin_costs(path: Path) -> str:
    with SpendingMeter(Allowance(file=path, session="")):
        return "an empty one was made"


def _judges(workspace: Workspace, content: LedgerContent) -> list[tuple[JudgeSettings, Path]]:
    """The judges of the sessions, each cache once."""
    judges = {}
    for path, text in content.studies.values():
        study = Path(os.path.normpath(workspace.root.absolute() / path))
        with contextlib.suppress(BadInput):
            settings = parse_study(study, text).scorer
            if isinstance(settings, JudgeSettings):
                judges[cache_folder(settings, study.parent)] = (settings, study.parent)
    return list(judges.values())
