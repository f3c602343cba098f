"""The variance of a paired difference between training seeds, pooled with a prior estimate from other readings.

Two or three seeds estimate their variance badly. So a comparison's own estimate s^2 is shrunk towards the prior s0^2,
as in the moderated t statistic (Smyth 2004, "Linear models and empirical Bayes methods", section 4):
(d0 s0^2 + d s^2) / (d0 + d), with d0 + d degrees of freedom.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MOST_FREEDOM = 16.0
"""The most degrees of freedom of the prior, so that a comparison's own estimate keeps some weight."""
ALIKE, ALIKE_ON_AVERAGE = 2.0, 1.5
"""The prior is used only if a comparison's own variance is at most this many times as large: in one category, and on
average over all categories. Otherwise a noisy recipe would get too narrow an interval, with the degrees of freedom of
less noisy ones. The average shows a noisy recipe after a few pairs."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The variance between seeds of one seed's mean difference, and its degrees of freedom. ``same_recipes``: estimated
    from the two recipes that are compared, under other seeds, and therefore used however noisy their pairs are."""

    variance: float
    freedom: float
    same_recipes: bool = False

    def with_own(self, variance: float, freedom: float) -> "Spread":
        """This prior pooled with a comparison's own estimate. The own estimate stands alone if it is more than ALIKE
        times as large and the prior is from other recipes."""
        counts = self.same_recipes or variance <= ALIKE * self.variance
        known = min(self.freedom, MOST_FREEDOM) if counts else 0.0
        total = known + freedom
        if total <= 0:
            return Spread(0.0, 0.0)
        return Spread((known * self.variance + freedom * variance) / total, total)


UNKNOWN = Spread(0.0, 0.0)


def is_alike(own: Mapping[str, float], known: Mapping[str, Spread]) -> bool:
    """Whether a comparison's own variances, by category, are on average close enough to the known ones to use these."""
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
