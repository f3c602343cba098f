"""results.tsv and progress.log: written from the ledger and only appended to, rebuilt when they disagree with it.

Lines of sessions that this ledger does not know (recorded nights, another machine's) are left alone. What a rebuilt
file no longer has is kept in runs/set-aside. A file that cannot be written ends no night: the ledger has all of it.
"""

import contextlib
import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from agent.ledger.results_sheet import HEADER, cell, decoded, one_line, read_sheet, row_text
from agent.ledger.store import Ledger
from agent.workspace.folder import Workspace
from common.errors import WorkspaceBusy
from common.files import write_durably
from preferences.store.overlay import Withdrawal
from preferences.store.stores import Stores

__all__ = ["HEADER", "Followers", "cell", "publish", "row_text"]

MARKED_EVERY = 100
"""Lines after which what was verified is noted, so that a later process verifies only what follows."""


def publish(ledger: Ledger, workspace: Path) -> list[str]:
    """Bring both files in step with the ledger, once; what a person should know of it."""
    return Followers(ledger, workspace).publish()


def catch_up(workspace: Workspace) -> list[str]:
    """Bring the files of a workspace in step that nobody holds now and whoever asks may write to."""
    if not os.access(workspace.runs, os.W_OK):
        return []
    try:
        with workspace.held(), Ledger(workspace.ledger, read_only=True) as ledger:
            return Followers(ledger, workspace.root).follow()
    except WorkspaceBusy:
        return []


class Followers:
    """Both files of a workspace. What was verified once is not read again, as long as nobody else writes to it."""

    def __init__(self, ledger: Ledger, workspace: Path) -> None:
        self.ledger = ledger
        self._stores = Stores(workspace / "runs" / "rl_data")
        self._withdrawn = 0
        self._files = (
            _Follower(workspace / "results.tsv", workspace / "runs", _DecisionRows(ledger)),
            _Follower(workspace / "runs" / "progress.log", workspace / "runs", _EventLines(ledger)),
        )

    def publish(self) -> list[str]:
        """Bring both files in step, and withdraw the pairs of what was retracted; what a person should know of it.
        OSError on a full disk alone."""
        said = self.follow()
        gone = self.ledger.retractions(self._withdrawn)
        if gone:
            self._stores.withdraw_all([
                Withdrawal("", one.proposal, f"its KEEP was retracted: {one.reason}", one.time) for _, one in gone
            ])  # fmt: skip
            self._withdrawn = gone[-1][0]
        return said

    def follow(self) -> list[str]:
        """The files alone."""
        return [told for file in self._files for told in file.follow()]


class _Source(Protocol):
    """What a file must hold, and how what it holds is made that."""

    @property
    def ledger(self) -> Ledger: ...

    def after(self, number: int) -> Iterator[tuple[int, str]]:
        """Numbered lines from the ledger that come after a number, in order."""

    def name(self, number: int) -> str | None:
        """Of the line of this number, in the ledger: another ledger has another there."""

    def mended(self, content: bytes | None, wanted: Sequence[str], known: set[str]) -> "_Mended": ...


@dataclass(frozen=True)
class _Mended:
    """The whole file as it should be; ``lost``: whether something that somebody else wrote is not in it."""

    text: str
    lost: bool


@dataclass(frozen=True)
class _DecisionRows:
    ledger: Ledger

    def after(self, number: int) -> Iterator[tuple[int, str]]:
        return ((place, row_text(row)) for place, row in self.ledger.rows_after(number))

    def name(self, number: int) -> str | None:
        return self.ledger.id_at("decisions", number)

    def mended(self, content: bytes | None, wanted: Sequence[str], known: set[str]) -> _Mended:
        """What a spreadsheet did is undone or kept: columns that a person added at the right stay with their rows."""
        content = content or b""
        sheet = read_sheet(content)
        mine = [row for row in sheet.rows if row.session in known]
        rest = wanted[len(mine) :]
        begun = not sheet.torn or (bool(rest) and rest[0].startswith(sheet.torn))
        if sheet.plain and begun and [row.own for row in mine] == list(wanted[: len(mine)]):
            return _Mended(decoded(content)[0].removesuffix(sheet.torn) + _ended(rest), False)
        if sheet.torn:
            sheet = read_sheet(content + b"\n")
        mine = [row for row in sheet.rows if row.session in known]
        strange = {*(row.own for row in mine), *sheet.odd} - set(wanted)
        added = {row.id: row.added for row in mine if row.added}
        rows = [line + added.pop(line.split("\t")[2], "") for line in wanted]
        foreign = [row.line for row in sheet.rows if row.session not in known]
        cut = len(strange) == 1 and not decoded(content)[0].endswith("\n")
        lost = bool(added) or not all(cut and _begins(line.rstrip("\t"), wanted) for line in strange)
        return _Mended(_ended([HEADER + sheet.added, *foreign, *rows]), lost)


@dataclass(frozen=True)
class _EventLines:
    ledger: Ledger

    def after(self, number: int) -> Iterator[tuple[int, str]]:
        return (
            (place, one_line(f"{time} {session} {text}"))
            for place, session, time, text in self.ledger.events_after(number)
        )

    def name(self, number: int) -> str | None:
        return self.ledger.id_at("events", number)

    def mended(self, content: bytes | None, wanted: Sequence[str], known: set[str]) -> _Mended:
        text, plain = decoded(content or b"")
        lines = text.replace("\r\n", "\n").split("\n")
        torn = lines.pop()
        mine = [line for line in lines if known.intersection(line.split(" ")[1:2])]
        rest = wanted[len(mine) :]
        begun = not torn or (bool(rest) and rest[0].startswith(torn))
        if plain and begun and "\r" not in text and mine == list(wanted[: len(mine)]):
            return _Mended(text.removesuffix(torn) + _ended(rest), False)
        foreign = [line for line in lines if line and not known.intersection(line.split(" ")[1:2])]
        lost = not set(mine) <= set(wanted) or (bool(torn) and not _begins(torn, wanted))
        return _Mended(_ended([*foreign, *wanted]), lost)


