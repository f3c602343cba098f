"""What every scorer takes and gives."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from probes.endpoint.spending import SpendingMeter
from probes.inputs.prompts import Prompt
from probes.inputs.settings import ScorerSettings
from probes.scoring.judge.examination import Examination


@dataclass(frozen=True, slots=True)
class Answer:
    """One sampled text and the prompt it answers."""

    prompt: Prompt
    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A score from 0 to 10, its parts by name, critical failures by name, and an outcome word for tables.

    note: what went wrong first, for people. format_only: what the answer contains is right, its form is not.
    """

    value: float
    components: Mapping[str, float] = field(default_factory=dict)
    critical: tuple[str, ...] = ()
    outcome: str = ""
    note: str = ""
    format_only: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """An answer without a score, and why in one line. It is counted, and it is no number."""

    reason: str


def _quiet(note: str) -> None:
    """For callers to whom nothing need be said."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a scorer may use while it scores: ``note`` tells the person who watches one line (that it waits, say) and
    starts the probe's deadline anew; ``meter`` pays for what costs money, and counts it."""

    note: Callable[[str], None] = _quiet
    meter: SpendingMeter = field(default_factory=SpendingMeter)


def too_many_missing(reasons: Sequence[str], asked: int, most: float) -> str:
    """Why what was judged is not enough, ``most`` being the share that may be missing; "" when it is."""
    if len(reasons) <= most * asked:
        return ""
    told = ", ".join(f"{number} {reason}" for reason, number in Counter(reasons).most_common(3))
    return f"{len(reasons)} of {asked} answers could not be judged ({told})"


@dataclass(frozen=True, slots=True)
class AnswerPair:
    """Two answers to one prompt, of the same seed and sample."""

    prompt: Prompt
    first: str
    second: str


class ScorerExaminer(Protocol):
    """Looks after a scorer in the session's own process: examines it, and has it choose between two answers.

    Its calls raise EndpointUnavailable and BudgetSpent.
    """

    @property
    def every(self) -> int:
        """Decisions between two examinations."""

    @property
    def epoch(self) -> int:
        """The number of the comparison epoch that stands."""

    @property
    def chooses(self) -> bool:
        """Whether decisions rest on choices between two answers."""

    def examine(self, prompts: Sequence[Prompt], context: Context, first: bool) -> Examination: ...

    def accept(self, found: Examination) -> None:
        """It is the same scorer as before: go on with its comparison epoch."""

    def end_epoch(self) -> int:
        """It is another one: begin the next comparison epoch."""

    def prefer(self, duels: Sequence[AnswerPair], context: Context) -> Sequence[float | Missing]:
        """+1 where ``first`` is preferred whatever the order, -1 where ``second`` is, 0 for a tie."""

    def close(self) -> None: ...


class Scorer(Protocol):
    """Scores answers; holds what it needs open (a sandbox, a client) until closed."""

    kind: ClassVar[str]
    Settings: ClassVar[type[ScorerSettings]]

    @property
    def about(self) -> str:
        """What it found on this machine and uses, in one line for logs; "" when there is nothing to say."""

    def __init__(self, settings: Any, folder: Path) -> None:
        """``settings`` is of the scorer's own Settings; paths in them start from ``folder``, the study's.

        MissingRequirement when this machine lacks what the scorer needs.
        """

    @staticmethod
    def check(settings: Any, folder: Path, prompts: Sequence[Prompt]) -> None:
        """BadInput when the settings, a file they name or a prompt lack something, before anything is trained."""

    @staticmethod
    def files(settings: Any, folder: Path) -> Sequence[Path]:
        """The files that decide a score: what they hold is part of the probe key."""

    @staticmethod
    def examiner(settings: Any, folder: Path) -> ScorerExaminer | None:
        """Who looks after the scorer, in the session's own process; None where there is nothing to look after."""

    def score(self, answers: Sequence[Answer], context: Context | None = None) -> Sequence[Mark | Missing]:
        """One mark per answer, in order; Missing for one that could not be judged, never a made-up number.

        ScorerBroken when nothing can be judged now.
        """

    def close(self) -> None: ...


class ScorerBroken(Exception):
    """The scorer itself failed (not the answer): the probe ends as a failure of kind "scorer" and is tried again."""


class ChecksBroken(ScorerBroken):
    """What a prompt's checks consist of fails by itself, whatever the answer is."""
