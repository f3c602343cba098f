"""What a person may ask of a session that has not ended, recorded in its ledger. Illegal requests are refused at once.

| what | data |
|---|---|
| pause, continue | |
| stop | ``after_round``: whether the wave or stack in progress, and the checks at the end, are still measured |
| skip | ``proposal``: the id of a proposal |
| propose | ``knob``, ``value``, ``why`` |
| note | ``text`` |
| budget | ``hours``, ``probes``, ``decisions``: the limits that change |
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.ledger.requests import RequestKind, SteeringRequest
from agent.ledger.results.rows import value_of
from agent.ledger.store import Ledger
from agent.ledger.tables import SessionRow, last_incumbent
from agent.proposers.context import CALIBRATION
from agent.study.load import recorded_study
from agent.workspace.folder import Workspace
from agent.workspace.full_disk import full_disk_reported
from common.clock import now
from common.errors import BadInput
from common.redaction import redacted
from common.wording import one_line
from lanes import Recipe, SearchSpace, Value, show

STATES = ("pause", "continue", "stop")
"""The last of these that was taken is in force."""
MOST_TEXT = 1000
"""Characters of a note or of a reason."""


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What a request is checked against. ``row``: of the session; ``incumbent``: the current one."""

    ledger: Ledger
    row: SessionRow
    space: SearchSpace
    incumbent: Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRequest:
    """A recorded request. ``is_running``: whether a process runs the session now."""

    session: str
    request: SteeringRequest
    is_running: bool


CheckRequest = Callable[[RequestContext], Mapping[str, Any]]
"""Checks a request and returns its data; BadInput if it is illegal."""


def ask(workspace: Workspace, what: RequestKind, check: CheckRequest = lambda found: {}) -> RecordedRequest:
    """Record a request to the session of a workspace that has not ended; BadInput if it is illegal, or if there is no
    such session."""
    with Ledger(workspace.ledger, read_only=True) as ledger:
        row, is_running = _unfinished(workspace, ledger)
        data = check(_situation(workspace, ledger, row))
    if not os.access(workspace.ledger, os.W_OK):
        raise BadInput(f"a request is written to the ledger and you may not write {workspace.ledger}; ask its owner")
    time = now()
    with full_disk_reported(workspace), Ledger(workspace.ledger) as ledger:
        number = ledger.record_request(row.id, time, what, data)
        ended = ledger.session(row.id)
    if number is None:
        raise _ended(workspace, ended or row)
    return RecordedRequest(
        session=row.id, request=SteeringRequest(number=number, time=time, what=what, data=data), is_running=is_running
    )


def in_words(request: SteeringRequest) -> str:
    """The request as a person would type it."""
    data = request.data
    if request.what == "stop":
        return "stop --after-round" if data["after_round"] else "stop"
    if request.what == "skip":
        return f"skip {data['number']}"
    if request.what == "propose":
        why = f' --why "{data["why"]}"' if data["why"] else ""
        return f"propose {data['knob']}={show(value_of(data['value']))}{why}"
    if request.what == "note":
        return f'note "{data["text"]}"'
    return " ".join([request.what, *(f"--{name} {value:g}" for name, value in data.items())])


def in_force(requests: Sequence[SteeringRequest]) -> SteeringRequest | None:
    """The pause or stop that is in force; None if neither is."""
    taken = [request for request in requests if request.answer and request.what in STATES]
    return taken[-1] if taken and taken[-1].what != "continue" else None


# the checks


def stop(after_round: bool) -> CheckRequest:
    return lambda found: {"after_round": after_round}


def note(text: str) -> CheckRequest:
    return lambda found: {"text": _text(text, "a note")}


def budget(limits: Mapping[str, float | None]) -> CheckRequest:
    """``limits``: hours, probes and decisions of the whole session; None leaves a limit as it is."""
    given = {name: value for name, value in limits.items() if value is not None}

    def check(found: RequestContext) -> Mapping[str, Any]:
        if not given:
            raise BadInput("a budget has a limit and none is given; give --hours, --probes or --decisions")
        return given

    return check


