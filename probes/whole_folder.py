"""A new folder that appears as a whole: filled beside its place, flushed to the disk, then renamed."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lanes.errors import BadInput
from probes.store import sync

ENDING = ".partial"


@contextmanager
def whole_folder(folder: Path, what: str) -> Iterator[Path]:
    """The folder to fill, a hidden one beside ``folder``, which is new or empty and takes its place at the block's end.

    BadInput where ``folder`` holds something; ``what`` is written there. What a killed process left is taken away.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder} is not an empty folder, and {what} is written to one; name a new one")
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    _clean(folder)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=ENDING, dir=folder.parent))
    try:
        with _locked(partial):
            yield partial
            for path in (*partial.rglob("*"), partial):
                sync(path)
            partial.chmod(0o777 & ~_umask())
            partial.rename(folder)
            sync(folder.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _clean(folder: Path) -> None:
    """Take away what no living process fills."""
    for left in folder.parent.glob(f".{folder.name}.*{ENDING}"):
        with contextlib.suppress(OSError), _locked(left):
            shutil.rmtree(left)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder; BlockingIOError where another process does."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _umask() -> int:
    """Of this process, which can only be asked by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
