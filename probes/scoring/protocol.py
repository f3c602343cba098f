"""What every scorer takes and gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

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


class Scorer(Protocol):
    """Scores answers; holds what it needs open (a sandbox, a client) until closed."""

    kind: ClassVar[str]

    @property
    def about(self) -> str:
        """What it found on this machine and uses, in one line for logs; "" when there is nothing to say."""

    def __init__(self, settings: ScorerSettings) -> None:
        """MissingRequirement when this machine lacks what the scorer needs."""

    @staticmethod
    def check(prompts: Sequence[Prompt]) -> None:
        """BadInput when a prompt lacks what this scorer needs, before anything is trained."""

    def score(self, answers: Sequence[Answer]) -> list[Mark]:
        """One mark per answer, in order. ScorerBroken when it cannot tell; never a made-up number."""

    def close(self) -> None: ...


class ScorerBroken(Exception):
    """The scorer itself failed (not the answer): the probe ends as a failure of kind "scorer" and is tried again."""


class ChecksBroken(ScorerBroken):
    """What a prompt's checks consist of fails by itself, whatever the answer is."""