def skip(proposal: str) -> CheckRequest:
    """``proposal``: its id, or the number that it has in the session."""

    def check(found: RequestContext) -> Mapping[str, Any]:
        number = proposal.removeprefix(f"{found.row.id}-")
        name = f"{found.row.id}-{number.zfill(3)}"
        proposals = found.ledger.proposals("WHERE session = ?", (found.row.id,))
        row = next((one for one in proposals if one.id == name), None)
        decided = found.ledger.decision(name)
        if row is None:
            last = f"the last is {proposals[-1].id}" if proposals else "it has none yet"
            raise BadInput(
                f"session {found.row.id} has no proposal {proposal!r} ({last}); "
                "nightlane status --json lists those that are open under in_flight"
            )
        if decided is not None:
            raise BadInput(
                f"only an open proposal can be skipped and {number} is decided ({decided.status} {decided.reason}); "
                "nightlane status --json lists those that are open under in_flight"
            )
        if row.lane == CALIBRATION:
            raise BadInput(
                f"{number} is an A/A test, which counts false alarms; skip a proposal that changes something"
            )
        return {"proposal": name, "number": number.zfill(3)}

    return check


def propose(assignment: str, why: str) -> CheckRequest:
    """``assignment``: KNOB=VALUE. IllegalRecipe if the incumbent cannot make this move."""

    def check(found: RequestContext) -> Mapping[str, Any]:
        name, equals, text = assignment.partition("=")
        if not equals or not name or not text:
            raise BadInput(f"a proposal names one knob and its value as KNOB=VALUE and {assignment!r} does not")
        knob = found.space.knob(name.strip())
        if knob.lane not in found.space.shares:
            raise BadInput(
                f"{knob.name} is of the lane {knob.lane}, whose share is 0, so the session does not search it; "
                f"propose another knob, or raise the share under [lanes.{knob.lane}] for the next session"
            )
        value = _value(knob.values, text.strip())
        found.space.mutate(found.incumbent, knob.name, value)
        return {
            "knob": knob.name,
            "value": list(value) if isinstance(value, tuple) else value,
            "why": _text(why, "--why") if why else "",
        }

    return check


def _text(text: str, what: str) -> str:
    if len(text) > MOST_TEXT:
        raise BadInput(f"{what} has at most {MOST_TEXT} characters and this one {len(text)}; shorten it")
    line = redacted(one_line(text, MOST_TEXT))
    if not line:
        raise BadInput(f"{what} says something and this one is empty; write a sentence")
    return line


def _value(values: tuple[Value, ...], text: str) -> Value:
    """The value of the ladder that a text such as 2e-5, 0.00002 or a+b names. If there is none, the number or the text
    itself, which the ladder then refuses."""
    number = _number(text)
    for value in values:
        same = isinstance(value, int | float) and number is not None and f"{value:.6g}" == f"{number:.6g}"
        if same or show(value) == text:
            return value
    return text if number is None else number


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


# which session


def _unfinished(workspace: Workspace, ledger: Ledger) -> tuple[SessionRow, bool]:
    """The session that runs, or the last one that can be resumed, and whether it runs. BadInput if there is none."""
    is_held = workspace.holder() is not None
    running = ledger.session_of_last_event() if is_held else None
    row = ledger.session(running) if running else None
    if row is not None and not row.finished:
        return row, True
    name = ledger.unfinished()
    row = ledger.session(name) if name else None
    if row is None:
        last = ledger.session()
        raise _ended(workspace, last)
    return row, False


def _ended(workspace: Workspace, last: SessionRow | None) -> BadInput:
    why = f"the last, {last.id}, ended: {last.finish_reason}" if last else "none has begun"
    return BadInput(f"{workspace.root} has no session that can be steered ({why}); begin one with nightlane run STUDY")


def _situation(workspace: Workspace, ledger: Ledger, row: SessionRow) -> RequestContext:
    study = recorded_study((workspace.root / row.study_path).resolve(), row.study_text)
    decided = ledger.decisions("WHERE session = ? AND status = 'KEEP'", (row.id,))
    return RequestContext(
        ledger=ledger,
        row=row,
        space=study.lanes,
        incumbent=ledger.recipe(last_incumbent(row, decided)),
    )
