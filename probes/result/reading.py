"""A probe and its outcome: a reading, or a failure, which has no score (invariant 5, docs/architecture.md)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any

from common.digests import digest_of
from common.errors import UnlikeReadings
from lanes import Recipe
from probes.endpoint.spending import NO_USAGE, Usage
from probes.run.failures import MEANINGS, FailureKind, kind_named


@dataclass(frozen=True, kw_only=True)
class ProbeKey:
    """All that must be equal on both sides of a comparison, besides recipe and seed (invariant 1). ``split``: of the
    prompts, "probe", "holdout" or "harvest"."""

    steps: int
    base: str
    data: str
    prompts: str
    scorer: str
    samples: int
    environment: str
    split: str = "probe"

    @cached_property
    def digest(self) -> str:
        return digest_of(asdict(self))

    def require_equal(self, other: "ProbeKey") -> None:
        """UnlikeReadings names the parts that differ."""
        if differences := self.differences(other):
            raise UnlikeReadings(
                f"readings are compared only under an equal probe key and {differences}; measure both sides anew"
            )

    def differences(self, other: "ProbeKey") -> str:
        """The parts that differ, with both values, as the middle of a sentence; "" for equal keys."""
        pairs = [(part.name, getattr(self, part.name), getattr(other, part.name)) for part in fields(self)]
        return " and ".join(
            f"{name} differs ({mine} against {theirs})" for name, mine, theirs in pairs if mine != theirs
        )


@dataclass(frozen=True)
class Probe:
    """One short training run of one recipe with one seed, and its evaluation.

    ``adapter_of``: the id of a probe of the same recipe and seed whose adapter is used; if it is gone, one is trained.
    """

    recipe: Recipe
    key: ProbeKey
    seed: int
    adapter_of: str = field(default="", compare=False)

    @cached_property
    def id(self) -> str:
        """The same work has the same id in every session, so that repeating a probe changes nothing."""
        return digest_of([self.recipe.digest, self.key.digest, self.seed])[:12]


@dataclass(frozen=True, slots=True)
class Pair:
    """A probe of a candidate and one of the incumbent, with the same seed, except in an A/A test."""

    candidate: Probe
    baseline: Probe


@dataclass(frozen=True, slots=True)
class Score:
    """One answer's score on the 0 to 10 scale."""

    prompt: str
    sample: int
    category: str
    value: float
    components: Mapping[str, float]
    critical: tuple[str, ...] = ()
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Unscored:
    """An answer without a score, and the reason. It enters no mean."""

    prompt: str
    sample: int
    category: str
    reason: str


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one probe by phase; ``total`` is the probe's whole time in its worker."""

    train: float
    generate: float
    score: float
    total: float

    @property
    def other_share(self) -> float:
        """The share of the total outside training, generation and scoring."""
        return 1 - (self.train + self.generate + self.score) / self.total if self.total else 0.0


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The measurement of a probe: a score per prompt and sample in the order of the prompts, or an entry in
    ``missing``.

    ``final``: the last line of the training log (loss, token_accuracy, grad_norm ...); train.jsonl has all lines.
    ``tokens``: training tokens. ``peak_gb``: the worker's peak memory, on the GPU if it has one. ``judging``: what a
    judge used for it. ``cut``: answers that reached max_new_tokens; ``answer_tokens``: generated for all answers; both
    are None if the version or the runner did not record them.
    """

    probe: str
    recipe: str
    key: ProbeKey
    seed: int
    scores: tuple[Score, ...]
    final: Mapping[str, float]
    timing: Timing
    tokens: int
    peak_gb: float
    missing: tuple[Unscored, ...] = ()
    judging: Usage = NO_USAGE
    cut: int | None = None
    answer_tokens: int | None = None

    def mean(self, category: str = "overall") -> float:
        values = [s.value for s in self.scores if category in ("overall", s.category)]
        return sum(values) / len(values)

    def means(self, difficulties: Mapping[str, int]) -> dict[tuple[str, int], float]:
        """Per category and difficulty, over prompts and samples; prompts without a known difficulty are left out."""
        values: dict[tuple[str, int], list[float]] = {}
        for score in self.scores:
            if score.prompt in difficulties:
                values.setdefault((score.category, difficulties[score.prompt]), []).append(score.value)
        return {group: sum(own) / len(own) for group, own in sorted(values.items())}

    @property
    def answers(self) -> int:
        """The number of answers, with and without a score."""
        return len(self.scores) + len(self.missing)

    @property
    def critical_failures(self) -> int:
        return sum(len(score.critical) for score in self.scores)


@dataclass(frozen=True, slots=True)
class Failure:
    """A probe without a reading. probes/run/failures.py says what follows from its kind."""

    probe: str
    seed: int
    kind: FailureKind
    message: str

    @property
    def permanent(self) -> bool:
        """Whether the same recipe and seed would fail again."""
        return MEANINGS[self.kind].permanent

    @property
    def recipe_at_fault(self) -> bool:
        return MEANINGS[self.kind].recipe_at_fault

    @property
    def retryable(self) -> bool:
        return MEANINGS[self.kind].retries > 0


Outcome = Reading | Failure


def outcome_to_json(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Failure):
        return {"failure": asdict(outcome)}
    plain = asdict(replace(outcome, scores=(), missing=()))  # these have many entries and are written as lists
    plain["scores"] = [
        [s.prompt, s.sample, s.category, s.value, dict(s.components), list(s.critical), s.outcome]
        for s in outcome.scores
    ]
    plain["missing"] = [[m.prompt, m.sample, m.category, m.reason] for m in outcome.missing]
    return {"reading": plain}


def outcome_from_json(data: Mapping[str, Any]) -> Outcome:
    """The inverse of ``outcome_to_json``; KeyError, TypeError or ValueError for anything else."""
    if "failure" in data:
        plain = dict(data["failure"])
        return Failure(**{**plain, "kind": kind_named(plain["kind"])})
    plain = dict(data["reading"])
    plain["key"] = ProbeKey(**plain["key"])
    plain["timing"] = Timing(**plain["timing"])
    plain["scores"] = tuple(
        Score(p, n, c, v + 0.0, dict(comp), tuple(crit), o) for p, n, c, v, comp, crit, o in plain["scores"]
    )
    plain["missing"] = tuple(Unscored(*row) for row in plain.get("missing", ()))
    plain["judging"] = Usage(**plain.get("judging", {}))
    return Reading(**plain)
