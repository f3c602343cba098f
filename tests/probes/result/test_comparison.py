from dataclasses import replace
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import UnlikeReadings
from probes.result.comparison import compare, differences, standard_error
from probes.result.reading import ProbeKey, Reading, Score, Timing, Unscored, outcome_from_json, outcome_to_json
from probes.result.variance_pooling import MOST_FREEDOM, Spread

KEY = ProbeKey(steps=10, base="base", data="data", prompts="prompts", scorer="scorer", samples=2, environment="here")


def reading(seed: int, values: dict[str, list[float]], key: ProbeKey = KEY, recipe: str = "r") -> Reading:
    """One reading; ``values`` maps "prompt/category" to its samples."""
    scores = tuple(
        Score(name.split("/")[0], sample, name.split("/")[1], value, {})
        for name, samples in values.items()
        for sample, value in enumerate(samples)
    )
    return Reading(
        probe=f"p{seed}",
        recipe=recipe,
        key=key,
        seed=seed,
        scores=scores,
        final={},
        timing=Timing(1, 1, 1, 4),
        tokens=100,
        peak_gb=0.5,
    )


def table(seed: int, shift: float, generator: numpy.random.Generator | None = None) -> dict[str, list[float]]:
    noise = generator.normal(0, 1, (8, 2)) if generator is not None else numpy.zeros((8, 2))
    return {
        f"p{i}/{'lists' if i < 4 else 'arithmetic'}": [float(5 + shift + noise[i, s]) for s in (0, 1)] for i in range(8)
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 11),
        ("base", "x"),
        ("data", "x"),
        ("prompts", "x"),
        ("scorer", "x"),
        ("samples", 3),
        ("environment", "there"),
        ("split", "holdout"),
    ],
)
def test_readings_under_unlike_keys_are_refused_and_the_part_is_named(field: str, value: Any) -> None:
    other = replace(KEY, **{field: value})
    mine = [reading(seed, table(seed, 0)) for seed in (1, 2)]
    theirs = [reading(seed, table(seed, 0), other) for seed in (1, 2)]
    with pytest.raises(UnlikeReadings, match=field):
        compare(mine, theirs)


def test_seeds_must_be_the_same_on_both_sides_and_two_or_more() -> None:
    one, two, three = (reading(seed, table(seed, 0)) for seed in (1, 2, 3))
    for mine, theirs in (([one, two], [one, three]), ([one], [one]), ([one, one], [one, one])):
        with pytest.raises(UnlikeReadings, match="seed"):
            compare(mine, theirs)


def test_prompts_must_be_the_same_on_both_sides() -> None:
    short = {name: samples for name, samples in table(1, 0).items() if name != "p7/arithmetic"}
    with pytest.raises(UnlikeReadings, match="prompt"):
        compare([reading(s, table(s, 0)) for s in (1, 2)], [reading(s, short) for s in (1, 2)])


def test_a_constant_shift_is_found_exactly() -> None:
    comparison = compare([reading(s, table(s, 1.5)) for s in (1, 2)], [reading(s, table(s, 0)) for s in (1, 2)])
    for category, count in (("overall", 8), ("lists", 4), ("arithmetic", 4)):
        found = comparison.differences[category]
        assert (found.n, found.candidate, found.baseline) == (count, 6.5, 5.0)
        assert found.delta == pytest.approx(1.5)
        assert found.low == pytest.approx(1.5)
    assert comparison.seeds == (1, 2)


@given(st.permutations([1, 2, 3]), st.permutations([1, 2, 3]))
def test_the_order_of_readings_does_not_matter(first: list[int], second: list[int]) -> None:
    def sides(seeds: list[int], shift: float) -> list[Reading]:
        return [reading(s, table(s, shift, numpy.random.default_rng([s, int(shift)]))) for s in seeds]

    assert compare(sides(first, 1), sides(second, 0)) == compare(sides([1, 2, 3], 1), sides([1, 2, 3], 0))


def test_swapping_the_sides_mirrors_the_interval() -> None:
    generator = numpy.random.default_rng(0)
    mine = [reading(s, table(s, 1, generator)) for s in (1, 2, 3)]
    theirs = [reading(s, table(s, 0, generator)) for s in (1, 2, 3)]
    there, back = compare(mine, theirs).differences["overall"], compare(theirs, mine).differences["overall"]
    assert back.delta == pytest.approx(-there.delta)
    assert (back.low, back.high) == (pytest.approx(-there.high), pytest.approx(-there.low))


def test_variance_between_seeds_widens_the_interval() -> None:
    generator = numpy.random.default_rng(1)
    quiet = generator.normal(0, 1, (3, 40))
    loud = quiet + numpy.array([[-2.0], [0.0], [2.0]])
    assert standard_error(loud)[0] > 2 * standard_error(quiet)[0]
    assert standard_error(loud)[1] == 2


