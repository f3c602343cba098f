"""Whether differences in probes predict differences at full length. Pure functions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

FEWEST = 4
"""The fewest recipes for which a rank correlation has an interval."""


@dataclass(frozen=True, slots=True)
class BothLengths:
    """A recipe's difference from the start in the target category: ``probe`` in probes, ``full`` at full length,
    ``at_steps`` in the spot checks of its full-length runs, by step."""

    recipe: str
    probe: float
    full: float
    at_steps: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Correlation:
    """Spearman's rank correlation over ``recipes``, with its interval."""

    recipes: int
    value: float
    low: float
    high: float

    @property
    def predicts(self) -> bool:
        return self.low > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """``correlation``: None with too few recipes. ``shortest``: the first step at which the spot checks of the
    full-length runs predict their end; None if none does or it cannot be known."""

    measured: tuple[BothLengths, ...]
    probe_steps: int
    correlation: Correlation | None
    shortest: int | None

    @property
    def sentence(self) -> str:
        """For people."""
        found = self.correlation
        if found is None:
            return (
                f"whether probes of {self.probe_steps} steps predict the full length is not known: "
                f"{len(self.measured)} recipes were measured at both lengths, and {FEWEST} are needed; --compare N "
                "trains N more of the recipes that the session measured"
            )
        shown = f"rank correlation {found.value:.2f} [{found.low:.2f}, {found.high:.2f}] over {found.recipes} recipes"
        if found.predicts:
            return f"probes of {self.probe_steps} steps predict the full length: {shown}"
        told = f"probes of {self.probe_steps} steps are not shown to predict the full length: {shown}"
        if self.shortest is None:
            return f"{told}; by their spot checks, no earlier step of the full-length runs does either"
        return f"{told}; by the spot checks of the full-length runs, {self.shortest} steps are the fewest that do"


def prediction(measured: Sequence[BothLengths], probe_steps: int, confidence: float) -> Prediction:
    correlation = rank_correlation([one.probe for one in measured], [one.full for one in measured], confidence)
    return Prediction(
        measured=tuple(measured),
        probe_steps=probe_steps,
        correlation=correlation,
        shortest=_shortest(measured, confidence) if correlation is not None and not correlation.predicts else None,
    )


def rank_correlation(one: Sequence[float], other: Sequence[float], confidence: float) -> Correlation | None:
    """Spearman's rank correlation with Fisher's z interval and the standard error of Bonett and Wright (2000); None for
    fewer than four recipes, or if all values of one side are equal. Imports scipy."""
    from scipy.stats import norm, spearmanr

    number = len(one)
    if number < FEWEST or len(set(one)) < 2 or len(set(other)) < 2:
        return None
    value = float(spearmanr(one, other).statistic)
    near = max(-0.9999, min(0.9999, value))
    half = float(norm.ppf((1 + confidence) / 2)) * math.sqrt((1 + near**2 / 2) / (number - 3))
    return Correlation(number, value, math.tanh(math.atanh(near) - half), math.tanh(math.atanh(near) + half))


def _shortest(measured: Sequence[BothLengths], confidence: float) -> int | None:
    steps = sorted(set.intersection(*(set(one.at_steps) for one in measured)))
    full = [one.full for one in measured]
    for step in steps:
        found = rank_correlation([one.at_steps[step] for one in measured], full, confidence)
        if found is not None and found.predicts:
            return step
    return None
