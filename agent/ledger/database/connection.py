"""The connection to a ledger's file: opening and creating it, transactions, keyed inserts, and reports of damage."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from agent.ledger.database.file import (
    create_ledger,
    damage_error,
    finish_repair,
    is_damage,
    no_session_error,
    repair_is_unfinished,
    unfinished_repair_message,
)
from agent.ledger.tables import ADDED, SCHEMA
from common.errors import BadInput
from common.sqlite import row_digests
from common.sqlite.shared import open_to_read


class LedgerConnection(sqlite3.Connection):
    """A connection that reports damage of its file as BadInput, once its ``path`` is set."""

    path: Path | None = None

    def cursor(self, *_: Any) -> "_Cursor":  # type: ignore[override]
        return super().cursor(_Cursor)

    def execute(self, *arguments: Any) -> "_Cursor":
        return self.cursor().execute(*arguments)

    def tuples(self, *arguments: Any) -> list[tuple[Any, ...]]:
        """All rows of a query as tuples, without the check of each row, which is slow for many rows."""
        cursor = self.cursor()
        cursor.row_factory = None
        return cursor.execute(*arguments).fetchall()


class _Cursor(sqlite3.Cursor):
    connection: LedgerConnection

    def execute(self, *arguments: Any) -> Self:
        with self._damage_reported():
            return super().execute(*arguments)

    def fetchone(self) -> Any:
        with self._damage_reported():
            return super().fetchone()

    def fetchall(self) -> list[Any]:
        with self._damage_reported():
            return super().fetchall()

    def __next__(self) -> Any:
        with self._damage_reported():
            return super().__next__()

    @contextmanager
    def _damage_reported(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            path = self.connection.path
            raise (damage_error(path, error) if path and is_damage(error) else error) from None


class LedgerDatabase:
    """The opened file of a ledger. ``read_only`` never creates or locks anything."""

    def __init__(self, path: Path, read_only: bool) -> None:
        if read_only and repair_is_unfinished(path):
            raise BadInput(f"{path} {unfinished_repair_message(path)}")
        if read_only and not path.exists():
            raise no_session_error(path)
        if not read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
            finish_repair(path)
            create_ledger(path, SCHEMA)
        self.path = path
        with ExitStack() as unless_it_opens:
            self._db = unless_it_opens.enter_context(closing(_connect(path, read_only)))
            self._open(read_only)
            unless_it_opens.pop_all()

    def _open(self, read_only: bool) -> None:
        self._db.path = self.path
        self._db.row_factory = sqlite3.Row
        try:
            if not read_only:
                self._prepare()
            tables = self._db.execute("SELECT COUNT(*) FROM sqlite_master WHERE name = 'events'").fetchone()[0]
            self._db.row_factory = row_digests.checking_row_factory(self._db, self._changed_row)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError) and "full" in str(error):
                raise
            raise damage_error(self.path, error) from None
        if not tables:
            raise no_session_error(self.path)

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(f"BEGIN; {SCHEMA} COMMIT;")
        for table, name, kind in ADDED:
            if name not in {row["name"] for row in self._db.execute(f"PRAGMA table_info({table})")}:
                self._db.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")
        row_digests.record_digests(self._db)

    def _changed_row(self, table: str, name: str) -> BadInput:
        return damage_error(self.path, f"the row of {name} in {table} is not as it was written")

    def _require_unaltered(self, table: str, condition: str, values: tuple[Any, ...]) -> None:
        """Check all rows of a table that meet a condition at once, before some of their columns are read."""
        for name in row_digests.altered(self._db, table, self._columns[table], condition, values):
            raise self._changed_row(table, name)

    @cached_property
    def _columns(self) -> Mapping[str, tuple[str, ...]]:
        return row_digests.columns(self._db)

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _has_table(self, table: str) -> bool:
        return self._db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is not None

    def _insert(self, table: str, values: Mapping[str, Any]) -> None:
        """Insert a row, unless a row with its key exists."""
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        self._db.execute(
            f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING", tuple(values.values())
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _connect(path: Path, read_only: bool) -> LedgerConnection:
    try:
        if read_only:
            return open_to_read(path, LedgerConnection)
        return sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=30, factory=LedgerConnection
        )
    except (sqlite3.OperationalError, OSError) as error:
        raise BadInput(f"{path} cannot be opened as a ledger ({error}); check what it is and who may read it") from None
    except sqlite3.DatabaseError as error:
        raise damage_error(path, error) from None
