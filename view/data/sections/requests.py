"""The requests of a person to a running session, and what became of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.ledger.requests import SteeringRequest
from agent.steering.requests import in_force, in_words


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLine:
    """``asked``: the request as a person would type it. ``answer``: what the session did; "" until it is taken."""

    number: int
    time: str
    asked: str
    answer: str


def request_lines(requests: Sequence[SteeringRequest]) -> tuple[RequestLine, ...]:
    """Oldest first."""
    return tuple(
        RequestLine(number=one.number, time=one.time, asked=in_words(one), answer=one.answer.text if one.answer else "")
        for one in requests
    )


def held_by(requests: Sequence[SteeringRequest]) -> str:
    """The pause or stop in force, in words; "" if there is none."""
    holds = in_force(requests)
    if holds is None:
        return ""
    return "paused; nightlane continue goes on" if holds.what == "pause" else "stopped by a person; it ends"
