"""The incumbent over the night: how each KEEP adds to the gain since the session's start."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from view.data.changes import Change
from view.data.session_record import SessionRecord

IncumbentEvent = Literal["start", "KEEP", "DISCARD", "RETRACT", "end"]
NO_GAIN = Change(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressPoint:
    """``gain``: the gain in the target since the session's start, of the incumbent after the event; for a DISCARD, of
    the recipe that was tested. Its interval adds the errors of all confirmations as independent. ``stack``: None for
    the start, the end and a RETRACT, and in an older session."""

    time: str
    event: IncumbentEvent
    stack: int | None
    gain: Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """A test that was decided on: a stack, or in an older session a candidate. ``stands``: whether a part of it was
    kept and not retracted."""

    time: str
    status: str
    stack: int | None
    effect: Change | None
    stands: bool


def progress_points(record: SessionRecord, tests: Sequence[Confirmation]) -> tuple[ProgressPoint, ...]:
    """The points in order of time. A test that crashed has no score, and so no point."""
    if not tests:
        return ()
    gain, found = NO_GAIN, [_point(record.session.started, "start", NO_GAIN)]
    for test in tests:
        if test.effect is not None and test.status in ("KEEP", "DISCARD"):
            reached = added(gain, test.effect)
            event: IncumbentEvent = "KEEP" if test.status == "KEEP" else "DISCARD"
            found.append(_point(test.time, event, reached, test.stack))
            gain = reached if event == "KEEP" else gain
    if record.retractions:
        gain = NO_GAIN
        for test in tests:
            gain = added(gain, test.effect) if test.effect is not None and test.stands else gain
        found.append(_point(max(row.time for row in record.retractions.values()), "RETRACT", gain))
    last = record.session.finished or max(row.time for row in record.decisions)
    return (*found, _point(last, "end", gain))


def added(one: Change, other: Change) -> Change:
    """The sum of two changes that were measured on different seeds."""
    delta = one.delta + other.delta
    below = math.hypot(one.delta - one.low, other.delta - other.low)
    above = math.hypot(one.high - one.delta, other.high - other.delta)
    return Change(delta, delta - below, delta + above)


def _point(time: str, event: IncumbentEvent, gain: Change, stack: int | None = None) -> ProgressPoint:
    return ProgressPoint(time=time, event=event, stack=stack, gain=gain)
