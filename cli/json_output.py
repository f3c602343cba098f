"""What every command prints with --json: a type each. docs/json.md is written from it; tests hold the outputs to it.

A dataclass is printed as it is; a TypedDict is what a command puts together. New keys may be added in any version; keys
that are there keep their meaning.
"""

from dataclasses import dataclass
from typing import (
    Any,
    NotRequired,  # pydantic reads these in Python 3.11
    get_type_hints,
)

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from agent.loop.budget import Spent
from agent.rescore.session import Rescored
from agent.study.schema import Budget
from agent.workspace.pair_stores import Reviewed
from finetune.manifest import Manifest
from finetune.promotion.figures import Flip
from preferences.scoring.cost import JudgingCost
from preferences.store.annotations import Review
from preferences.store.audit import Audit
from probes.endpoint.spending import Usage
from probes.result.cut_answers import CutAnswers
from view.data.figures import SessionFigures
from view.data.sections.recipes import KnobDifference
from view.data.sections.requests import RequestLine
from view.explain.explanation import Explanation
from view.explain.stack import StackExplanation


class NewStudy(TypedDict):
    study: str
    files: list[str]


class EndpointAsked(TypedDict):
    """One question to an endpoint. ``failure``: "" if it answered; ``required``: the study cannot do without it."""

    role: str
    model: str
    url: str
    seconds: float
    said: str
    problem: str
    schema_refused: str
    failure: str
    dollars: float | None
    repeated: str
    required: bool


class StudyCheck(TypedDict):
    """``rows``: the number of rows that are trained on, by source. ``legal_moves``: the number of moves from the
    starting recipe, by lane. ``rendered``: whether the tokenizer was there; ``cut_rows``, ``longest_rows`` (tokens):
    the number of rows that are cut and the longest row, by source, if it was. ``says``: the cost and what the night can
    show, as text for people."""

    study: str
    file: str
    target: str
    guards: dict[str, float]
    probe_prompts: dict[str, int]
    rows: dict[str, int]
    left_out: list[str]
    legal_moves: dict[str, int]
    rendered: bool
    cut_rows: dict[str, int]
    longest_rows: dict[str, int]
    memory: str | None
    seconds_per_probe: float | None
    says: str
    endpoints: list[EndpointAsked]


class WrittenPrompts(TypedDict):
    file: str
    prompts: int
    splits: dict[str, int]


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


class ServedPages(TypedDict):
    address: str


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


class SkillFile(TypedDict):
    file: str


class EvaluatedProblems(TypedDict):
    """``pass_at_k``: by k. The figures of the only or the later side are at the top, and those of each in ``sides``."""

    problems_file: str
    problems: int
    seconds: float
    refused: list[dict[str, Any]]
    unknown: dict[str, int]
    missing: list[str]
    unanswered: int
    pass_at_k: dict[str, Any]
    classes: dict[str, int]
    format_only: int
    results: list[dict[str, Any]]
    sides: list[dict[str, Any]]
    breakdown: dict[str, Any] | None


class EvaluatedStudy(TypedDict):
    """``sides``: the base and each adapter: levels by category, changes against the base, examples."""

    kind: str
    study: str
    split: str
    prompts_digest: str
    target: str
    guards: dict[str, float]
    seeds: Any
    samples: int
    quantization: str
    confidence: float
    answers: int
    earlier_looks: int
    warning: str | None
    seconds: float
    judging: Usage
    sides: list[dict[str, Any]]


class FailedRun(TypedDict):
    recipe: str
    seed: int
    why: str


class PromotionFigures(TypedDict):
    """``status``: PROMOTE or HOLD. The keys from ``categories`` on are missing if a run failed."""

    promotion: str
    study: str
    status: str
    reason: str
    explanation: str
    steps: int
    seeds: list[int]
    start: str
    stands: str
    target: str
    guards: dict[str, float]
    confidence: float
    failed: list[FailedRun]
    prediction: dict[str, Any]
    categories: NotRequired[dict[str, Any]]
    failures: NotRequired[dict[str, list[int]]]
    format_only: NotRequired[list[int]]
    critical: NotRequired[list[int]]
    missing: NotRequired[list[int]]
    newly_passing: NotRequired[list[Flip]]
    newly_failing: NotRequired[list[Flip]]


class WrittenExport(TypedDict):
    """``checks``: how far the export's answers are from PEFT's. ``commands``: the commands that serve it."""

    folder: str
    kind: str
    adapter: str
    base: str
    study: str | None
    recipe: Any
    checks: list[dict[str, Any]]
    llama_cpp: dict[str, Any] | None
    converter: dict[str, Any] | None
    answers: list[dict[str, str]]
    warnings: list[str]
    files: dict[str, str]
    commands: list[dict[str, Any]]


class Shipped(TypedDict):
    session: str
    adapter: str
    promotion: str
    decision: str
    export: str


class FileSays(TypedDict):
    what: str
    whole: bool
    says: str


