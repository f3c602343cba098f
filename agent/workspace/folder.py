"""The workspace: the folder that holds results.tsv and runs/, one session at a time."""

import fcntl
import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from common.errors import BadInput, WorkspaceBusy


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
        """The process that holds the workspace now, or None. Permission to read is enough."""
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