def test_an_interval_uses_what_other_comparisons_know_of_the_variance_between_seeds() -> None:
    """A table that is quiet by chance is not believed, a loud one is still heard."""
    generator = numpy.random.default_rng(2)
    effects = generator.normal(0, 0.2, (2, 1))
    lucky = generator.normal(0, 0.5, (2, 40)) + (effects - effects.mean()) * 0.01
    known = Spread(0.5, 12)
    error, freedom = standard_error(lucky, known)
    assert freedom == 13
    assert error > 0.8 * (0.5 * 12 / 13 / 2) ** 0.5
    assert standard_error(lucky, replace(known, freedom=1000.0))[1] == MOST_FREEDOM + 1
    loud = lucky + numpy.array([[-3.0], [3.0]])
    alone = standard_error(loud)
    assert standard_error(loud, known) == alone, "what is known is of another noise"
    assert alone[1] == 1
    assert alone[0] > 1.5 * error


def test_two_pairs_of_recipes_whose_noise_is_known_cover_the_truth() -> None:
    """What six pairs of a confirmation show of the noise counts for two pairs of the same recipes, loud ones too."""
    generator, covered, trials, widths = numpy.random.default_rng(5), 0, 2000, []
    for _ in range(trials):
        pairs = generator.normal(0, 0.5, (8, 24)) + generator.normal(0, 0.4, (8, 1))
        confirmed, again = pairs[:6], pairs[6:]
        known = Spread(float(confirmed.mean(axis=1).var(ddof=1)), 5, same_recipes=True)
        found = differences(again, numpy.zeros((2, 24)), ["lists"] * 24, spreads={"lists": known})["lists"]
        covered += found.low <= 0 <= found.high
        widths.append(found.high - found.low)
        assert found.freedom == 6
    assert 0.935 <= covered / trials <= 0.975
    assert max(widths) < 5, "two pairs by themselves have intervals up to 25 times their standard error"


def test_a_recipe_that_helps_some_prompts_and_harms_others_is_told_from_one_that_does_nothing() -> None:
    generator = numpy.random.default_rng(3)
    rest = generator.normal(0, 0.5, (6, 36))
    unequal = rest + generator.normal(0, 3, (1, 36))
    assert standard_error(unequal)[0] > 2 * standard_error(rest)[0]


@pytest.mark.parametrize(("seed_noise", "prompt_noise"), [(0.0, 1.0), (0.5, 1.0), (1.0, 0.2)])
def test_intervals_cover_the_truth_about_as_often_as_they_say(seed_noise: float, prompt_noise: float) -> None:
    generator = numpy.random.default_rng(7)
    covered, trials = 0, 400
    for _ in range(trials):
        effects = generator.normal(0, seed_noise, (3, 1)) + generator.normal(0, prompt_noise, (1, 24))
        values = effects + generator.normal(0, 1, (3, 24))
        mine = [reading(s, {f"p{i}/lists": [float(values[s, i])] for i in range(24)}) for s in range(3)]
        theirs = [reading(s, {f"p{i}/lists": [0.0] for i in range(24)}) for s in range(3)]
        known = {"lists": Spread(seed_noise**2 + 1 / 24, 16)}
        found = compare(mine, theirs, 0.9, spreads=known).differences["lists"]
        covered += found.low <= 0 <= found.high
    assert 0.84 <= covered / trials <= 0.97


def test_a_reading_survives_json() -> None:
    one = reading(1, table(1, 0))
    assert outcome_from_json(outcome_to_json(one)) == one


def without(given: Reading, prompt: str, *samples: int) -> Reading:
    """The reading with some answers to a prompt unjudged."""
    gone = [s for s in given.scores if s.prompt == prompt and s.sample in samples]
    return replace(
        given,
        scores=tuple(s for s in given.scores if s not in gone),
        missing=tuple(Unscored(s.prompt, s.sample, s.category, "unreadable") for s in gone),
    )


def test_an_unscored_sample_counts_on_neither_side() -> None:
    mine = [reading(s, table(s, 0) | {"p0/lists": [9.0, 5.0]}) for s in (1, 2)]
    theirs = [without(reading(s, table(s, 0)), "p0", 0) for s in (1, 2)]
    found = compare(mine, theirs).differences["lists"]
    assert (found.delta, found.n) == (0.0, 4)


def test_a_prompt_without_a_score_on_one_side_is_left_out_of_both() -> None:
    mine = [reading(s, table(s, 0) | {"p0/lists": [9.0, 9.0]}) for s in (1, 2)]
    theirs = [without(reading(1, table(1, 0)), "p0", 0, 1), reading(2, table(2, 0))]
    found = compare(mine, theirs).differences["lists"]
    assert (found.delta, found.n, found.candidate) == (0.0, 3, 5.0)


def test_a_category_without_any_score_is_no_comparison() -> None:
    few = {
        name: samples for name, samples in table(1, 0).items() if name in ("p0/lists", "p4/arithmetic", "p5/arithmetic")
    }
    mine = [reading(s, few) for s in (1, 2)]
    with pytest.raises(UnlikeReadings, match="no prompt with a score on both sides"):
        compare(mine, [without(r, "p0", 0, 1) for r in mine])


def test_what_is_missing_survives_the_disk() -> None:
    given = without(reading(1, table(1, 0)), "p0", 1)
    assert outcome_from_json(outcome_to_json(given)) == given