@dataclass(frozen=True)
class _Mark:
    """That the first ``size`` bytes of a file were as they should be up to the ledger's line ``number``, which has this
    ``name``."""

    size: int
    sha256: str
    number: int
    name: str | None


class _Follower:
    """One of the files, as this process left it."""

    def __init__(self, path: Path, runs: Path, source: _Source) -> None:
        self.path, self.source, self.aside = path, source, runs / "set-aside"
        self._marks = runs / f".{path.name}.verified"
        self._left: tuple[int, int, int] | None = None
        self._digest, self._size, self._number, self._marked = hashlib.sha256(), 0, 0, 0
        self._trouble = ""
        self._doubtful = False

    def follow(self) -> list[str]:
        try:
            said = self._verified() if self._left is None or self._seen() != self._left else []
            self._append(list(self.source.after(self._number)))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            self._left = None
            known, self._trouble = self._trouble, error.strerror or str(error)
            return [] if known == self._trouble else [
                f"{self.path} cannot be written ({self._trouble}); nothing is lost, the ledger has every line of it; "
                "mend that, and the session writes it as it goes on, as nightlane report does"
            ]  # fmt: skip
        if self._trouble:
            self._trouble = ""
            said = [*said, f"{self.path} can be written again and has every line"]
        return said

    def _seen(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no plain file")
        return found.st_size, found.st_mtime_ns, found.st_ino

    def _verified(self) -> list[str]:
        """Find how far the file goes, and make it agree with the ledger as far as it goes."""
        content = self.path.read_bytes() if self._seen() else None
        if content is None or self._doubtful or not self._as_marked(content):
            return self._mend(content)
        return []

    def _as_marked(self, content: bytes) -> bool:
        """Whether a mark vouches for the file's beginning, and what follows is what the ledger says."""
        try:
            mark = _Mark(**json.loads(self._marks.read_text(encoding="utf-8")))
            digest = hashlib.sha256(content[: mark.size])
        except (OSError, ValueError, TypeError):
            return False
        if digest.hexdigest() != mark.sha256 or self.source.name(mark.number) != mark.name:
            return False
        tail, number = content[mark.size :], mark.number
        for place, line in self.source.after(mark.number):
            if not tail:
                break
            own = f"{line}\n".encode()
            if not tail.startswith(own):
                return False
            tail, number = tail[len(own) :], place
        if tail:
            return False
        digest.update(content[mark.size :])
        self._digest, self._size, self._number, self._left = digest, len(content), number, self._seen()
        return True

    def _mend(self, content: bytes | None) -> list[str]:
        numbered = list(self.source.after(0))
        wanted = [line for _, line in numbered]
        mended = self.source.mended(content, wanted, set(self.source.ledger.sessions()))
        text, said = mended.text.encode(), list[str]()
        if content is not None and text.startswith(content) and not self._doubtful:
            self._write(text[len(content) :])
        else:
            kept = self._set_aside(content) if content is not None and mended.lost else None
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(self.path, mended.text)
            self._doubtful = False
            if content is not None:
                where = f"; as it was it lies in {kept}" if kept else ""
                said = [f"{self.path} was not what the ledger says and was written again from it{where}"]
        self._digest, self._size = hashlib.sha256(text), len(text)
        self._number, self._left = max((number for number, _ in numbered), default=0), self._seen()
        self._mark()
        return said

    def _set_aside(self, content: bytes) -> Path:
        """Keep the file as it was found, under a name of its own."""
        self.aside.mkdir(parents=True, exist_ok=True)
        stamp, number = datetime.now(UTC).strftime("%Y%m%d-%H%M%S"), 1
        while (path := self.aside / f"{self.path.stem}-{stamp}-{number}{self.path.suffix}").exists():
            number += 1
        with path.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        return path

    def _append(self, numbered: Sequence[tuple[int, str]]) -> None:
        if not numbered:
            return
        data = _ended([line for _, line in numbered]).encode()
        self._write(data)
        self._digest.update(data)
        self._size, self._number, self._left = self._size + len(data), numbered[-1][0], self._seen()
        self._marked += len(numbered)
        if self._marked >= MARKED_EVERY:
            self._mark()

    def _write(self, data: bytes) -> None:
        """At the end, and wait for the disk. After a write that failed nobody knows what the disk has."""
        if not data:
            return
        with self.path.open("ab") as stream:
            self._doubtful = True
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
            self._doubtful = False

    def _mark(self) -> None:
        """Without it the next process reads everything again."""
        mark = _Mark(self._size, self._digest.hexdigest(), self._number, self.source.name(self._number))
        with contextlib.suppress(OSError):
            write_durably(self._marks, json.dumps(asdict(mark)) + "\n")
        self._marked = 0


def _ended(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _begins(line: str, lines: Sequence[str]) -> bool:
    """Whether a line that was cut off is the beginning of one of these."""
    return any(one.startswith(line) for one in lines)
