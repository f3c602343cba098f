"""A planted night: its noise, what a policy is told and charged, and what is remembered of it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy
import pytest
from long_cases import all_but, but_one_in

from bench.decisions.landscapes import FAMILIES, additive, cliffs, clipped, drift, null, smooth, traps
from bench.decisions.night import CATEGORIES, PROMPTS, Array, Landscape, Lanes, Night, NightOver, Noise
from bench.decisions.planted import START
from bench.decisions.truth import MARGIN
from lanes import LaneSettings, Recipe


def night(noise: Noise, samples: int = 1, budget: float = 1e9) -> Night:
    return Night(null(0), noise, samples, budget, seed=3)


def other(recipe: Recipe) -> Recipe:
    return recipe.model_copy(update={"warmup": 0.21})


def differences(noise: Noise, runs: int = 1500) -> numpy.ndarray:
    """Per seed, the paired difference in each category of two recipes that are worth the same."""
    played = night(noise)
    pairs = [(scores_of(played, START, seed), scores_of(played, other(START), seed)) for seed in range(runs)]
    return numpy.array([(a - b).reshape(6, 6).mean(axis=1) for a, b in pairs if a is not None and b is not None])


def scores_of(night: Night, recipe: Recipe, seed: int, share: float = 1.0) -> Array:
    """The scores of a run that does not crash."""
    scores = night.measure(recipe, seed, share)
    assert scores is not None
    return scores


@pytest.mark.long
def test_the_standard_errors_are_those_that_were_measured_in_this_job() -> None:
    found = differences(Noise(correlation=0.0))
    assert found.mean(axis=1).std() == pytest.approx(0.63, abs=0.03)
    assert found.std(axis=0).mean() == pytest.approx(1.07, abs=0.04)


@pytest.mark.parametrize("correlation", all_but([0.5], [0.5, 0.8]))
def test_two_recipes_under_the_same_seed_share_the_stated_part_of_the_noise(correlation: float) -> None:
    played = night(Noise(correlation=correlation))
    means = [[scores_of(played, recipe, seed).mean() for recipe in (START, other(START))] for seed in range(1500)]
    assert numpy.corrcoef(numpy.array(means).T)[0, 1] == pytest.approx(correlation, abs=0.06)


def test_noise_is_the_same_in_whatever_order_it_is_asked_for_and_differs_by_seed_and_length() -> None:
    one, two = night(Noise()), night(Noise())
    first = [scores_of(one, recipe, seed) for recipe in (START, other(START)) for seed in (1, 2)]
    second = [scores_of(two, recipe, seed) for seed in (2, 1) for recipe in (other(START), START)]
    for a, b in zip(first, (second[3], second[1], second[2], second[0]), strict=True):
        assert numpy.array_equal(a, b)
    assert not numpy.array_equal(first[0], first[1])
    assert not numpy.array_equal(first[0], scores_of(one, START, 1, share=0.5))


def test_every_probe_is_charged_and_one_that_is_not_paid_for_ends_the_night() -> None:
    played = night(Noise(), budget=2.5)
    for share in (1.0, 0.25, 1.0, 0.25):
        scores_of(played, START, 1, share)
    assert played.left == 0
    with pytest.raises(NightOver):
        scores_of(played, START, 1, 0.25)


def test_scores_show_the_effect_of_a_recipe_by_category_and_less_of_it_early() -> None:
    landscape = smooth(0)
    played = Night(landscape, Noise().times(0.0), 2, 10, 0)
    best = landscape.best
    change = scores_of(played, best, 1) - scores_of(played, played.start, 1)
    assert change.shape == (len(PROMPTS), 2)
    assert change.reshape(6, -1).mean(axis=1) == pytest.approx(landscape.effects(best))
    early = scores_of(played, best, 1, 0.25) - scores_of(played, played.start, 1, 0.25)
    assert early.mean() == pytest.approx(landscape.fidelity(0.25) * change.mean())


def test_a_clipping_scorer_gives_whole_numbers_and_its_truth_is_what_it_can_show() -> None:
    landscape = clipped(1)
    played = Night(landscape, Noise(), 4, 1e9, 1)
    means = [[scores_of(played, recipe, seed) for seed in range(2000)] for recipe in (played.start, landscape.best)]
    assert set(numpy.unique(means)) <= set(range(11))
    gain = numpy.mean(means[1]) - numpy.mean(means[0])
    assert gain == pytest.approx(played.headroom, abs=0.03)
    assert played.headroom < landscape.headroom


def test_a_night_drifts_once_in_its_middle_third() -> None:
    played = Night(drift(1), Noise().times(0.0), 1, 100, 0)
    levels = [scores_of(played, played.start, seed).mean() for seed in range(100)]
    jumps = numpy.flatnonzero(numpy.abs(numpy.diff(levels)) > 1e-9)
    assert len(jumps) == 1
    assert 33 <= jumps[0] <= 67
    assert abs(levels[-1] - levels[0]) == pytest.approx(0.7)


def test_a_crash_is_none_costs_a_probe_and_is_worth_a_score_of_zero() -> None:
    landscape = cliffs(0)
    crashing = next(
        recipe
        for knob in landscape.space.knobs
        for value in knob.values
        if landscape.crashes(recipe := knob.write(landscape.start, value))
    )
    played = Night(landscape, Noise(), 1, 10, 0)
    assert played.measure(crashing, 1) is None
    assert played.left == 9
    assert played.truth(crashing).mean() == -6


@pytest.mark.parametrize("family", but_one_in(3, FAMILIES), ids=lambda family: family.__name__)
def test_no_recipe_with_its_guards_fine_beats_the_headroom(family: Callable[[int], Landscape]) -> None:
    random = numpy.random.default_rng(0)
    for number in range(2):
        landscape = family(number)
        played = Night(landscape, Noise(), 1, 1, 0)
        assert played.truth(played.start) == pytest.approx(0)
        assert played.truth(landscape.best).min() >= -MARGIN
        assert not landscape.crashes(landscape.best)
        assert (played.headroom > 0.3) == (family is not null)
        for _ in range(20):
            recipe = landscape.best if random.random() < 0.7 else landscape.start
            for _ in range(random.integers(1, 4)):
                moves = landscape.space.moves(recipe)
                knob = list(moves)[random.integers(len(moves))]
                recipe = landscape.space.knob(knob).write(recipe, moves[knob][random.integers(len(moves[knob]))])
            if not landscape.crashes(recipe) and played.truth(recipe).min() >= -MARGIN:
                assert played.truth(recipe).mean() <= played.headroom + 1e-9


def test_a_trap_raises_the_mean_and_breaks_a_guard() -> None:
    landscape = traps(2)
    worth = [effects for table in landscape.tables.values() for effects in table.values()]
    trapped = [effects for effects in worth if effects.min() == -0.8]
    assert len(trapped) == 4
    assert all(effects.mean() > 0.1 and (effects > 0.3).sum() == 5 for effects in trapped)


def test_named_values_are_mostly_worth_nothing_or_less() -> None:
    worth = [e.mean() for n in range(20) for t in additive(n).tables.values() for e in t.values()]
    assert 0.1 < numpy.mean(numpy.array(worth) > 0.19) < 0.3


@dataclass(frozen=True, kw_only=True)
class Warm(Landscape):
    """The example of the protocol's docstring."""

    family: str = "warm"
    lanes: Lanes = field(default_factory=lambda: {"hyperparameters": LaneSettings.model_validate({"warmup": {}})})

    def effect(self, recipe: Recipe, category: str) -> float:
        return 2 * recipe.warmup - 0.2


