"""How many answers were cut at max_new_tokens. The score of a cut answer is the score of half an answer."""

from collections.abc import Iterable
from dataclasses import dataclass

from probes.result.reading import Reading

NOTICEABLE, FEW_ANSWERS = 0.02, 3
"""A person should raise the limit when this share of the answers is cut. A recipe clearly has more cut answers than
another if its share is higher by NOTICEABLE, and that difference is at least FEW_ANSWERS answers."""
REMEDY = "raise max_new_tokens under [probe]"


@dataclass(frozen=True, slots=True)
class CutAnswers:
    """How many answers were cut, of how many, over the readings that record it."""

    cut: int
    answers: int

    @property
    def share(self) -> float:
        return self.cut / self.answers if self.answers else 0.0

    @property
    def noticeable(self) -> bool:
        return self.share >= NOTICEABLE

    def clearly_exceeds(self, other: "CutAnswers") -> bool:
        """Whether these answers are cut more often than the other recipe's, by more than chance would explain."""
        more = self.share - other.share
        return more >= NOTICEABLE and more * self.answers >= FEW_ANSWERS


def cut_answers(readings: Iterable[Reading]) -> CutAnswers | None:
    """The cut answers of all readings together; None if no reading records them, as in older versions."""
    known = [(reading.cut, reading.answers) for reading in readings if reading.cut is not None]
    return CutAnswers(sum(cut for cut, _ in known), sum(answers for _, answers in known)) if known else None
