"""The recorded pool: what is true of its recipes, that readings come back whole, and how nights are resampled."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.study.load import Study, parse_study
from bench.recorded.__main__ import POOL, TRUTH
from bench.recorded.plan import BUNDLED, GUARD, PLAN, START, derived, planted
from bench.recorded.pool import Pool, PoolExhausted, PoolRunner, load
from bench.recorded.record import write
from bench.recorded.repeat import PROBES, repeat
from bench.recorded.truth import TARGET, categories, effect, failures, markdown, readings
from lanes import Recipe
from probes.result.comparison import OVERALL, compare
from probes.result.reading import Failure, Outcome, Probe, ProbeKey, Reading, Score, Timing
from testing import simulated_study

MARGIN = 0.5  # of every guard in the bundled study
SCORED = ("start", "helper", "null", "breaker")


@pytest.fixture(scope="module")
def pool() -> Pool:
    return load(POOL)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The derived study, with the prompts of the tiny one."""
    folder = tmp_path_factory.mktemp("derived")
    (folder / "build").mkdir()
    simulated_study.write_jsonl(folder / "build" / "prompts.jsonl", simulated_study.prompts())
    return parse_study(folder / "study.toml", derived(BUNDLED.read_text(encoding="utf-8")))


def probe(pool: Pool, name: str, seed: int, split: str = "probe", **changes: Any) -> Probe:
    key = replace(pool.key, environment="a night", split=split, **changes)
    return Probe(pool.recipes[name], key, seed)


def run(runner: PoolRunner, *probes: Probe) -> list[Outcome]:
    return runner.run(probes, lambda _: None)


def guards(pool: Pool) -> list[str]:
    return [name for name in categories(pool) if name not in (TARGET, OVERALL)]


def test_the_helper_truly_helps_and_harms_no_guard(pool: Pool) -> None:
    for split, seeds in (("probe", 40), ("holdout", 16)):
        gained = effect(pool, "helper", TARGET, split)
        assert gained.n == seeds
        assert gained.low > 0.4
        assert all(effect(pool, "helper", guard, split).mean > -0.2 for guard in guards(pool))


def test_the_null_does_nothing(pool: Pool) -> None:
    found = effect(pool, "null", TARGET)
    assert found.n == 40
    assert abs(found.mean) < 0.05
    assert max(abs(found.low), abs(found.high)) < 0.1


def test_the_breaker_helps_the_target_and_breaks_one_guard(pool: Pool) -> None:
    assert effect(pool, "breaker", TARGET).mean >= 0.3
    assert effect(pool, "breaker", TARGET).low > 0.0
    lost = effect(pool, "breaker", GUARD)
    assert lost.n == 40
    assert lost.mean <= -0.9
    assert lost.high < -MARGIN
    assert all(effect(pool, "breaker", guard).mean > -MARGIN for guard in guards(pool) if guard != GUARD)


def test_the_diverging_one_has_failures_alone(pool: Pool) -> None:
    assert {failure.kind for failure in failures(pool, "diverging")} == {"diverged"}
    assert len(failures(pool, "diverging")) == pool.size("diverging", "probe") == 3


def test_the_start_and_its_three_rivals_were_read_under_every_seed(pool: Pool) -> None:
    seeds = [[reading.seed for reading in readings(pool, name)] for name in SCORED]
    assert all(own == seeds[0] and len(set(own)) == 40 for own in seeds)


def test_the_table_is_that_of_the_pool(pool: Pool) -> None:
    assert TRUTH.read_text(encoding="utf-8") == markdown(pool)
    assert POOL.stat().st_size < 1_500_000


def test_the_recorded_recipes_are_mutations_of_todays_bundled_study(pool: Pool, study: Study) -> None:
    assert {one.name: one.recipe(study) for one in PLAN} == pool.recipes


def test_a_swapped_pair_prefers_what_was_rejected_and_only_in_the_guard() -> None:
    rows = [
        {"prompt": f"# {name}", "chosen": "return 0 if x is None else x", "rejected": "return x", "category": name}
        for name in (GUARD, TARGET)
    ]
    sources = planted(rows)
    assert [(row["prompt"], row["chosen"]) for row in sources["short"]] == [(f"# {GUARD}", "return x")]
    assert sources["pointed"] == [rows[1]]
    assert not any(character.isascii() for row in sources["foreign"] for character in f"{row['prompt']}{row['chosen']}")


