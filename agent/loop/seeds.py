"""The training seeds of a session, by use. Fresh seeds are derived from the study's own, so a session can be repeated.

Screening against the first incumbent, and the survey around it, use the study's seeds first. Every other use, and every
later incumbent, has seeds of its own. So the score that made a recipe win is never used again, and a confirmation is
independent of the screening that selected its candidate.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from common.digests import digest_of


@dataclass(frozen=True)
class Seeds:
    """``own``: the study's. ``night``: the number of earlier sessions under the same question; ``chance``: the seed of
    the session's proposers."""

    own: tuple[int, ...]
    night: int
    chance: int

    def screening(self, keeps: int) -> Iterator[int]:
        """Shared by all candidates that are compared with the incumbent after so many KEEPs."""
        if keeps == 0 and self.night == 0:
            yield from self.own
        yield from self._fresh("screening", keeps)

    def confirming(self, turn: int) -> Iterator[int]:
        return self._fresh("confirming", turn)

    def aa_candidate(self, turn: int, stage: str) -> Iterator[int]:
        """The seeds of an A/A candidate: the incumbent trained again."""
        return self._fresh(f"disguise of {stage}", turn)  # the text enters the seeds, so it stays

    def leave_one_out(self, turn: int) -> Iterator[int]:
        return self._fresh("leaving out", turn)

    def holdout(self) -> Iterator[int]:
        return self._fresh("holdout", 0)

    def is_aa_test(self, turn: int, share: float) -> bool:
        """Whether this turn is an A/A test."""
        return self._number("disguised", turn, 0) / 2**31 < share

    def _fresh(self, use: str, which: int) -> Iterator[int]:
        return (self._number(use, which, place) for place in count())

    def _number(self, *parts: object) -> int:
        return int(digest_of([list(self.own), self.night, self.chance, *map(str, parts)])[:8], 16) >> 1
