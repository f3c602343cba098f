"""The variance of a paired difference between training seeds, and what is known of it from other readings.

Two or three replicates estimate their own variance badly. So a comparison's own estimate is shrunk towards what is
known of it, as in the moderated t statistic (Smyth 2004, "Linear models and empirical Bayes methods",
section 4): s^2 = (d0 s0^2 + d s^2) / (d0 + d), with d0 + d degrees of freedom.
"""

from collections.abc import Iterable
from dataclasses import dataclass

MOST_FREEDOM = 16.0
"""What is known counts for at most so many degrees of freedom, so that a recipe's own noise has a weight."""
ALIKE = 1.0
"""What is known counts while a comparison's own variance is at most so many times as large: recipes are not equally
noisy, and with degrees of freedom that another noise gave, a noisy recipe would have too narrow an interval."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The variance between seeds of the mean difference of one seed, and its degrees of freedom."""

    variance: float
    freedom: float

    def with_own(self, variance: float, freedom: float) -> "Spread":
        """The variance of a comparison with this estimate of its own: moderated, or its own where that is larger."""
        known = min(self.freedom, MOST_FREEDOM) if variance <= ALIKE * self.variance else 0.0
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
