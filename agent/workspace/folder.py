"""The workspace: the folder that holds results.tsv and runs/, one session at a time."""

import errno
import fcntl
import os
import shlex
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TextIO

from common.errors import BadInput, DiskFull, WorkspaceBusy


@dataclass(frozen=True)
class Workspace:
    root: Path

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def ledger(self) -> Path:
        return self.runs / "ledger.sqlite"

    @property
    def judging(self) -> Path:
        """The record of what judging cost."""
        return self.runs / "judging.sqlite"

    @property
    def resume_command(self) -> str:
        """The command that resumes, as a person types it in the current folder."""
        at = "" if self.root == Path() else f" --workspace {shlex.quote(str(self.root))}"
        return f"nightlane resume{at}"

    def session(self, session_id: str) -> Path:
        return self.runs / f"session-{session_id}"

    def prepare(self) -> None:
        try:
            self.runs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(
                f"{self.root} cannot hold a workspace ({error.strerror}); choose another --workspace"
            ) from None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the workspace; WorkspaceBusy when another process does. The lock ends with the process."""
        self.prepare()
        with (self.runs / "lock").open("a+", encoding="utf-8") as lock:
            if not self._locked(lock):
                raise WorkspaceBusy(
                    f"a workspace holds one session at a time and process {self.holder()} has one in {self.root}; "
                    "wait for it, stop it with Ctrl-C, or give another --workspace"
                )
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    def _locked(self, lock: TextIO) -> bool:
        """Lock the file; waits up to a second, because ``holder`` of a status command locks it for an instant."""
        for _ in range(20):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if self.holder() is not None:
                    return False
                time.sleep(0.05)
            else:
                return True
        return False

    def holder(self) -> int | None:
        """The process that holds the workspace now, or None. It takes no more than permission to read."""
        try:
            with (self.runs / "lock").open("r", encoding="utf-8") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    text = lock.read().strip()
                    return int(text) if text.isdigit() else 0
        except PermissionError as error:
            raise BadInput(
                f"{error.filename} shows whether a session runs and you may not read it; ask its owner for permission"
            ) from None
        except OSError:
            return None
        return None


@contextmanager
def full_disk_reported(workspace: Workspace) -> Iterator[None]:
    """Turn "no space left" from files or SQLite into DiskFull."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise _full(workspace) from None
    except sqlite3.OperationalError as error:
        if "full" not in str(error) and "disk I/O" not in str(error):
            raise
        raise _full(workspace) from None


def _full(workspace: Workspace) -> DiskFull:
    return DiskFull(
        f"the disk of {workspace.root} is full and nothing more can be written; free some space, then: "
        f"{workspace.resume_command}"
    )


ENDED_BY = {
    signal.SIGINT: "Ctrl-C",
    signal.SIGTERM: "SIGTERM",
    signal.SIGHUP: "SIGHUP, since its terminal was closed: a session in tmux or under nohup survives that",
}


class Interrupted(KeyboardInterrupt):
    """A signal ended the command; the text says which, for a person."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal (SIGHUP) raise Interrupted in the main thread, except inside
    ``uninterrupted``. Under nohup, SIGHUP stays ignored.

    If a library swallows the exception (imports of C extensions do), the next ``uninterrupted`` block raises it again.
    """

    def on_signal(number: int, _frame: FrameType | None) -> None:
        repeated, _Deferred.pending = _Deferred.pending is not None, Interrupted(ENDED_BY[signal.Signals(number)])
        if not _Deferred.depth and (
            not repeated or number == signal.SIGINT
        ):  # a shell and the kernel send theirs twice
            raise _Deferred.pending

    _Deferred.pending = None
    handled = [number for number in ENDED_BY if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, on_signal) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Finish the current write: an interrupt inside the block is raised at its end."""
    _Deferred.depth += 1
    try:
        yield
    finally:
        _Deferred.depth -= 1
    if _Deferred.pending and not _Deferred.depth:
        raise _Deferred.pending


class _Deferred:
    """A process has one main thread and one pair of signal handlers, so this is process-wide state."""

    depth = 0
    pending: Interrupted | None = None