def test_a_landscape_of_somebody_else_needs_no_more_than_lanes_and_an_effect() -> None:
    played = Night(Warm(), Noise(), 2, 5, 0)
    assert played.headroom == pytest.approx(0.8)
    assert played.landscape.best.warmup == 0.5
    assert scores_of(played, played.start, 1).shape == (36, 2)
    assert played.categories == CATEGORIES


def test_what_was_kept_and_taken_back_is_remembered_with_its_truth() -> None:
    played = Night(Warm(), replace(Noise(), run=0.0), 2, 10, 0)
    better, worse = (played.start.model_copy(update={"warmup": warmup}) for warmup in (0.3, 0.15))
    scores_of(played, better, 1)
    played.keep(better, 0.5)
    scores_of(played, better, 2)
    played.keep(worse, 0.1)
    played.retract(better)
    record = played.record("somebody", 7)
    assert [(event.kind, event.spent, event.standing) for event in record.events] == [
        ("keep", 1, True),
        ("keep", 2, False),
        ("retract", 2, False),
    ]
    assert [event.gain for event in record.made] == pytest.approx([0.4, -0.3])
    assert record.level == pytest.approx(0.4)
    assert (record.missed, record.number, record.spent) == (0, 7, 2)


def test_an_improvement_that_was_measured_and_never_kept_is_missed_once() -> None:
    played = Night(Warm(), Noise(), 1, 10, 0)
    best, middle = (played.start.model_copy(update={"warmup": warmup}) for warmup in (0.5, 0.15))
    for seed in range(3):
        scores_of(played, best, seed)
        scores_of(played, middle, seed)
    assert played.record("somebody").missed == 1
    played.keep(best)
    assert played.record("somebody").missed == 0