class DoctorReport(TypedDict):
    machine: list[str]
    healthy: bool
    files: list[FileSays]
    repaired: list[str]
    endpoints: list[EndpointAsked]


class ScoredBy(TypedDict):
    scorer: str
    kind: str
    study: str
    time: str


class PairRow(TypedDict):
    """A row of a store. ``chosen`` and ``rejected`` of pairs, and ``completion`` of other rows, are a text or turns."""

    id: str
    time: str
    prompt: Any
    chosen: NotRequired[Any]
    rejected: NotRequired[Any]
    completion: NotRequired[Any]
    score: NotRequired[float | None]
    chosen_score: NotRequired[float | None]
    rejected_score: NotRequired[float | None]
    provenance: dict[str, Any]
    category: str
    source: str
    receipt: dict[str, Any] | None
    kind: str
    state: str
    reason: str | None
    margin: float | None
    up: int
    down: int
    flipped: bool
    dropped: bool
    reviews: list[Review]
    scoring: ScoredBy | None


class BadLine(TypedDict):
    line: int
    why: str


class ImportedRows(TypedDict):
    """How many rows or votes are new and how many were known; the bad rows that were left out, and columns without a
    meaning."""

    file: str
    kind: str
    new: int
    known: int
    bad: list[BadLine]
    ignored: list[str]
    prompts_removed: int


class ExportedPairs(TypedDict):
    kind: str
    file: str
    card: str
    rows: int
    held_back: NotRequired[int]
    repeated: NotRequired[int]
    reviewed: NotRequired[bool]
    judged_bad: NotRequired[list[str]]
    ids: NotRequired[list[str]]
    decisions: NotRequired[list[dict[str, str]]]


class PlannedScoring(TypedDict):
    """With --dry-run only the plan; else what was scored, too. ``judge``: what it costs at most, or has cost."""

    kind: str
    scorer: str
    rows: int
    answers: int
    left_out: dict[str, int]
    other_categories: dict[str, int]
    judge: JudgingCost | Usage | None
    scored: NotRequired[list[dict[str, Any]]]
    missing: NotRequired[dict[str, int]]
    reversed: NotRequired[list[str]]


class CertifiedRows(TypedDict):
    """``layers``: how many rows each caught, alone, and how many were left."""

    kind: str
    gate: str
    rows: int
    without_contract: int
    new_orpo_rows: int
    kept_out: list[str]
    mechanical: int
    certified: int
    topics_told_apart: bool
    layers: list[dict[str, Any]]
    refused: list[dict[str, Any]]


AuditedStore = TypedDict(
    "AuditedStore",
    {**get_type_hints(Audit), "warnings": list[str], "length_share": float | None},  # type: ignore[misc]
)
"""The audit of a store; ``warnings``: what a person should look at, in sentences."""


@dataclass(frozen=True)
class JsonOutput:
    """``stream``: a JSON object per line, instead of one document."""

    type: Any
    stream: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        return TypeAdapter(self.type).json_schema(mode="serialization")


OUTPUTS: dict[str, JsonOutput] = {
    "init": JsonOutput(NewStudy),
    "check": JsonOutput(StudyCheck),
    "prompts": JsonOutput(WrittenPrompts),
    "run": JsonOutput(DoneSession),
    "resume": JsonOutput(DoneSession),
    "status": JsonOutput(SessionStatus),
    "report": JsonOutput(SessionFigures),
    "explain": JsonOutput(Explanation | StackExplanation),
    **dict.fromkeys(("pause", "continue", "stop", "skip", "propose", "note", "budget"), JsonOutput(NewRequest)),
    "view": JsonOutput(ServedPages),
    "watch": JsonOutput(SessionStatus, stream=True),
    "rescore": JsonOutput(Rescored),
    "service": JsonOutput(ServiceUnit),
    "evaluate": JsonOutput(EvaluatedProblems | EvaluatedStudy),
    "finetune": JsonOutput(Manifest),
    "promote": JsonOutput(PromotionFigures),
    "export": JsonOutput(WrittenExport),
    "ship": JsonOutput(Shipped),
    "doctor": JsonOutput(DoctorReport),
    "skill": JsonOutput(SkillFile),
    "pairs list": JsonOutput(list[PairRow]),
    "pairs show": JsonOutput(PairRow),
    "pairs vote": JsonOutput(PairRow),
    "pairs import": JsonOutput(ImportedRows),
    "pairs export": JsonOutput(ExportedPairs),
    "pairs audit": JsonOutput(list[AuditedStore]),
    "pairs score": JsonOutput(PlannedScoring),
    "pairs certify": JsonOutput(CertifiedRows),
    "pairs review": JsonOutput(Reviewed),
    "bench sandbox": JsonOutput(dict[str, Any]),
    "bench decisions": JsonOutput(dict[str, Any]),
    "bench faults": JsonOutput(dict[str, Any]),
    "bench soak": JsonOutput(dict[str, Any]),
}
"""By command, in the order of the help."""
