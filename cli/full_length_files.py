"""Checks full-length runs, promotions and exported adapters. ``nightlane doctor`` prints it; see docs/files.md."""

from collections.abc import Iterator
from pathlib import Path

from agent.workspace.file_status import FileStatus
from agent.workspace.folder import Workspace
from common.errors import BadInput
from evaluation.results import altered_files
from finetune.export import RECORD as EXPORT
from finetune.manifest import COMBINED, COMPLETE, read_ending, require_whole
from finetune.manifest import NAME as MANIFEST
from finetune.promotion import RECORD as PROMOTION
from finetune.start import NAME as START
from finetune.start import stored_start


def check_full_length_files(workspace: Workspace) -> Iterator[FileStatus]:
    """The status of each in the workspace: full-length runs, those of promotions included; promotions; exports."""
    found = {path.parent for name in (START, MANIFEST) for path in workspace.root.glob(f"*/{name}")}
    found |= {path.parent for name in (START, MANIFEST) for path in workspace.runs.glob(f"finetune-*/{name}")}
    for folder in sorted(found):
        yield _run(folder)
    for folder in sorted(path.parent for path in workspace.runs.glob(f"promotion-*/{PROMOTION}")):
        yield _recorded(folder, PROMOTION, "a promotion", "the same nightlane promote writes it again")
    exports = (*workspace.root.glob(f"*/{EXPORT}"), *workspace.runs.glob(f"export-*/{EXPORT}"))
    for folder in sorted(path.parent for path in exports):
        yield _recorded(folder, EXPORT, "an exported adapter", "export again to a new folder")


def _recorded(folder: Path, record: str, what: str, remedy: str) -> FileStatus:
    bad = ", ".join(altered_files(folder, record))
    says = f"{bad} changed since {what} was written: {remedy}" if bad else f"{what}, as it was written"
    return FileStatus(str(folder), not bad, says)


def _run(folder: Path) -> FileStatus:
    try:
        if (folder / START).exists():
            _require_start(folder)
        if (folder / MANIFEST).exists():
            for adapter in (folder / "adapter", folder / COMBINED):
                if adapter.exists():
                    require_whole(adapter)
    except BadInput as error:
        return FileStatus(str(folder), False, str(error))
    ended = read_ending(folder)
    if ended is None:
        return FileStatus(
            str(folder), True, "a full-length run that was cut off; nightlane finetune --resume goes on with it"
        )
    how = "as it was saved" if ended.status == COMPLETE else f"which ended as {ended.status}"
    return FileStatus(str(folder), True, f"a full-length run, {how}")


def _require_start(folder: Path) -> None:
    try:
        start, recipe = stored_start(folder)
    except (OSError, ValueError) as error:
        why = f"it cannot be read ({str(error).splitlines()[0]})"
    else:
        why = "" if recipe.digest == start.recipe else "its recipe.toml is another recipe"
    if why:
        raise BadInput(
            f"{folder / START} and recipe.toml say what a run began with, and {why}; the run cannot be resumed, and an "
            "adapter that is complete stays usable"
        )
