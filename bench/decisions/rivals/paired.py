"""Rivals that measure a candidate several times against the incumbent, under the same seeds.

All of them check the guards: a candidate is discarded if the mean difference of a category is below the margin.
"""

from itertools import count

import numpy
from scipy.stats import t as student

from bench.decisions.night import Array, Night
from bench.decisions.rivals.walk import BaselineRuns, Paired, Walk, WalkStep, scored


class MeanOfThree:
    """Three seeds, the same on both sides; kept if the mean difference is above 1.645 standard errors.

    The usual advice (Henderson et al. 2018, "Deep reinforcement learning that matters", section 5) at its smallest: the
    error is that of the three differences, and the quantile is the normal one, as practised.
    """

    name = "mean_of_three"

    def play(self, night: Night) -> None:
        walk = Walk(night, self.name)
        for first in count(0, 3):
            seeds = (first, first + 1, first + 2)
            baseline = BaselineRuns(night, night.standing, seeds).upto(3)
            while not self._replaced(night, walk, walk.propose(), seeds, baseline):
                pass

    def _replaced(
        self, night: Night, walk: Walk, step: WalkStep, seeds: tuple[int, ...], baseline: list[Array]
    ) -> bool:
        runs = []
        for seed in seeds:
            scores = night.measure(step.recipe, seed)
            if scores is None:
                return False
            runs.append(scores)
        paired = Paired.of(runs, baseline)
        kept = paired.mean > 1.645 * paired.error and paired.guards_hold(night.margin)
        if kept:
            walk.keep(step, paired.mean)
        return kept


class SequentialTest:
    """Wald's sequential probability ratio test on pairs (Wald 1945; as chess engines are tested, fishtest).

    The effect is 0 or 0.3, both errors 5 %; the deviation is that of the pairs so far, from the third pair on. Every
    pair is fresh on both sides; after 12 without a decision the candidate is discarded.
    """

    name = "sprt"
    effect, error, most = 0.3, 0.05, 12

    def play(self, night: Night) -> None:
        walk, seeds = Walk(night, self.name), count()
        while True:
            step = walk.propose()
            paired = self._test(night, step, seeds)
            if paired is not None and paired.guards_hold(night.margin):
                walk.keep(step, paired.mean)

    def _test(self, night: Night, step: WalkStep, seeds: "count[int]") -> Paired | None:
        """The pairs when the test accepts the effect; None when it accepts 0, a run crashes or the pairs end."""
        bound = float(numpy.log((1 - self.error) / self.error))
        candidate: list[Array] = []
        baseline: list[Array] = []
        while len(candidate) < self.most:
            seed = next(seeds)
            scores = night.measure(step.recipe, seed)
            if scores is None:
                return None
            candidate.append(scores)
            baseline.append(scored(night, night.standing, seed))
            if len(candidate) < 3:
                continue
            paired = Paired.of(candidate, baseline)
            variance = max(float(paired.overall.var(ddof=1)), 1e-12)
            ratio = self.effect * float((paired.overall - self.effect / 2).sum()) / variance
            if abs(ratio) >= bound:
                return paired if ratio > 0 else None
        return None


class Race:
    """A race against a shared baseline (after Maron and Moore 1994, and F-Race, Birattari et al. 2002).

    Rounds of four candidates under the same six seeds as the baseline. From the second seed on, candidates behind the
    baseline leave the race. From the third on, the candidate furthest ahead is kept as soon as a one-sided t test at 5
    % is significant, without a correction for repeated looks or for several candidates.
    """

    name = "race"
    size, most, error = 4, 6, 0.05

    def play(self, night: Night) -> None:
        walk = Walk(night, self.name)
        baseline, first = self._baseline(night, 0), 0
        while True:
            winner = self._round(night, [walk.propose() for _ in range(self.size)], baseline)
            if winner is not None:
                walk.keep(*winner)
                first += self.most
                baseline = self._baseline(night, first)

    def _baseline(self, night: Night, first: int) -> BaselineRuns:
        return BaselineRuns(night, night.standing, range(first, first + self.most))

    def _round(self, night: Night, steps: list[WalkStep], baseline: BaselineRuns) -> tuple[WalkStep, float] | None:
        runs: dict[int, list[Array]] = {number: [] for number in range(len(steps))}
        for seeds in range(1, self.most + 1):
            before = baseline.upto(seeds)
            ahead: list[tuple[float, int]] = []
            for number in list(runs):
                scores = night.measure(steps[number].recipe, baseline.seeds[seeds - 1])
                if scores is None:
                    del runs[number]
                    continue
                runs[number].append(scores)
                if seeds == 1:
                    continue
                paired = Paired.of(runs[number], before)
                if paired.mean <= 0 or not paired.guards_hold(night.margin):
                    del runs[number]
                elif seeds >= 3 and paired.t > student.ppf(1 - self.error, seeds - 1):
                    ahead.append((paired.mean, number))
            if ahead:
                gain, number = max(ahead)
                return steps[number], gain
            if not runs:
                break
        return None
