"""The Scorer protocol and its types."""

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
    """A score from 0 to 10 with its components, its critical failures, and an outcome word for tables.

    note: the first error, for people. format_only: the answer is right and only its format is wrong.
    """

    value: float
    components: Mapping[str, float] = field(default_factory=dict)
    critical: tuple[str, ...] = ()
    outcome: str = ""
    note: str = ""
    format_only: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """An answer without a score, and the reason in one line. It enters no mean."""

    reason: str


def _ignore_note(note: str) -> None:
    """For callers that need no notes."""


OnAsked = Callable[[int, int], None]
"""Called with the number of answered questions of an examination, and the number of all its questions."""


def ignore_asked(done: int, total: int) -> None:
    """For callers that need no progress."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a scorer may use while it scores. ``note``: shows a line to people (for example that it waits) and restarts
    the probe's deadline. ``meter``: counts and books costs. ``asked``: receives the progress of an examination."""

    note: Callable[[str], None] = _ignore_note
    meter: SpendingMeter = field(default_factory=SpendingMeter)
    asked: OnAsked = ignore_asked


def too_many_missing(reasons: Sequence[str], asked: int, most: float) -> str:
    """Why too many answers lack a score; "" if they do not. ``most``: the share that may lack one."""
    if len(reasons) <= most * asked:
        return ""
    counts = ", ".join(f"{number} {reason}" for reason, number in Counter(reasons).most_common(3))
    return f"{len(reasons)} of {asked} answers could not be judged ({counts})"


@dataclass(frozen=True, slots=True)
class AnswerPair:
    """Two answers to one prompt, of the same seed and sample."""

    prompt: Prompt
    first: str
    second: str


class ScorerExaminer(Protocol):
    """Examines a scorer, in the session's process, and has it choose between two answers.

    Its calls raise EndpointUnavailable and BudgetSpent.
    """

    @property
    def every(self) -> int:
        """Decisions between two examinations."""

    @property
    def epoch(self) -> int:
        """The number of the current comparison epoch."""

    @property
    def chooses(self) -> bool:
        """Whether decisions rest on choices between two answers."""

    def examine(self, prompts: Sequence[Prompt], context: Context, first: bool) -> Examination:
        """Examine the scorer. ``first``: of a session, with repeats."""

    def accept(self, examination: Examination) -> None:
        """The scorer has not changed: stay in its comparison epoch."""

    def end_epoch(self) -> int:
        """The scorer has changed: begin the next comparison epoch and return its number."""

    def prefer(self, duels: Sequence[AnswerPair], context: Context) -> Sequence[float | Missing]:
        """+1 if ``first`` is preferred in both orders, -1 if ``second`` is, 0 for a tie."""

    def close(self) -> None: ...


class Scorer(Protocol):
    """Scores answers. It keeps what it needs open (a sandbox, a client) until ``close``."""

    kind: ClassVar[str]
    Settings: ClassVar[type[ScorerSettings]]

    @property
    def about(self) -> str:
        """One line for the log on what it uses on this machine; may be empty."""

    def __init__(self, settings: Any, folder: Path) -> None:
        """``settings``: an instance of ``Settings``; its paths start from ``folder``, the study's.

        MissingRequirement when this machine lacks what the scorer needs.
        """

    @staticmethod
    def check(settings: Any, folder: Path, prompts: Sequence[Prompt]) -> None:
        """BadInput for a fault in the settings, a file they name or a prompt, before anything is trained."""

    @staticmethod
    def files(settings: Any, folder: Path) -> Sequence[Path]:
        """The files that decide a score. Their content is part of the probe key."""

    @staticmethod
    def examiner(settings: Any, folder: Path) -> ScorerExaminer | None:
        """What examines the scorer, in the session's process; None for a scorer that cannot change."""

    def score(self, answers: Sequence[Answer], context: Context | None = None) -> Sequence[Mark | Missing]:
        """Return one Mark per answer, in order, or Missing for an answer that cannot be judged.

        ScorerBroken when the scorer itself fails.
        """

    def close(self) -> None: ...


class ScorerBroken(Exception):
    """The scorer failed, not the answer. The probe becomes a failure of kind "scorer" and is retried."""


class ChecksBroken(ScorerBroken):
    """The checks of a prompt fail by themselves, whatever the answer is."""
