"""Rivals that draw recipes at random near the start, and the oracle. The rivals ignore guards."""

from itertools import count

from bench.decisions.night import Night
from bench.decisions.rivals.coordinates import Coordinates
from bench.decisions.rivals.walk import scored
from lanes import Recipe


class RandomSearch:
    """Random search (Bergstra and Bengio 2012), one run each under its own seed; the best seen is kept at the end.

    A draw moves one to four knobs of the start, ordered ones within their reach. The start is run once.
    """

    name = "random"

    def play(self, night: Night) -> None:
        random, coordinates = night.random(self.name), Coordinates(night)
        start = best = float(scored(night, night.start, 0).mean())
        chosen = night.start
        for seed in range(1, int(night.budget)):
            recipe = coordinates.recipe(coordinates.nearby(random, coordinates.start)) or night.start
            scores = night.measure(recipe, seed)
            if scores is not None and scores.mean() > best:
                best, chosen = float(scores.mean()), recipe
        if chosen != night.start:
            night.keep(chosen, best - start)


class Asha:
    """Asynchronous successive halving (Li et al. 2020) with rungs at 1/4, 1/2 and 1 of a probe's steps.

    The better half of a rung goes on to the next; new recipes are drawn as in `RandomSearch`. The best of the last rung
    is kept at the end, if it is above the start, which is run there once. A longer run starts from the beginning.
    """

    name = "asha"
    rungs = (0.25, 0.5, 1.0)

    def play(self, night: Night) -> None:
        random, coordinates = night.random(self.name), Coordinates(night)
        start = float(scored(night, night.start, 0).mean())
        scores: list[dict[int, float]] = [{} for _ in self.rungs]
        recipes: list[Recipe] = []
        for seed in count(1):
            number, rung = self._promoted(scores)
            if number is None:
                number = len(recipes)
                recipes.append(coordinates.recipe(coordinates.nearby(random, coordinates.start)) or night.start)
            if night.left < self.rungs[rung]:
                break
            measured = night.measure(recipes[number], seed, self.rungs[rung])
            scores[rung][number] = float("-inf") if measured is None else float(measured.mean())
        best = max(scores[-1], key=lambda number: scores[-1][number], default=None)
        if best is not None and scores[-1][best] > start:
            night.keep(recipes[best], scores[-1][best] - start)

    def _promoted(self, scores: list[dict[int, float]]) -> tuple[int | None, int]:
        """The next recipe and its rung; None: a new one in the first."""
        for rung in range(len(self.rungs) - 2, -1, -1):
            order = sorted(scores[rung], key=lambda number: -scores[rung][number])
            for number in order[: len(order) // 2]:
                if number not in scores[rung + 1]:
                    return number, rung + 1
        return None, 0


class Oracle:
    """Knows the true effects and keeps the best recipe at once, to show what could be won."""

    name = "oracle"

    def play(self, night: Night) -> None:
        best = night.landscape.best
        if best != night.start:
            night.keep(best, float(night.truth(best).mean()))
