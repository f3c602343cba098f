"""Checks every file of a workspace. ``nightlane doctor`` prints the result; see docs/files.md."""

from collections.abc import Iterator

from agent.ledger.database.file import holds_sessions
from agent.workspace.check_ledger import check_ledger, check_result_files
from agent.workspace.check_sessions import check_probes, check_sessions
from agent.workspace.check_stores import check_judging, check_references, check_stores
from agent.workspace.file_status import FileStatus, is_json, is_unaltered_json
from agent.workspace.folder import Workspace
from agent.workspace.full_disk import full_disk_reported
from common.errors import BadInput
from common.wording import count
from evaluation.results import altered_files
from preferences.export.record import NAME as EXPORT_RECORD
from preferences.export.record import record_of


def check(workspace: Workspace) -> list[FileStatus]:
    """The status of each file, in order of importance; none if there is no workspace yet. Changes nothing."""
    if not workspace.runs.exists():
        return []
    ledger, content = check_ledger(workspace)
    return [
        ledger,
        *(check_result_files(workspace, content) if content.known and holds_sessions(workspace.ledger) else ()),
        *check_sessions(workspace, content),
        check_probes(workspace, content),
        *check_stores(workspace),
        *check_judging(workspace, content),
        *check_references(workspace),
        *_check_evaluations(workspace),
        *_check_rescored(workspace),
        *_check_exports(workspace),
        *_check_leftovers(workspace),
    ]


def repair(workspace: Workspace) -> list[str]:
    """Repair what can be repaired; returns a line for each repair. The ledger comes first, since the other files are
    compared with it."""
    with workspace.held(), full_disk_reported(workspace):
        done = []
        ledger, _ = check_ledger(workspace)
        if ledger.repair is not None:
            done.append(f"{ledger.path}: {ledger.repair()}")
        for status in check(workspace)[1:]:
            if status.repair is not None:
                done.append(f"{status.path}: {status.repair()}")
        return done


def _check_evaluations(workspace: Workspace) -> Iterator[FileStatus]:
    for folder in sorted(workspace.runs.glob("evaluation-*")):
        bad = [path.name for path in sorted(folder.glob("*.json*")) if not is_json(path)] or altered_files(folder)
        message = f"{', '.join(bad)} is unreadable or was changed: evaluate again" if bad else "whole"
        yield FileStatus(str(folder), not bad, message)


def _check_rescored(workspace: Workspace) -> Iterator[FileStatus]:
    for folder in sorted(workspace.runs.glob("rescore-*")):
        bad = [path.name for path in sorted(folder.glob("*.json")) if not is_unaltered_json(path)]
        message = f"{', '.join(bad)} cannot be read: the same nightlane rescore makes it again" if bad else "whole"
        yield FileStatus(str(folder), not bad, message)


def _check_exports(workspace: Workspace) -> Iterator[FileStatus]:
    """The exports that lie in the workspace."""
    for path in sorted(workspace.root.glob(f"*/{EXPORT_RECORD}")):
        try:
            rows = sum(len(record.rows) for file in path.parent.glob("train.*") if (record := record_of(file)))
            yield FileStatus(str(path.parent), True, f"an export of {count(rows, 'row')}, as it was written")
        except (BadInput, OSError) as error:
            yield FileStatus(str(path.parent), False, str(error))


def _check_leftovers(workspace: Workspace) -> Iterator[FileStatus]:
    """Temporary files of writes that were killed; the next write of the same file removes them."""
    patterns = (".*.tmp", "runs/.*.tmp", "runs/*/.*.tmp")
    leftovers = [path for pattern in patterns for path in workspace.root.glob(pattern)]
    if leftovers:
        message = f"{count(len(leftovers), 'incomplete file')} of killed writes, which nothing reads"
        yield FileStatus(str(workspace.root), True, message)
