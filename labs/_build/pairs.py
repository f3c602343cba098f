"""Preference pairs of a lab, and the questions that they must stay clear of."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from probes.inputs.duplicates import Wording

NEAR = 0.5
"""Questions at least this similar to a reserved one are drawn again. This is stricter than what a study refuses:
a lab can always draw another question."""


@dataclass(frozen=True)
class PreferenceRow:
    """A row in TRL's preference format, with its category and difficulty."""

    prompt: str
    chosen: str
    rejected: str
    category: str
    difficulty: int

    def as_dict(self) -> dict[str, str | int]:
        return asdict(self)


class ReservedQuestions:
    """The questions of the probe and holdout splits."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._wordings = [Wording.of(text) for text in texts]

    def is_near(self, text: str) -> bool:
        """Whether a question is similar to a reserved one."""
        wording = Wording.of(text)
        return any(wording.similarity(other) >= NEAR for other in self._wordings)
