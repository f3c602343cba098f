"""Judgements on disk by the digest of the question, in one SQLite file for all workers of a study.

A kill -9 leaves no partial row. A power cut may lose the last rows; they are then asked again.
"""

import contextlib
import errno
import hashlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from common.errors import MissingRequirement
from common.sqlite import row_digests
from common.sqlite.shared import open_shared
from probes.scoring.protocol import ScorerBroken

_TABLE = "CREATE TABLE IF NOT EXISTS judgements (key BLOB PRIMARY KEY, judgement TEXT NOT NULL) WITHOUT ROWID"

_CLAIMS = (
    "CREATE TABLE IF NOT EXISTS owned_claims (key BLOB PRIMARY KEY, until REAL NOT NULL, owner INTEGER NOT NULL) "
    "WITHOUT ROWID"
)
"""``owner``: the id of the process that asks. Older versions have a table ``claims`` without it."""


def cache_key(*asked: object) -> bytes:
    """The digest of a question, made of JSON values."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).digest()


class JudgeCache:
    """Judgements as JSON objects by key. Safe for threads and for processes on one machine.

    MissingRequirement when the folder cannot hold the file. Later: OSError for a full disk, ScorerBroken for any other
    error of SQLite.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "judgements.sqlite"
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ".gitignore").write_text("*\n", encoding="utf-8")
            self._database = open_shared(self.path, _TABLE)
            self._database.execute(_CLAIMS)
            row_digests.record_digests(self._database, ("judgements",))
        except (OSError, sqlite3.Error) as error:
            raise MissingRequirement(
                f"{self.path} cannot hold judgements ({error}); move it away if it is damaged, or name a writable "
                "folder with cache under [scorer]"
            ) from None

    def get(self, key: bytes) -> dict[str, Any] | None:
        """The judgement of the key; None if there is none or the row is damaged."""
        with self._lock, _storage_errors(self.path):
            row = self._database.execute("SELECT judgement FROM judgements WHERE key = ?", (key,)).fetchone()
            whole = row and row_digests.is_unaltered(self._database, "judgements", {"key": key, "judgement": row[0]})
        if not whole:
            return None
        with contextlib.suppress(ValueError, TypeError):
            found = json.loads(row[0])
            return found if isinstance(found, dict) else None
        return None

    def put(self, key: bytes, judgement: dict[str, Any], usable: Callable[[Any], bool] = bool) -> dict[str, Any]:
        """Store a judgement unless the key has one, and return the stored one. One that is not ``usable`` is
        replaced."""
        text = json.dumps(judgement, allow_nan=False)
        with self._lock, _storage_errors(self.path):
            self._database.execute("INSERT OR IGNORE INTO judgements VALUES (?, ?)", (key, text))
        if (kept := self.get(key)) is not None and usable(kept):
            return kept
        with self._lock, _storage_errors(self.path):
            self._database.execute("INSERT OR REPLACE INTO judgements VALUES (?, ?)", (key, text))
        return judgement

    def claim(self, key: bytes, seconds: float) -> bool:
        """Claim a question for ``seconds``; False while a process that still runs has a claim on it.

        Claims end at a monotonic time, which starts anew when the machine boots: an end too far in the future is from
        before the last boot.
        """
        now, mine = time.monotonic(), os.getpid()
        with self._lock, _storage_errors(self.path):
            found = self._database.execute("SELECT owner FROM owned_claims WHERE key = ?", (key,)).fetchone()
            dead = found[0] if found and not _is_running(found[0]) else None
            done = self._database.execute(
                "INSERT INTO owned_claims VALUES (?1, ?2, ?5) "
                "ON CONFLICT DO UPDATE SET until = ?2, owner = ?5 WHERE until NOT BETWEEN ?3 AND ?4 OR owner = ?6",
                (key, now + seconds, now, now + 2 * seconds, mine, dead),
            )
        return done.rowcount == 1

    def release(self, key: bytes) -> None:
        with self._lock, _storage_errors(self.path):
            self._database.execute("DELETE FROM owned_claims WHERE key = ?", (key,))

    def __len__(self) -> int:
        with self._lock, _storage_errors(self.path):
            return int(self._database.execute("SELECT count(*) FROM judgements").fetchone()[0])

    def close(self) -> None:
        with self._lock:
            self._database.close()


def _is_running(process: int) -> bool:
    """Whether this machine has a process with this id."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextlib.contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    """Turn an error of SQLite into one that probes/run/classify.py knows."""
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise OSError(errno.ENOSPC, "No space left on device", str(path)) from None
        raise ScorerBroken(f"the judge's cache {path}: {error}") from None
