"""The variance of a paired difference between training seeds, and what is known of it from other readings.

Two or three replicates estimate their own variance badly. So a comparison's own estimate is shrunk towards what is
known of it, as in the moderated t statistic (Smyth 2004, "Linear models and empirical Bayes methods",
section 4): s^2 = (d0 s0^2 + d s^2) / (d0 + d), with d0 + d degrees of freedom.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MOST_FREEDOM = 16.0
"""What is known counts for at most so many degrees of freedom, so that a recipe's own noise has a weight."""
ALIKE, ALIKE_ON_AVERAGE = 2.0, 1.5
"""What is known counts while a comparison's own variance is at most so many times as large, in one category and on
average over all of them: recipes are not equally noisy, and with degrees of freedom that another noise gave, a noisy
recipe would have too narrow an interval. The average tells a noisy recipe by a few pairs already."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The variance between seeds of the mean difference of one seed, and its degrees of freedom. ``same_recipes``: it
    is of the two recipes that are compared, under other seeds, and so counts however noisy their pairs look."""

    variance: float
    freedom: float
    same_recipes: bool = False

    def with_own(self, variance: float, freedom: float) -> "Spread":
        """The variance of a comparison with this estimate of its own: moderated, or its own where that is larger."""
        counts = self.same_recipes or variance <= ALIKE * self.variance
        known = min(self.freedom, MOST_FREEDOM) if counts else 0.0
        total = known + freedom
        if total <= 0:
            return Spread(0.0, 0.0)
        return Spread((known * self.variance + freedom * variance) / total, total)


UNKNOWN = Spread(0.0, 0.0)


def is_alike(own: Mapping[str, float], known: Mapping[str, Spread]) -> bool:
    """Whether the variances of a comparison, by category, are on average like those that are known."""
    uncertain = {name: spread for name, spread in known.items() if not spread.same_recipes}
    shared = [name for name in own if name in uncertain and known[name].freedom > 0 and known[name].variance > 0]
    ratios = [own[name] / known[name].variance for name in shared]
    return not ratios or sum(ratios) / len(ratios) <= ALIKE_ON_AVERAGE


def pooled(found: Iterable[Spread]) -> Spread:
    """The mean variance, weighted by degrees of freedom; UNKNOWN when there is none."""
    parts = [part for part in found if part.freedom > 0]
    freedom = sum(part.freedom for part in parts)
    if not freedom:
        return UNKNOWN
    return Spread(sum(part.variance * part.freedom for part in parts) / freedom, freedom)
