"""The confidence interval of a proportion: the one place that computes it."""

from typing import Literal


def proportion_interval(
    hits: int, n: int, confidence: float = 0.95, method: Literal["exact", "wilson"] = "exact"
) -> tuple[float, float]:
    """The interval of ``hits`` of ``n``, which is at least 1.

    "exact": Clopper and Pearson (1934). "wilson": the score interval of Wilson (1927).
    """
    from scipy.stats import binomtest

    interval = binomtest(hits, n).proportion_ci(confidence, method)
    return float(interval.low), float(interval.high)
