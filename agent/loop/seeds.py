"""The training seeds of a session, by use. Fresh seeds are derived from the study's own, so a session can be repeated.

The repeats of the starting recipe and the waves use the study's seeds first, one for each wave. Every confirmation and
every check has its own seeds, so that it is independent of the readings that selected its stack.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from common.digests import digest_of


@dataclass(frozen=True)
class Seeds:
    """``own``: the study's seeds; ``night``: the number of earlier sessions under the same question; ``chance``: the
    seed of the session's proposers."""

    own: tuple[int, ...]
    night: int
    chance: int

    def looking(self) -> Iterator[int]:
        """The seeds of the repeats of the starting recipe, which are also those of the waves, in order."""
        if self.night == 0:
            yield from self.own
        yield from self._fresh("screening", 0)  # the seeds depend on this text, so it must not change

    def confirming(self, stack: int) -> Iterator[int]:
        return self._fresh("confirming", stack)

    def aa_candidate(self, stack: int) -> Iterator[int]:
        """The seeds of an A/A test's candidate, which is the incumbent trained again."""
        return self._fresh("A/A test", stack)

    def leave_one_out(self) -> Iterator[int]:
        return self._fresh("leaving out", 0)

    def holdout(self) -> Iterator[int]:
        return self._fresh("holdout", 0)

    def _fresh(self, use: str, which: int) -> Iterator[int]:
        return (self._number(use, which, place) for place in count())

    def _number(self, *parts: object) -> int:
        return int(digest_of([list(self.own), self.night, self.chance, *map(str, parts)])[:8], 16) >> 1
