"""results.tsv and progress.log: written from the ledger, appended to, and rebuilt when they disagree with it.

Lines of sessions that this ledger does not know (recorded nights, another machine's) stay as they are. What a rebuilt
file no longer contains is kept in runs/set-aside. A file that cannot be written does not end a session, since the
ledger has every line.
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

from agent.ledger.results.columns import HEADER
from agent.ledger.results.sheet import decoded, one_line, read_sheet, row_text
from agent.ledger.store import Ledger
from agent.ledger.tables import DecisionRow
from agent.workspace.folder import Workspace
from common.errors import BadInput, WorkspaceBusy
from common.files import describe_file_error, is_full_disk, sync, write_durably
from preferences.store.annotations import Withdrawal
from preferences.store.stores import Stores

LINES_PER_MARK = 100
"""After so many lines, the verified length is stored, so that a later process verifies only what follows."""


def publish(ledger: Ledger, workspace: Path) -> list[str]:
    """Bring both files up to date with the ledger, once; returns messages for a person."""
    return ResultFiles(ledger, workspace).publish()


def catch_up(workspace: Workspace) -> list[str]:
    """Bring the files of a workspace up to date, if no session runs in it and this user may write to it."""
    if not os.access(workspace.runs, os.W_OK):
        return []
    try:
        with workspace.held(), Ledger(workspace.ledger, read_only=True) as ledger:
            return ResultFiles(ledger, workspace.root).publish()
    except WorkspaceBusy:
        return []


class ResultFiles:
    """Both files of a workspace. A file that was verified is not read again unless somebody else writes to it."""

    def __init__(self, ledger: Ledger, workspace: Path) -> None:
        self.ledger = ledger
        self._stores = Stores(workspace / "runs" / "rl_data")
        self._last_retraction, self._trouble = 0, ""
        self._files = (
            _ResultFile(workspace / "results.tsv", workspace / "runs", _DecisionLines(ledger)),
            _ResultFile(workspace / "runs" / "progress.log", workspace / "runs", _EventLines(ledger)),
        )

    def publish(self) -> list[str]:
        """Bring both files up to date and withdraw the pairs of retracted decisions; returns messages for a person.

        OSError only when the disk is full.
        """
        return [*(message for file in self._files for message in file.update()), *self._withdraw()]

    def _withdraw(self) -> list[str]:
        """Withdraw the pairs of decisions that were retracted since the last call."""
        retractions = self.ledger.retractions(self._last_retraction)
        if not retractions:
            return []
        withdrawals = [
            Withdrawal("", self._harvested_by(row), f"a KEEP of its stack was retracted: {row.reason}", row.time)
            for _, row in retractions
        ]
        try:
            self._stores.withdraw_all(withdrawals)
        except (BadInput, OSError) as error:
            if isinstance(error, OSError) and is_full_disk(error):
                raise
            known = self._trouble
            self._trouble = describe_file_error(error) if isinstance(error, OSError) else str(error)
            message = (
                f"the pairs of retracted decisions cannot be withdrawn ({self._trouble}); correct that, and the "
                "session or nightlane report will withdraw them"
            )
            return [] if known == self._trouble else [message]
        self._last_retraction = retractions[-1][0]
        known, self._trouble = self._trouble, ""
        return ["the pairs of retracted decisions are withdrawn"] if known else []

    def _harvested_by(self, retraction: DecisionRow) -> str:
        """The decision by which the pairs of a retracted KEEP were harvested: that on the first member of its stack."""
        kept = self.ledger.decision(retraction.proposal)
        stack = kept.basis.stack if kept and kept.basis else None
        return stack.members[0] if stack else retraction.proposal


class _Lines(Protocol):
    """The lines that a file must hold, and how its content is repaired."""

    @property
    def ledger(self) -> Ledger: ...

    def after(self, number: int) -> Iterator[tuple[int, str]]:
        """Numbered lines from the ledger after a number, in order."""

    def id_at(self, number: int) -> str | None:
        """The id of the line with this number, by which another ledger is noticed."""

    def repaired(self, content: bytes | None, wanted: Sequence[str], known: set[str]) -> "_Repaired": ...


@dataclass(frozen=True)
class _Repaired:
    """The whole file as it should be. ``discards``: whether something that somebody else wrote is no longer in it."""

    text: str
    discards: bool


@dataclass(frozen=True)
class _DecisionLines:
    ledger: Ledger

    def after(self, number: int) -> Iterator[tuple[int, str]]:
        return ((place, row_text(row)) for place, row in self.ledger.rows_after(number))

    def id_at(self, number: int) -> str | None:
        return self.ledger.id_at("decisions", number)

    def repaired(self, content: bytes | None, wanted: Sequence[str], known: set[str]) -> _Repaired:
        """Undo the changes of a spreadsheet; columns that a person added at the right stay with their rows."""
        content = content or b""
        sheet = read_sheet(content)
        ours = [row for row in sheet.rows if row.session in known]
        missing = wanted[len(ours) :]
        unfinished_is_ours = not sheet.unfinished or (bool(missing) and missing[0].startswith(sheet.unfinished))
        if sheet.unchanged and unfinished_is_ours and [row.cells for row in ours] == list(wanted[: len(ours)]):
            return _Repaired(decoded(content)[0].removesuffix(sheet.unfinished) + _with_line_ends(missing), False)
        if sheet.unfinished:
            sheet = read_sheet(content + b"\n")
        ours = [row for row in sheet.rows if row.session in known]
        unknown = {*(row.cells for row in ours), *sheet.other_lines} - set(wanted)
        extra = {row.id: row.extra for row in ours if row.extra}
        rows = [line + extra.pop(line.split("\t")[2], "") for line in wanted]
        foreign = [row.line for row in sheet.rows if row.session not in known]
        is_cut_off = len(unknown) == 1 and not decoded(content)[0].endswith("\n")
        discards = bool(extra) or not all(is_cut_off and _begins(line.rstrip("\t"), wanted) for line in unknown)
        return _Repaired(_with_line_ends([HEADER + sheet.extra, *foreign, *rows]), discards)


@dataclass(frozen=True)
class _EventLines:
    ledger: Ledger

    def after(self, number: int) -> Iterator[tuple[int, str]]:
        return (
            (place, one_line(f"{time} {session} {text}"))
            for place, session, time, text in self.ledger.events_after(number)
        )

    def id_at(self, number: int) -> str | None:
        return self.ledger.id_at("events", number)

    def repaired(self, content: bytes | None, wanted: Sequence[str], known: set[str]) -> _Repaired:
        text, is_utf8 = decoded(content or b"")
        lines = text.replace("\r\n", "\n").split("\n")
        unfinished = lines.pop()
        ours = [line for line in lines if known.intersection(line.split(" ")[1:2])]
        missing = wanted[len(ours) :]
        unfinished_is_ours = not unfinished or (bool(missing) and missing[0].startswith(unfinished))
        if is_utf8 and unfinished_is_ours and "\r" not in text and ours == list(wanted[: len(ours)]):
            return _Repaired(text.removesuffix(unfinished) + _with_line_ends(missing), False)
        foreign = [line for line in lines if line and not known.intersection(line.split(" ")[1:2])]
        discards = not set(ours) <= set(wanted) or (bool(unfinished) and not _begins(unfinished, wanted))
        return _Repaired(_with_line_ends([*foreign, *wanted]), discards)


@dataclass(frozen=True)
class _Verified:
    """A note that the first ``size`` bytes of a file agree with the ledger up to its line ``number``, whose id is
    ``name``."""

    size: int
    sha256: str
    number: int
    name: str | None


class _ResultFile:
    """One of the files, and the state in which this process left it."""

    def __init__(self, path: Path, runs: Path, lines: _Lines) -> None:
        self.path, self.lines, self.aside = path, lines, runs / "set-aside"
        self._mark_path = runs / f".{path.name}.verified"
        self._state: tuple[int, int, int] | None = None
        self._digest, self._size, self._number, self._unmarked = hashlib.sha256(), 0, 0, 0
        self._trouble = ""
        self._write_failed = False

    def update(self) -> list[str]:
        try:
            messages = self._verify() if self._state is None or self._stat() != self._state else []
            self._append(list(self.lines.after(self._number)))
        except OSError as error:
            if is_full_disk(error):
                raise
            self._state = None
            known, self._trouble = self._trouble, error.strerror or str(error)
            message = (
                f"{self.path} cannot be written ({self._trouble}); nothing is lost, the ledger has every line of it; "
                "correct that, and the session or nightlane report will write it"
            )
            return [] if known == self._trouble else [message]
        if self._trouble:
            self._trouble = ""
            messages = [*messages, f"{self.path} can be written again and has every line"]
        return messages

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        return found.st_size, found.st_mtime_ns, found.st_ino

    def _verify(self) -> list[str]:
        """Check the lines that the file has against the ledger, and repair it if they disagree."""
        content = self.path.read_bytes() if self._stat() else None
        if content is None or self._write_failed or not self._agrees(content):
            return self._repair(content)
        return []

    def _agrees(self, content: bytes) -> bool:
        """Whether the file begins as the stored mark says and continues with the ledger's lines."""
        try:
            mark = _Verified(**json.loads(self._mark_path.read_text(encoding="utf-8")))
            digest = hashlib.sha256(content[: mark.size])
        except (OSError, ValueError, TypeError):
            return False
        if digest.hexdigest() != mark.sha256 or self.lines.id_at(mark.number) != mark.name:
            return False
        tail, number = content[mark.size :], mark.number
        for place, line in self.lines.after(mark.number):
            if not tail:
                break
            expected = f"{line}\n".encode()
            if not tail.startswith(expected):
                return False
            tail, number = tail[len(expected) :], place
        if tail:
            return False
        digest.update(content[mark.size :])
        self._digest, self._size, self._number, self._state = digest, len(content), number, self._stat()
        return True

    def _repair(self, content: bytes | None) -> list[str]:
        numbered = list(self.lines.after(0))
        wanted = [line for _, line in numbered]
        repaired = self.lines.repaired(content, wanted, set(self.lines.ledger.sessions()))
        text, messages = repaired.text.encode(), list[str]()
        if content is not None and text.startswith(content) and not self._write_failed:
            self._write(text[len(content) :])
        else:
            kept = self._set_aside(content) if content is not None and repaired.discards else None
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(self.path, repaired.text)
            self._write_failed = False
            if content is not None:
                where = f"; the old file is {kept}" if kept else ""
                messages = [f"{self.path} did not agree with the ledger and was rewritten from it{where}"]
        self._digest, self._size = hashlib.sha256(text), len(text)
        self._number, self._state = max((number for number, _ in numbered), default=0), self._stat()
        self._mark()
        return messages

    def _set_aside(self, content: bytes) -> Path:
        """Keep the file as it was found in runs/set-aside; returns the path of the copy."""
        self.aside.mkdir(parents=True, exist_ok=True)
        stamp, number = datetime.now(UTC).strftime("%Y%m%d-%H%M%S"), 1
        while (path := self.aside / f"{self.path.stem}-{stamp}-{number}{self.path.suffix}").exists():
            number += 1
        with path.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        for folder in (self.aside, self.aside.parent):
            sync(folder)
        return path

    def _append(self, numbered: Sequence[tuple[int, str]]) -> None:
        if not numbered:
            return
        data = _with_line_ends([line for _, line in numbered]).encode()
        self._write(data)
        self._digest.update(data)
        self._size, self._number, self._state = self._size + len(data), numbered[-1][0], self._stat()
        self._unmarked += len(numbered)
        if self._unmarked >= LINES_PER_MARK:
            self._mark()

    def _write(self, data: bytes) -> None:
        """Append to the file and wait for the disk. After a failed write the content of the file is unknown."""
        if not data:
            return
        with self.path.open("ab") as stream:
            self._write_failed = True
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
            self._write_failed = False

    def _mark(self) -> None:
        """Store the mark. Without it, the next process verifies the whole file again."""
        mark = _Verified(self._size, self._digest.hexdigest(), self._number, self.lines.id_at(self._number))
        with contextlib.suppress(OSError):
            write_durably(self._mark_path, json.dumps(asdict(mark)) + "\n")
        self._unmarked = 0


def _with_line_ends(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _begins(line: str, lines: Sequence[str]) -> bool:
    """Whether a line that was cut off is the beginning of one of these."""
    return any(one.startswith(line) for one in lines)
