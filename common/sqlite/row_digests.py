"""Checksums of the rows of an SQLite file, which reveal changed content; SQLite itself notices structural damage only.

Triggers of the writing connection store one digest per row in the table ``row_digests``. A connection with
``checking_row_factory`` looks up each whole row that it reads. NULL columns do not enter a digest, so a new column
leaves old digests valid.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

TABLE = "row_digests"


def record_digests(database: sqlite3.Connection, of: Collection[str] = ()) -> None:
    """Store a digest of each row that this connection writes from now on: to the tables ``of``, or to all. If the file
    has no digests yet, its rows get theirs now."""
    database.create_function("row_digest", -1, _digest, deterministic=True)
    tables = {table: names for table, names in columns(database).items() if not of or table in of}
    if not has_digests(database):
        database.execute("BEGIN IMMEDIATE")
        database.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} (digest BLOB PRIMARY KEY, source TEXT) WITHOUT ROWID")
        for table, names in tables.items():
            database.execute(f"INSERT OR IGNORE INTO {TABLE} SELECT {_call(table, names)}, '{table}' FROM {table}")
        database.execute("COMMIT")
    for table, names in tables.items():
        new = f"INSERT OR IGNORE INTO {TABLE} VALUES ({_call(table, names, 'NEW.')}, '{table}')"
        old = f"DELETE FROM {TABLE} WHERE digest = {_call(table, names, 'OLD.')}"
        for event, acts in {"INSERT": [new], "UPDATE": [old, new], "DELETE": [old]}.items():
            database.execute(
                f"CREATE TEMP TRIGGER digest_{table}_{event} AFTER {event} ON main.{table} BEGIN {'; '.join(acts)}; END"
            )


def has_digests(database: sqlite3.Connection) -> bool:
    return database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (TABLE,)).fetchone() is not None


def columns(database: sqlite3.Connection) -> dict[str, tuple[str, ...]]:
    """The tables of the file, except that of the digests, with the names of their columns."""
    found = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    names = [row[0] for row in found.fetchall() if row[0] != TABLE]
    return {name: tuple(row[1] for row in database.execute(f"PRAGMA table_info({name})")) for name in names}


def checking_row_factory(
    database: sqlite3.Connection, wrong: Callable[[str, str], Exception]
) -> Callable[[sqlite3.Cursor, tuple[Any, ...]], sqlite3.Row]:
    """A row factory that checks rows with all columns of their table. For a row without a stored digest it raises what
    ``wrong`` returns, given the table and the value of the row's first column."""
    database.create_function("row_digest", -1, _digest, deterministic=True)
    tables = {names: table for table, names in columns(database).items()} if has_digests(database) else {}

    def made(cursor: sqlite3.Cursor, values: tuple[Any, ...]) -> sqlite3.Row:
        table = tables.get(tuple(column[0] for column in cursor.description))
        row = {} if table is None else dict(zip(_names(cursor), values, strict=True))
        if table is not None and not is_unaltered(database, table, row) and _is_there(database, table, row):
            raise wrong(table, str(values[0]))
        return sqlite3.Row(cursor, values)

    return made


def is_unaltered(database: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> bool:
    """Whether a row is as it was written."""
    digest = digest_of_row(table, row)
    return database.execute(f"SELECT 1 FROM {TABLE} WHERE digest = ?", (digest,)).fetchone() is not None


def altered(
    database: sqlite3.Connection, table: str, names: Sequence[str], condition: str, values: Sequence[Any]
) -> list[str]:
    """The first column of every row of a table that meets an SQL condition and changed since it was written. One
    statement checks many rows faster than ``checking_row_factory``, which the connection must have.

    ``names``: of all columns of the table; ``values``: of the condition's parameters.
    """
    if not has_digests(database):
        return []
    known = f"SELECT 1 FROM {TABLE} WHERE digest = {_call(table, names, f'{table}.')}"
    found = database.execute(f"SELECT {names[0]} FROM {table} WHERE {condition} AND NOT EXISTS ({known})", values)
    return [str(row[0]) for row in found.fetchall()]


def _is_there(database: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> bool:
    """Whether the table has this row and no digest of it. Another process may have changed both since the row was read,
    so one statement checks both."""
    same = " AND ".join(f"{name} IS ?" for name in row)
    lacks = f"NOT EXISTS (SELECT 1 FROM {TABLE} WHERE digest = ?)"
    values = (*row.values(), digest_of_row(table, row))
    return database.execute(f"SELECT 1 FROM {table} WHERE {same} AND {lacks}", values).fetchone() is not None


def digest_of_row(table: str, row: Mapping[str, Any]) -> bytes:
    return _digest(table, *(part for named in row.items() for part in named))


def altered_rows(database: sqlite3.Connection, of: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    """(table, value of the first column) of every row that changed since it was written, then (table, "") for each
    digest whose row is missing."""
    database.execute("BEGIN")  # one state of the file, also while somebody writes to it
    try:
        kept = {bytes(row[0]): str(row[1]) for row in database.execute(f"SELECT digest, source FROM {TABLE}")}
        seen = set()
        for table, names in columns(database).items():
            for values in () if of and table not in of else database.execute(f"SELECT {', '.join(names)} FROM {table}"):
                digest = digest_of_row(table, dict(zip(names, tuple(values), strict=True)))
                seen.add(digest)
                if digest not in kept:
                    yield table, str(values[0])
        yield from ((table, "") for digest, table in kept.items() if digest not in seen)
    finally:
        database.execute("ROLLBACK")


def _names(cursor: sqlite3.Cursor) -> Sequence[str]:
    return [column[0] for column in cursor.description]


def _call(table: str, names: Sequence[str], of: str = "") -> str:
    """The digest of a row as SQL computes it."""
    named = ", ".join(f"'{name}', {of}{name}" for name in names)
    return f"row_digest('{table}', {named})"


def _digest(table: str, *named: Any) -> bytes:
    digest = blake2b(table.encode(), digest_size=16)
    for name, value in zip(named[::2], named[1::2], strict=True):
        if value is not None:
            content = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
            digest.update(f"\0{name}\0{type(value).__name__}\0{len(content)}\0".encode() + content)
    return digest.digest()
