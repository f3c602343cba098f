"""What every scorer takes and gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from probes.prompts import Prompt
from probes.settings import ScorerSettings


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

    def score(self, answers: Sequence[Answer]) -> Sequence[Mark | Missing]:
        """One mark per answer, in order; Missing for one that could not be judged, never a made-up number.

        ScorerBroken when nothing can be judged now.
        """

    def close(self) -> None: ...


class ScorerBroken(Exception):
    """The scorer itself failed (not the answer): the probe ends as a failure of kind "scorer" and is tried again."""


class ChecksBroken(ScorerBroken):
    """What a prompt's checks consist of fails by itself, whatever the answer is."""