def test_a_reading_is_that_of_the_probe_that_asked(pool: Pool) -> None:
    asked = probe(pool, "helper", 5)
    (reading,) = run(PoolRunner(pool, 0), asked)
    assert isinstance(reading, Reading)
    assert (reading.probe, reading.key, reading.seed, reading.recipe) == (asked.id, asked.key, 5, asked.recipe.digest)
    assert len(reading.scores) == len(pool.prompts("probe")) * pool.key.samples == 144 * 4
    asked_for = [(prompt, sample, category) for prompt, category in pool.prompts("probe") for sample in range(4)]
    assert [(score.prompt, score.sample, score.category) for score in reading.scores] == asked_for
    assert {score.outcome for score in reading.scores} >= {"PASS"}


def test_a_key_with_fewer_answers_has_the_first_ones_and_one_with_more_a_failure(pool: Pool) -> None:
    whole, fewer, more = run(PoolRunner(pool, 0), *(probe(pool, START, 5, samples=count) for count in (4, 2, 8)))
    assert isinstance(whole, Reading)
    assert isinstance(fewer, Reading)
    assert fewer.scores == tuple(score for score in whole.scores if score.sample < 2)
    assert isinstance(more, Failure)
    assert "at most so many answers" in more.message
    (longer,) = run(PoolRunner(pool, 0), probe(pool, START, 5, steps=120))
    assert isinstance(longer, Failure)


def test_both_sides_of_a_pair_share_their_index_and_are_compared(pool: Pool) -> None:
    runner = PoolRunner(pool, 3)
    sides = [run(runner, *(probe(pool, name, seed) for seed in (42, 123, 7))) for name in (START, "helper")]
    own = [runner.index("probe", seed) for seed in (42, 123, 7)]
    assert len(set(own)) == 3
    recorded = [pool.reading("helper", "probe", index) for index in own]
    for index, (given, kept) in enumerate(zip(sides[1], recorded, strict=True)):
        assert isinstance(given, Reading)
        assert isinstance(kept, Reading)
        assert given.scores == kept.scores
        assert kept.seed == readings(pool, START)[own[index]].seed
    scored = [[reading for reading in side if isinstance(reading, Reading)] for side in sides]
    assert compare(scored[1], scored[0]).differences[TARGET].n == 24


def test_no_index_is_given_twice_and_the_last_one_is_followed_by_a_refusal(pool: Pool) -> None:
    runner = PoolRunner(pool, 1)
    assert sorted(runner.index("probe", seed) for seed in range(100, 140)) == list(range(40))
    assert runner.index("probe", 100) == runner.index("probe", 100)
    assert sorted(runner.index("holdout", seed) for seed in range(100, 116)) == list(range(16))
    with pytest.raises(PoolExhausted, match="41 training seeds of the split 'probe' and 40 were recorded"):
        runner.index("probe", 7)


def test_repetitions_differ_and_each_can_be_had_again(pool: Pool) -> None:
    orders = [[PoolRunner(pool, r).index("probe", 1), PoolRunner(pool, r).index("probe", 2)] for r in range(20)]
    assert orders == [[PoolRunner(pool, r).index("probe", 1), PoolRunner(pool, r).index("probe", 2)] for r in range(20)]
    assert len({first for first, _ in orders}) > 5


def test_a_recipe_with_fewer_seeds_fails_under_every_seed(pool: Pool) -> None:
    outcomes = run(PoolRunner(pool, 2), *(probe(pool, "diverging", seed) for seed in range(40)))
    assert all(isinstance(outcome, Failure) and outcome.permanent for outcome in outcomes)
    assert [outcome.seed for outcome in outcomes] == list(range(40))


def test_what_the_pool_does_not_hold_is_a_failure_that_says_so(pool: Pool) -> None:
    other = Recipe.model_validate({**pool.recipes[START].model_dump(), "beta": 0.5})
    runner = PoolRunner(pool, 0)
    outcomes = run(runner, Probe(other, pool.key, 1), probe(pool, "breaker", 1, "holdout"))
    assert [outcome.kind for outcome in outcomes if isinstance(outcome, Failure)] == ["error", "error"]
    assert other.digest in outcomes[0].message  # type: ignore[union-attr]
    assert "'breaker' on the split 'holdout'; on this split it holds start, helper" in outcomes[1].message  # type: ignore[union-attr]


