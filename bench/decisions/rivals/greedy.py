"""Loops that keep whatever scores higher. All ignore guards, because one run says too little about one category."""

from itertools import count

import numpy

from bench.decisions.night import Night
from bench.decisions.rivals.walk import Walk, scored

SEED = 42


class GreedyStale:
    """karpathy/autoresearch (program.md, 2026): one run per candidate, kept when above the best score ever seen.

    Its train.py fixes the seed, so every run has the same seed, and the best recipe is never measured again.
    """

    name = "greedy_stale"

    def play(self, night: Night) -> None:
        walk = Walk(night, self.name)
        best = scored(night, night.start, SEED).mean()
        while True:
            step = walk.propose()
            scores = night.measure(step.recipe, SEED)
            if scores is not None and scores.mean() > best:
                walk.keep(step, float(scores.mean() - best))
                best = scores.mean()


class GreedyFresh:
    """The same, but the candidate and the incumbent are both measured once under a fresh seed."""

    name = "greedy_fresh"

    def play(self, night: Night) -> None:
        walk = Walk(night, self.name)
        for seed in count(1):
            step = walk.propose()
            scores = night.measure(step.recipe, seed)
            if scores is None:
                continue
            gain = float(scores.mean() - scored(night, night.standing, seed).mean())
            if gain > 0:
                walk.keep(step, gain)


class MadConfidence:
    """The confidence score of forks of autoresearch (davebcn87/pi-autoresearch, README, "Confidence scoring").

    Improvement over the incumbent, divided by the median absolute deviation of all scores of the session: "2.0 and
    more: likely real". One run per candidate; kept at 2 or more, once there are three scores.
    """

    name = "mad"

    def play(self, night: Night) -> None:
        walk = Walk(night, self.name)
        best = float(scored(night, night.start, 0).mean())
        session = [best]
        for seed in count(1):
            step = walk.propose()
            scores = night.measure(step.recipe, seed)
            if scores is None:
                continue
            session.append(float(scores.mean()))
            deviation = numpy.median(numpy.abs(numpy.array(session) - numpy.median(session)))
            if len(session) >= 3 and session[-1] - best >= 2 * deviation:
                walk.keep(step, session[-1] - best)
                best = session[-1]
