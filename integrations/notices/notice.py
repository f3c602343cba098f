"""The notices of a session: a title and at most ten short lines, which fit a phone. Pure functions of its record."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from agent.ledger.tables import DecisionRow
from agent.loop.budget import budget_left
from common.redaction import redacted
from common.wording import count, one_line
from view.data.figures import shown
from view.data.next_commands import report_command, resume_command, status_command
from view.data.session_record import SessionRecord
from view.markdown import duration

NoticeKind = Literal["began", "first_keep", "judge_unfit", "money", "disk", "ended", "stopped", "died"]
MOST_LINES, LONGEST, MOST_KEPT = 10, 72, 3
NEARLY_SPENT, DISK_TIMES = 0.9, 2.0
"""A notice is due when this share of the money is spent, or when the disk has less than this many times the space that
must stay free."""


@dataclass(frozen=True, slots=True)
class Notice:
    kind: NoticeKind
    title: str
    text: str


def due(record: SessionRecord) -> Iterator[Notice]:
    """All notices that are due by now, whether or not they were sent before."""
    spent, budget = record.spent, record.budget
    if record.examinations and not record.examinations[-1].passed:
        yield _notice(record, "judge_unfit", "the judge is unfit", "It failed its last examination.")
    if record.session.finished:
        kept = count(len(_standing(record)), "change")
        yield _notice(record, "ended", f"ended, {kept} kept", record.session.finish_reason or "")
        return
    yield _notice(record, "began", "a session began", "")
    if _standing(record):
        yield _notice(record, "first_keep", "first KEEP", "")
    if budget.dollars is not None and spent.dollars >= NEARLY_SPENT * budget.dollars:
        yield _notice(
            record, "money", "money is near its end", f"${spent.dollars:.2f} of ${budget.dollars:g} are spent."
        )
    if spent.free_gb < DISK_TIMES * budget.disk_gb:
        left = f"{spent.free_gb:.2f} GB are left, {budget.disk_gb:g} must stay free."
        yield _notice(record, "disk", "the disk is nearly full", left)


def stopped(record: SessionRecord, why: str) -> Notice:
    """The session stopped before its end, and its process says why."""
    return _notice(record, "stopped", "the session stopped", why)


def died(record: SessionRecord) -> Notice:
    """The session's process is gone and did not record why."""
    return _notice(record, "died", "the session died", "Its process is gone; no decision is lost.")


def not_begun(study: str, why: str) -> Notice:
    return Notice("stopped", _line(f"{study}: no session began"), _line(why))


def _notice(record: SessionRecord, kind: NoticeKind, what: str, why: str) -> Notice:
    lines = [why] if why else []
    lines += _digest(record)
    return Notice(kind, _line(f"{record.session.study}: {what}"), "\n".join(map(_line, lines[:MOST_LINES])))


def _digest(record: SessionRecord) -> Iterator[str]:
    """At most nine lines."""
    root, session = str(record.workspace.root), record.session
    counts = Counter(decision.status for decision in record.decisions_on_changes)
    keeps, taken_back = _standing(record), len(record.retractions)
    yield f"session {session.id}"
    retracted = f", {taken_back} retracted" if taken_back else ""
    yield f"{counts['KEEP']} kept of {count(sum(counts.values()), 'decision')}{retracted}"
    yield from (_kept(row) for row in keeps[:MOST_KEPT])
    if len(keeps) > MOST_KEPT:
        yield f"and {len(keeps) - MOST_KEPT} more"
    cost = f", ${record.spent.dollars:.2f}" if record.priced else ""
    yield f"active {duration(record.spent.hours * 3600)}, {count(len(record.probes), 'probe')}{cost}"
    if session.finished:
        yield report_command(session.id, root)
    else:
        yield f"left: {budget_left(record.budget, record.spent)}"
        yield status_command(session, root) if record.state == "running" else resume_command(session, root)


def _standing(record: SessionRecord) -> list[DecisionRow]:
    """The KEEPs that were not taken back."""
    return [row for row in record.decisions_on_changes if row.status == "KEEP" and row.id not in record.retractions]


def _kept(decision: DecisionRow) -> str:
    row = decision.row
    change = f"KEEP {row['knob']} {shown(row['before'])} -> {shown(row['after'])}"
    if row.get("delta") is None:
        return change
    return f"{change}, {row['delta']:+.2f} [{row['ci_low']:+.2f}, {row['ci_high']:+.2f}]"


def _line(text: str) -> str:
    line = redacted(one_line(text, 10_000))
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
