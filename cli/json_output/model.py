"""What nightlane evaluate, promote, export and ship print with --json."""

from typing import (
    Any,
    NotRequired,  # pydantic reads these in Python 3.11
)

from typing_extensions import TypedDict

from finetune.promotion.figures import Flip
from probes.endpoint.spending import Usage


class EvaluatedProblems(TypedDict):
    """``pass_at_k``: by k. The figures at the top are those of the only or the later side; ``sides`` has each
    side's."""

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
