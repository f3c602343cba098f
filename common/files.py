"""Atomic, durable writes: a file or folder is on the disk completely or not at all."""

import contextlib
import errno
import fcntl
import filecmp
import itertools
import os
import re
import shutil
import tempfile
import time
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import BadInput

ENDING = ".partial"
TRIES, BETWEEN_TRIES = 5, 0.01
"""Attempts to lock a folder, and the seconds between two attempts."""
WITH_NUMBER = re.compile(r"\(os error (\d+)\)")
WITHOUT_CAUSE = re.compile(r"inline_container|PytorchStreamWriter|requested and \d+ written|iostream error")
FAILURES = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
TRIED_BYTES = 1 << 20


def is_full_disk(error: OSError) -> bool:
    """Whether the disk, or the user's share of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def describe_file_error(error: OSError) -> str:
    """Which file or folder, and why it cannot be used."""
    path = error.filename2 or error.filename
    return f"{path}: {error.strerror}" if path else error.strerror or str(error)


def write_durably(path: Path, text: str) -> None:
    """Replace a file atomically: temporary file, fsync, rename, fsync of the folder."""
    write_flushed(path, text)
    sync(path.parent)


def write_flushed(path: Path, text: str) -> None:
    """Replace a file atomically; the rename is durable only when ``sync`` of its folder returns."""
    temporary = path.with_name(f".{path.name}.tmp")
    with _named(path), temporary.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def write_unsynced(path: Path, text: str) -> None:
    """Replace a file atomically for readers, without waiting for the disk: a power cut may lose it."""
    temporary = path.with_name(f".{path.name}.tmp")
    with _named(path):
        temporary.write_text(text, encoding="utf-8", newline="\n")
    temporary.replace(path)


def copy_durably(source: Path, target: Path) -> None:
    """Copy a file; the copy is on the disk completely or not at all."""
    temporary = target.with_name(f".{target.name}.tmp")
    with _named(target), source.open("rb") as content, temporary.open("wb") as stream:
        shutil.copyfileobj(content, stream)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(target)
    sync(target.parent)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Add the path to an error of a write or an fsync, which does not name the file."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise


def set_aside(path: Path) -> Path:
    """Rename a damaged file or folder that is not needed any more; returns the new path."""
    aside = next(name for name in names_aside(path) if not name.exists())
    path.rename(aside)
    sync(path.parent)
    return aside


def copy_aside(path: Path) -> Path:
    """Keep a durable copy of a damaged file and leave the file in its place, until a complete new one replaces it;
    returns the copy's path. A copy from a repair that was cut off is used again."""
    aside = next(name for name in names_aside(path) if not name.exists() or _is_copy(name, path))
    if not aside.exists():
        copy_durably(path, aside)
    return aside


def set_database_aside(path: Path) -> Path:
    """Move a damaged SQLite file away with its write-ahead log; returns the new path. Both are copied before one is
    removed, since SQLite deletes a log without its database, and a database without its log lacks the last rows."""
    if path.is_dir():
        return set_aside(path)
    aside = next(name for name in names_aside(path) if not name.exists())
    if (log := path.with_name(f"{path.name}-wal")).is_file():
        copy_durably(log, aside.with_name(f"{aside.name}-wal"))
    copy_durably(path, aside)
    path.unlink()
    remove_log(path)
    return aside


def remove_log(path: Path) -> None:
    """Remove the files that SQLite keeps beside a database, which would be replayed into a new one in its place."""
    for name in (f"{path.name}-wal", f"{path.name}-shm"):
        if (beside := path.with_name(name)).is_dir():
            set_aside(beside)
        else:
            beside.unlink(missing_ok=True)
    sync(path.parent)


def names_aside(path: Path) -> Iterator[Path]:
    """The names that a damaged file may be kept under, in order."""
    numbers = itertools.chain([""], (f"-{n}" for n in range(2, 10_000)))
    return (path.with_name(f"{path.name}.damaged{number}") for number in numbers)


def _is_copy(copy: Path, path: Path) -> bool:
    return copy.is_file() and filecmp.cmp(copy, path, shallow=False)


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
        with locked(partial):
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
        with contextlib.suppress(OSError), locked(leftover):
            shutil.rmtree(leftover)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder; BlockingIOError when another process has locked it. The lock ends with the process."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle)
        yield
    finally:
        os.close(handle)


def _lock(handle: int) -> None:
    """Tries several times, because ``is_locked`` of another process locks for an instant."""
    for _ in range(TRIES - 1):
        with contextlib.suppress(BlockingIOError):
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(BETWEEN_TRIES)
    return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_locked(folder: Path) -> bool:
    """Whether a process has locked the folder with ``locked``; permission to read it is enough."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def _umask() -> int:
    """The umask of this process; it can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def failed_write(error: BaseException, folder: Path) -> OSError | None:
    """The OSError, with its cause and place, behind an error that reports a failed write in ``folder`` without one of
    these; None for any other error.

    safetensors puts the number of the error into its message, torch and numpy drop the cause, and the error of a write
    to an open file does not name the file."""
    text = str(error)
    if isinstance(error, OSError) and error.errno is not None:
        nameless = error.filename is None and error.errno in FAILURES
        return OSError(error.errno, error.strerror, str(folder)) if nameless else None
    if found := WITH_NUMBER.search(text):
        return OSError(int(found[1]), os.strerror(int(found[1])), str(folder))
    return _cause(folder) if WITHOUT_CAUSE.search(text) else None


def _cause(folder: Path) -> OSError:
    """Why a file could not be written, found by writing another one: on a full disk that fails, too."""
    try:
        with tempfile.TemporaryFile(dir=folder) as stream:
            stream.write(bytes(TRIED_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        return OSError(error.errno, os.strerror(error.errno or errno.EIO), str(folder))
    return OSError(errno.EIO, "a file could not be written whole", str(folder))


def fingerprint(files: Iterable[Path]) -> Hashable:
    """Size and time of each file; a file that is missing has none."""
    found = []
    for path in files:
        with contextlib.suppress(OSError):
            stat = path.stat()
            found.append((str(path), stat.st_mtime_ns, stat.st_size))
    return tuple(found)
