"""Judgements that were paid for, on disk by the digest of what was asked. One SQLite file for all workers of a study.

A row is whole or not there, also after kill -9; of a power cut the last rows may not survive, and are asked again.
"""

import contextlib
import errno
import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from common import row_digests
from common.errors import MissingRequirement
from common.shared_sqlite import open_shared
from probes.scoring.protocol import ScorerBroken

_TABLE = "CREATE TABLE IF NOT EXISTS judgements (key BLOB PRIMARY KEY, judgement TEXT NOT NULL) WITHOUT ROWID"

_CLAIMS = "CREATE TABLE IF NOT EXISTS claims (key BLOB PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID"


def cache_key(*asked: object) -> bytes:
    """Names what was asked, whatever it consists of that JSON can hold."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).digest()


class JudgeCache:
    """Key -> a judgement as a JSON object. Safe for threads and for processes on one machine.

    MissingRequirement when the folder cannot hold it; OSError for a full disk and ScorerBroken for all else later.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "judgements.sqlite"
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ".gitignore").write_text("*\n", encoding="utf-8")
            self._database = open_shared(self.path, _TABLE)
            self._database.execute(_CLAIMS)
            row_digests.keep(self._database, ("judgements",))
        except (OSError, sqlite3.Error) as error:
            raise MissingRequirement(
                f"{self.path} cannot hold judgements ({error}); move it away if it is damaged, or name a folder that "
                "can be written with cache under [scorer]"
            ) from None

    def get(self, key: bytes) -> dict[str, Any] | None:
        """What is kept under the key; None for nothing, or for what is no JSON object as it was written."""
        with self._lock, _storage_errors(self.path):
            row = self._database.execute("SELECT judgement FROM judgements WHERE key = ?", (key,)).fetchone()
            whole = row and row_digests.is_kept(self._database, "judgements", {"key": key, "judgement": row[0]})
        if not whole:
            return None
        with contextlib.suppress(ValueError, TypeError):
            found = json.loads(row[0])
            return found if isinstance(found, dict) else None
        return None

    def put(self, key: bytes, judgement: dict[str, Any], usable: Callable[[Any], bool] = bool) -> dict[str, Any]:
        """Keep it, and give what is now kept: another worker's judgement of the same answer stands if it came first.

        A kept one that is not ``usable`` is replaced.
        """
        text = json.dumps(judgement, allow_nan=False)
        with self._lock, _storage_errors(self.path):
            self._database.execute("INSERT OR IGNORE INTO judgements VALUES (?, ?)", (key, text))
        if (kept := self.get(key)) is not None and usable(kept):
            return kept
        with self._lock, _storage_errors(self.path):
            self._database.execute("INSERT OR REPLACE INTO judgements VALUES (?, ?)", (key, text))
        return judgement

    def claim(self, key: bytes, seconds: float) -> bool:
        """Take it upon oneself to ask; False while somebody else has, for so many seconds at most.

        By the monotonic clock, which begins anew with the machine: a claim that lasts twice as long as any is of an
        earlier start.
        """
        now = time.monotonic()
        with self._lock, _storage_errors(self.path):
            done = self._database.execute(
                "INSERT INTO claims VALUES (?1, ?2) "
                "ON CONFLICT DO UPDATE SET until = ?2 WHERE until NOT BETWEEN ?3 AND ?4",
                (key, now + seconds, now, now + 2 * seconds),
            )
        return done.rowcount == 1

    def release(self, key: bytes) -> None:
        with self._lock, _storage_errors(self.path):
            self._database.execute("DELETE FROM claims WHERE key = ?", (key,))

    def __len__(self) -> int:
        with self._lock, _storage_errors(self.path):
            return int(self._database.execute("SELECT count(*) FROM judgements").fetchone()[0])

    def close(self) -> None:
        with self._lock:
            self._database.close()


@contextlib.contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    """What SQLite complains of, as what a probe's failure is told by."""
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise OSError(errno.ENOSPC, "No space left on device", str(path)) from None
        raise ScorerBroken(f"the judge's cache {path}: {error}") from None
