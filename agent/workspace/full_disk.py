"""Turns the errors of a full disk into DiskFull, in one sentence."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from agent.workspace.folder import Workspace
from common.errors import DiskFull
from common.files import is_full_disk


@contextmanager
def full_disk_reported(workspace: Workspace) -> Iterator[None]:
    """Raise DiskFull where a write to a file finds no space left, or SQLite finds the disk full or failing."""
    try:
        yield
    except OSError as error:
        if not is_full_disk(error):
            raise
        raise _disk_full(workspace, "is full", "free some space") from None
    except sqlite3.OperationalError as error:
        if "full" in str(error):
            raise _disk_full(workspace, "is full", "free some space") from None
        if "disk I/O" in str(error):  # SQLite says this of a disk that is full, too
            raise _disk_full(workspace, "failed or is full", "check it and free some space") from None
        raise


def _disk_full(workspace: Workspace, state: str, remedy: str) -> DiskFull:
    return DiskFull(f"the disk of {workspace.root} {state} and nothing more can be written; {remedy}")
