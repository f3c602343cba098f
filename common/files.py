"""Atomic, durable writes: a file or folder is on the disk completely or not at all."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import BadInput

ENDING = ".partial"


def write_durably(path: Path, text: str) -> None:
    """Replace a file atomically: temporary file, fsync, rename, fsync of the folder."""
    write_flushed(path, text)
    sync(path.parent)


def write_flushed(path: Path, text: str) -> None:
    """Replace a file atomically; the rename is durable only when ``sync`` of its folder returns."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def set_aside(path: Path) -> Path:
    """Rename a damaged file, so that a new one can be written and nothing is lost; returns the new path."""
    names = (path.with_name(f"{path.name}.damaged{number}") for number in ("", *(f"-{n}" for n in range(2, 10_000))))
    aside = next(name for name in names if not name.exists())
    path.rename(aside)
    return aside


def sync(path: Path) -> None:
    """fsync a file or a folder; a new or renamed file is durable only when its folder is synced. Ignores a missing
    path."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def whole_folder(folder: Path, what: str) -> Iterator[Path]:
    """Yields a hidden folder to fill; at the end of the block it replaces ``folder``, which must be missing or empty.

    BadInput when ``folder`` is not empty; ``what`` names in the message what is written. Removes what killed processes
    left behind.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder} is not an empty folder, and {what} is written to one; name a new one")
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(folder)
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


def _remove_leftovers(folder: Path) -> None:
    """Remove hidden folders that no running process fills."""
    for leftover in folder.parent.glob(f".{folder.name}.*{ENDING}"):
        with contextlib.suppress(OSError), _locked(leftover):
            shutil.rmtree(leftover)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder; BlockingIOError when another process has locked it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _umask() -> int:
    """The umask of this process; it can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
