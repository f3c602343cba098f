"""results.tsv and progress.log: written from the ledger, appended and flushed, rebuilt when they disagree with it.

Lines of sessions that this ledger does not know (recorded nights, another machine's) are left alone, where they are.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.ledger import Ledger
from probes.store import write_durably

COLUMNS = (
    "time", "session", "id", "status", "lane", "knob", "before", "after", "steps", "seeds", "samples", "target",
    "baseline", "delta", "ci_low", "ci_high", "overall", "overall_delta", "worst_guard", "worst_guard_delta",
    "guards_ok", "critical_failures", "probe_seconds", "tokens_per_second", "peak_gb", "cost_usd", "proposer",
    "reason", "description",
)  # fmt: skip
HEADER = "\t".join(COLUMNS)


def publish(ledger: Ledger, workspace: Path) -> None:
    """Bring both files in step with the ledger."""
    known = set(ledger.sessions())
    rows = [row_text(decision.row) for decision in ledger.decisions()]
    _Follower(workspace / "results.tsv", HEADER, lambda line: line.split("\t")[1:2]).follow(rows, known)
    lines = [f"{time} {session} {text}" for session, time, text in ledger.events()]
    _Follower(workspace / "runs" / "progress.log", None, lambda line: line.split(" ")[1:2]).follow(lines, known)


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
    text = text.encode("utf-8", "replace").decode("utf-8")
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


@dataclass(frozen=True)
class _Follower:
    """A text file whose lines of known sessions must be exactly the given ones, in order."""

    path: Path
    header: str | None
    session_of: Callable[[str], Sequence[str]]

    def follow(self, wanted: list[str], known: set[str]) -> None:
        present, whole = self._lines()
        if not whole and present and any(line.startswith(present[-1]) for line in wanted):
            present = present[:-1]  # a line of ours that was torn while it was written
        mine = [line for line in present if self._is_ours(line, known)]
        if whole and mine == wanted[: len(mine)]:
            self._append(wanted[len(mine) :], fresh=not present and not self.path.exists())
        else:
            foreign = [line for line in present if not self._is_ours(line, known)]
            body = [self.header] if self.header and self.header not in foreign[:1] else []
            write_durably(self.path, "".join(f"{line}\n" for line in [*body, *foreign, *wanted]))

    def _is_ours(self, line: str, known: set[str]) -> bool:
        return bool(known.intersection(self.session_of(line)))

    def _lines(self) -> tuple[list[str], bool]:
        """The file's lines, and whether it is whole: it begins with its header and ends with a newline."""
        if not self.path.exists():
            return [], True
        text = self.path.read_bytes().decode("utf-8", "replace")
        lines = text.split("\n")
        headed = self.header is None or lines[0].split("\t")[: len(COLUMNS)] == self.header.split("\t")
        return [line for line in lines if line], headed and text.endswith("\n")

    def _append(self, lines: list[str], fresh: bool) -> None:
        head = [self.header] if fresh and self.header else []
        if not head and not lines:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8", newline="\n") as stream:
            stream.write("".join(f"{line}\n" for line in [*head, *lines]))
            stream.flush()
            os.fsync(stream.fileno())