def joined(pool: Pool, *names: str) -> Recipe:
    changed: dict[str, Any] = {}
    start = pool.recipes[START].model_dump()
    for name in names:
        changed |= {field: value for field, value in pool.recipes[name].model_dump().items() if value != start[field]}
    return Recipe.model_validate({**start, **changed})


def test_recorded_changes_together_are_a_reading_of_one_and_the_mean_effect_of_the_other(pool: Pool) -> None:
    recipe = joined(pool, "helper", "breaker")
    assert pool.members(recipe) == ("helper", "breaker")
    gained = []
    for seed in range(40):
        runner = PoolRunner(pool, 1)
        both, alone = run(runner, Probe(recipe, pool.key, seed), probe(pool, "helper", seed))
        assert isinstance(both, Reading)
        assert isinstance(alone, Reading)
        assert both.recipe == recipe.digest
        assert all(0 <= score.value <= 10 for score in both.scores)
        gained.append(both.mean(GUARD) - alone.mean(GUARD))
    assert sum(gained) / len(gained) == pytest.approx(effect(pool, "breaker", GUARD).mean, abs=0.25)


def test_a_recipe_that_joins_a_failing_change_fails_and_one_with_another_change_is_not_held(pool: Pool) -> None:
    failing = joined(pool, "null", "diverging")
    (outcome,) = run(PoolRunner(pool, 0), Probe(failing, pool.key, 1))
    assert isinstance(outcome, Failure)
    assert (outcome.kind, outcome.probe) == ("diverged", Probe(failing, pool.key, 1).id)
    assert pool.members(joined(pool, "helper").model_copy(update={"beta": 0.5})) == ()


def test_a_change_that_was_not_recorded_on_a_split_adds_nothing_there(pool: Pool) -> None:
    runner = PoolRunner(pool, 0)
    holdout = replace(pool.key, split="holdout")
    both, alone = run(runner, *(Probe(joined(pool, *names), holdout, 1) for names in (("helper", "null"), ("helper",))))
    assert isinstance(both, Reading)
    assert isinstance(alone, Reading)
    assert both.scores == alone.scores


@pytest.mark.long
def test_sessions_over_the_pool_keep_what_helps_and_nothing_that_harms(pool: Pool) -> None:
    found = repeat(pool, 1)[0]
    assert found.kept == ("helper",)
    assert found.reasons["breaker"] == f"guard:{GUARD}"
    assert found.reasons["diverging"] == "crash:diverged"
    assert found.probes <= PROBES


def test_what_is_written_is_read_back_whole(study: Study, tmp_path: Path) -> None:
    key = ProbeKey(
        steps=60, base="base", data="data", prompts="prompts", scorer="scorer", samples=2, environment="here"
    )
    scores = tuple(
        Score(prompt.id, sample, prompt.category, 2.5 * sample, {"cases": 0.25}, ("timeout",) * sample, "FAIL")
        for prompt in study.material.prompts_of("probe")
        for sample in range(2)
    )
    asked = Probe(study.start, key, 1)
    reading = Reading(
        probe=asked.id,
        recipe=study.start.digest,
        key=key,
        seed=1,
        scores=scores,
        final={"loss": 0.5},
        timing=Timing(1, 2, 3, 7),
        tokens=99,
        peak_gb=0.25,
    )
    failed = Probe(PLAN[4].recipe(study), key, 1)
    failure = Failure(failed.id, 1, "diverged", "loss is nan at step 1")
    path = tmp_path / "pool.json.gz"
    write(path, study, key, {(START, "probe"): [reading], ("diverging", "probe"): [failure]}, ("then", "now"))
    again = load(path)
    assert again.reading(START, "probe", 0) == reading
    assert again.reading("diverging", "probe", 0) == failure
    assert json.loads(json.dumps(again.content["recorded"])) == ["then", "now"]
    with pytest.raises(IndexError):
        again.reading(START, "probe", 1)
