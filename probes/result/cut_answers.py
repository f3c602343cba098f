"""How many answers were cut at max_new_tokens. A score of such a text is one of half an answer."""

from collections.abc import Iterable
from dataclasses import dataclass

from probes.result.reading import Reading

NOTICEABLE, FEW_ANSWERS = 0.02, 3
"""From this share of the answers on, a person should raise the limit; and so many more than of another recipe, of this
many answers at least, are more than an accident."""
REMEDY = "raise max_new_tokens under [probe]"


@dataclass(frozen=True, slots=True)
class CutAnswers:
    """``cut`` of ``answers``, of readings that know how their answers ended."""

    cut: int
    answers: int

    @property
    def share(self) -> float:
        return self.cut / self.answers if self.answers else 0.0

    @property
    def noticeable(self) -> bool:
        return self.share >= NOTICEABLE

    def clearly_exceeds(self, other: "CutAnswers") -> bool:
        """Whether a recipe's answers are cut more often than another's."""
        more = self.share - other.share
        return more >= NOTICEABLE and more * self.answers >= FEW_ANSWERS


def cut_answers(readings: Iterable[Reading]) -> CutAnswers | None:
    """The cut answers of all these together; None if none of them knows: readings of an older version do not."""
    known = [(reading.cut, reading.answers) for reading in readings if reading.cut is not None]
    return CutAnswers(sum(cut for cut, _ in known), sum(answers for _, answers in known)) if known else None
