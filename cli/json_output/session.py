"""What the commands that run, show and steer sessions print with --json."""

from typing import (
    Any,
)

from typing_extensions import TypedDict

from agent.loop.budget import Spent
from agent.study.schema import Budget
from probes.result.cut_answers import CutAnswers
from view.data.sections.recipes import KnobDifference
from view.data.sections.requests import RequestLine


class Statuses(TypedDict):
    KEEP: int
    DISCARD: int
    CRASH: int
    RETRACT: int


class DoneSession(TypedDict):
    """``state``: "finished", "interrupted" or "running". ``incumbent``: the digest of the recipe that stands;
    ``differences``: its knobs that differ from the starting recipe. Paths are null if the file could not be written."""

    session: str
    study: str
    state: str
    finish_reason: str | None
    decisions: Statuses
    incumbent: str
    differences: list[KnobDifference]
    probes: int
    report: str | None
    page: str | None
    recipe: str | None


class LastDecision(TypedDict):
    """``delta`` and its interval: the change's own effect, in points of 10."""

    id: str
    status: str
    reason: str
    time: str
    knob: str | None
    before: Any
    after: Any
    delta: float | None
    ci_low: float | None
    ci_high: float | None


class OpenChange(TypedDict):
    id: str
    knob: str
    before: Any
    after: Any
    proposer: str


class RunningProbe(TypedDict):
    worker: int | None
    id: str
    seed: int
    phase: str
    step: int
    steps: int
    loss: float | None
    training_seconds_left: int | None
    seconds_left: int | None


class Running(TypedDict):
    title: str
    done: int
    waiting: int
    seconds_left: int | None
    workers: list[dict[str, Any]]
    probes: list[RunningProbe]


class Cut(TypedDict):
    max_new_tokens: int
    start: CutAnswers | None
    incumbent: CutAnswers | None


class ErrorLeft(TypedDict):
    """``budget``: the error of the night that confirmations may spend. ``left``: what is left of it."""

    budget: float
    left: float


class SessionStatus(TypedDict):
    """``process``: the id of the process that runs the session; null if none does. ``measuring``: the wave or stack
    that is measured; ``running``: its probes that run now. ``in_flight``: the changes that have no decision yet.
    ``checks``: the verdicts of the checks at the end. ``held``: the pause or stop that holds the session, in words; ""
    if neither does. ``requests``: what people asked of the session, oldest first. ``go_on``: the command to type
    next."""

    session: str
    study: str
    state: str
    process: int | None
    started: str
    finished: str | None
    finish_reason: str | None
    active_hours: float
    decisions: Statuses
    disguised: int
    last_decision: LastDecision | None
    waves: int
    recipes: int
    stacks: int
    measuring: dict[str, Any] | None
    running: Running | None
    in_flight: list[OpenChange]
    start: str
    incumbent: str
    differences: list[KnobDifference]
    probes: int
    cut_answers: Cut
    proposers: dict[str, int]
    error_left: ErrorLeft | None
    checks: dict[str, str]
    spent: Spent
    budget: Budget
    budget_left: str
    held: str
    requests: list[RequestLine]
    go_on: str


class NewRequest(TypedDict):
    """A request of a person to a session. ``is_running``: a process runs the session now; else the request waits until
    somebody resumes it."""

    session: str
    request: int
    what: str
    data: dict[str, Any]
    is_running: bool


class ServiceUnit(TypedDict):
    file: str
    unit: str
