"""results.tsv and progress.log: written from the ledger, appended and flushed, rebuilt when they disagree with it.

Lines of sessions that this ledger does not know (recorded nights, another machine's) are left alone, where they are.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.ledger import Ledger
from lanes.printable import printable
from preferences.stores import Stores
from probes.store import write_durably

COLUMNS = (
    "time", "session", "id", "status", "lane", "knob", "before", "after", "steps", "seeds", "samples", "target",
    "baseline", "delta", "ci_low", "ci_high", "overall", "overall_delta", "worst_guard", "worst_guard_delta",
    "guards_ok", "critical_failures", "probe_seconds", "tokens_per_second", "peak_gb", "cost_usd", "proposer",
    "reason", "description", "worst_guard_low", "shrunk", "error_spent", "policy",
)  # fmt: skip
HEADER = "\t".join(COLUMNS)


def publish(ledger: Ledger, workspace: Path) -> None:
    """Bring both files in step with the ledger, and withdraw the pairs of what was retracted."""
    known, decisions = set(ledger.sessions()), ledger.decisions()
    rows = [row_text(decision.row) for decision in decisions]
    _Follower(workspace / "results.tsv", HEADER, lambda line: line.split("\t")[1:2]).follow(rows, known)
    lines = [printable(f"{time} {session} {text}").replace("\n", " ") for session, time, text in ledger.events()]
    _Follower(workspace / "runs" / "progress.log", None, lambda line: line.split(" ")[1:2]).follow(lines, known)
    stores = Stores(workspace / "runs" / "rl_data")
    for decision in decisions:
        if decision.status == "RETRACT":
            stores.withdraw(f"its KEEP was retracted: {decision.reason}", decision.time, decision=decision.proposal)


def row_text(row: Mapping[str, Any]) -> str:
    return "\t".join(cell(row.get(column)) for column in COLUMNS)


def cell(value: Any) -> str:
    """One cell: dot decimals, blank for missing, and text that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int):
        return str(value)
    text = "".join(" " if ord(char) < 32 or char in "\x7f\x85\u2028\u2029" else char for char in str(value))
    text = printable(text.encode("utf-8", "replace").decode("utf-8"))
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


@dataclass(frozen=True)
class _Follower:
    """A text file whose lines of known sessions must be exactly the given ones, in order.

    What a spreadsheet does to it is undone or kept: line ends and a byte order mark are put right, columns that a
    person added at the right stay with their rows.
    """

    path: Path
    header: str | None
    session_of: Callable[[str], Sequence[str]]

    def follow(self, wanted: list[str], known: set[str]) -> None:
        text = self.path.read_bytes().decode("utf-8", "replace") if self.path.exists() else None
        lines = [line for line in (text or "").removeprefix("\ufeff").replace("\r\n", "\n").split("\n") if line]
        header, body = self._headed(lines)
        torn = bool(text) and not (text or "").endswith("\n")
        if torn and body and any(line.startswith(body[-1]) for line in wanted):
            body = body[:-1]  # a line of ours that was cut off while it was written
        mine = [line for line in body if known.intersection(self.session_of(line))]
        clean = text is None or (not torn and "\r" not in text and text[:1] != "\ufeff" and header == lines[:1])
        if clean and [self._own(line) for line in mine] == wanted[: len(mine)]:
            self._append([*(header if text is None else []), *wanted[len(mine) :]])
        else:
            foreign = [line for line in body if not known.intersection(self.session_of(line))]
            added = {self._own(line): self._added(line) for line in mine}
            rows = [line + added.get(line, "") for line in wanted]
            write_durably(self.path, "".join(f"{line}\n" for line in [*header, *foreign, *rows]))

    def _headed(self, lines: list[str]) -> tuple[list[str], list[str]]:
        """The file's header (a person may have added columns; an older one lacks ours), and the lines under it."""
        if self.header is None:
            return [], lines
        if lines and self._own(lines[0]) == self.header:
            return lines[:1], lines[1:]
        if lines and self.header.startswith(lines[0] + "\t"):
            return [self.header], lines[1:]
        return [self.header], lines

    def _own(self, line: str) -> str:
        """The columns that are ours."""
        return line if self.header is None else "\t".join(line.split("\t")[: len(COLUMNS)])

    def _added(self, line: str) -> str:
        return line[len(self._own(line)) :]

    def _append(self, lines: list[str]) -> None:
        if not lines:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8", newline="\n") as stream:
            stream.write("".join(f"{line}\n" for line in lines))
            stream.flush()
            os.fsync(stream.fileno())
