"""How much a paired difference varies from one training seed to the next, learnt from all comparisons of a session.

Two or three replicates say little about their own variance. So a comparison's own estimate is drawn towards what the
session has seen so far, as in the moderated t statistic (Smyth 2004, "Linear models and empirical Bayes methods",
section 4): s^2 = (d0 s0^2 + d s^2) / (d0 + d), with d0 + d degrees of freedom.
"""

from collections.abc import Iterable
from dataclasses import dataclass

MOST_FREEDOM = 16.0
"""What is pooled counts for no more degrees of freedom than this, so that a recipe's own noise is heard."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A variance between seeds of the mean difference of one seed, and the degrees of freedom it is worth."""

    variance: float
    freedom: float

    def with_own(self, variance: float, freedom: float) -> "Spread":
        """The moderated variance of a comparison that has its own estimate."""
        known = min(self.freedom, MOST_FREEDOM)
        total = known + freedom
        if total <= 0:
            return Spread(0.0, 0.0)
        return Spread((known * self.variance + freedom * variance) / total, total)


UNKNOWN = Spread(0.0, 0.0)


def pooled(found: Iterable[Spread]) -> Spread:
    """The mean variance, weighted by degrees of freedom; UNKNOWN when there is none."""
    parts = [part for part in found if part.freedom > 0]
    freedom = sum(part.freedom for part in parts)
    if not freedom:
        return UNKNOWN
    return Spread(sum(part.variance * part.freedom for part in parts) / freedom, freedom)
