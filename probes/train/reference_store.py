"""A cache of DPO's reference log probabilities, which the base alone gives the training rows. All workers and sessions
of a workspace share its file. Imports no torch.

Damaged entries are computed again. If the file cannot be used at all, training only takes longer.
"""

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from common.sqlite.shared import open_shared

NAME = "reference.sqlite"
TABLE = "CREATE TABLE IF NOT EXISTS logps (row BLOB PRIMARY KEY, chosen REAL, rejected REAL, digest BLOB) WITHOUT ROWID"
Logps = tuple[float, float]
"""Log probabilities of the chosen and the rejected answer: sums over their tokens."""


@dataclass(frozen=True)
class ReferenceStore:
    """``of``: what the log probabilities depend on besides the rows, such as the base, the software and the device."""

    path: Path
    of: str

    def logps(self, rows: Sequence[Mapping[str, Any]], compute: Callable[[Mapping[str, Any]], Logps]) -> list[Logps]:
        """The log probabilities of each row of token ids (prompt_ids, chosen_ids, rejected_ids). ``compute`` is called
        only for rows that are not in the file, so its result must not depend on other rows."""
        keys = [self._key(row) for row in rows]
        found = self._read(keys)
        missing = {key: row for key, row in zip(keys, rows, strict=True) if key not in found}
        new = {key: compute(row) for key, row in missing.items()}
        self._write(new)
        return [(found | new)[key] for key in keys]

    def _key(self, row: Mapping[str, Any]) -> bytes:
        ids = json.dumps([self.of, *(row[name] for name in ("prompt_ids", "chosen_ids", "rejected_ids"))])
        return blake2b(ids.encode(), digest_size=16).digest()

    def _read(self, keys: Sequence[bytes]) -> dict[bytes, Logps]:
        found: dict[bytes, Logps] = {}
        with contextlib.suppress(sqlite3.Error), self._opened() as database:
            for key in dict.fromkeys(keys):
                row = database.execute("SELECT chosen, rejected, digest FROM logps WHERE row = ?", (key,)).fetchone()
                if row is not None and None not in row and row[2] == _digest(key, row[:2]):
                    found[key] = row[:2]
        return found

    def _write(self, new: Mapping[bytes, Logps]) -> None:
        if not new:
            return
        rows = [(key, *logps, _digest(key, logps)) for key, logps in new.items()]
        try:
            self._insert(rows)
        except sqlite3.OperationalError:
            pass  # a full or read-only disk, or a file that another process holds too long
        except sqlite3.DatabaseError:  # the file is damaged
            with contextlib.suppress(OSError, sqlite3.Error):
                for ending in ("", "-wal", "-shm"):
                    self.path.with_name(self.path.name + ending).unlink(missing_ok=True)
                self._insert(rows)

    def _insert(self, rows: Sequence[tuple[Any, ...]]) -> None:
        with self._opened() as database:
            database.execute("BEGIN IMMEDIATE")
            database.executemany("INSERT OR REPLACE INTO logps VALUES (?, ?, ?, ?)", rows)
            database.execute("COMMIT")

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(open_shared(self.path, TABLE)) as database:
            yield database


def _digest(key: bytes, logps: Sequence[Any]) -> bytes:
    positive_zeros = [value or 0.0 for value in logps]  # SQLite stores no negative zero
    return blake2b(repr((key, *positive_zeros)).encode(), digest_size=8).digest()
