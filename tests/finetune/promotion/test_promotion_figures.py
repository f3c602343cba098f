"""The figures and the rule of a promotion, as functions of answers."""

from dataclasses import replace

import pytest
from holdout_answers import SEEDS, side

from finetune.promotion.decision import decide
from finetune.promotion.figures import outcomes
from finetune.promotion.prediction import BothLengths, prediction, rank_correlation


def test_levels_differences_and_failures_are_those_of_the_answers() -> None:
    found = outcomes(side({"lists": 0.2, "words": 0.5}), side({"lists": 0.9, "words": 0.5}), 0.95)
    assert set(found.differences) == {"overall", "lists", "words"}
    lists = found.differences["lists"]
    assert lists.n == 12
    assert lists.delta == pytest.approx(found.after["lists"].mean - found.before["lists"].mean)
    assert lists.low < lists.delta < lists.high
    assert found.before["lists"].deviation > 0
    assert found.failures["WRONG_OUTPUT"][0] > found.failures["WRONG_OUTPUT"][1] > 0
    assert (found.seeds, found.critical, found.missing) == ((7, 42, 123), (0, 0), (0, 0))


def test_an_answer_without_a_score_counts_on_neither_side() -> None:
    before, after = side({"lists": 0.0}), side({"lists": 1.0})
    silent = replace(after[42][0], score=None, note="the judge was silent")
    after = {**after, 42: [silent, *after[42][1:]]}
    found = outcomes(before, after, 0.95)
    assert found.missing == (0, 1)
    assert found.differences["lists"].delta == 10.0


def test_prompts_that_changed_are_shown_with_both_answers_and_what_kind_of_gain_it_is() -> None:
    algorithmic, of_format = side({"a": 0.0}), side({"b": 0.0}, format_only=True)
    before = {seed: [*algorithmic[seed], *of_format[seed]] for seed in SEEDS}
    after = {seed: [*side({"a": 1.0})[seed], *side({"b": 1.0})[seed]] for seed in SEEDS}
    found = outcomes(before, after, 0.95)
    assert (len(found.newly_passing), len(found.newly_failing)) == (24, 0)
    assert {flip.kind for flip in found.newly_passing if flip.category == "a"} == {"algorithmic"}
    assert {flip.kind for flip in found.newly_passing if flip.category == "b"} == {"format"}
    first = found.newly_passing[0]
    assert (first.before.score, first.after.score) == (0.0, 10.0)
    back = outcomes(after, before, 0.95)
    assert len(back.newly_failing) == 24
    assert (back.newly_failing[0].before.score, back.newly_failing[0].after.score) == (10.0, 0.0)


@pytest.mark.parametrize(
    ("before", "after", "status", "reason"),
    [
        ({"lists": 0.2, "words": 0.5}, {"lists": 0.9, "words": 0.5}, "PROMOTE", "improved"),
        ({"lists": 0.5, "words": 0.5}, {"lists": 0.5, "words": 0.5}, "HOLD", "no_effect"),
        ({"lists": 0.9, "words": 0.5}, {"lists": 0.2, "words": 0.5}, "HOLD", "worse"),
        ({"lists": 0.2, "words": 0.9}, {"lists": 0.9, "words": 0.2}, "HOLD", "guard:words"),
    ],
)
def test_the_rule_asks_for_a_better_target_and_for_guards_that_hold(
    before: dict[str, float], after: dict[str, float], status: str, reason: str
) -> None:
    decision = decide(outcomes(side(before), side(after), 0.95), "lists", {"words": 3.5})
    assert (decision.status, decision.reason) == (status, reason)
    assert "lists " in decision.explanation


def test_more_critical_failures_hold_a_promotion() -> None:
    found = outcomes(side({"lists": 0.1}), side({"lists": 0.95}, critical=("breaks_character",)), 0.95)
    assert decide(found, "lists", {}).reason == "critical"


def both(probe: list[float], full: list[float], **at_steps: list[float]) -> list[BothLengths]:
    return [
        BothLengths(f"r{n}", one, other, {int(step[1:]): values[n] for step, values in at_steps.items()})
        for n, (one, other) in enumerate(zip(probe, full, strict=True))
    ]


def test_probes_that_order_recipes_as_full_length_runs_do_predict_them() -> None:
    order = [float(n) for n in range(8)]
    found = prediction(both(order, order), 60, 0.95)
    assert found.correlation is not None
    assert found.correlation.value == 1.0
    assert found.correlation.low > 0.5
    assert found.sentence.startswith("probes of 60 steps predict the full length: rank correlation 1.00 [")


def test_a_probe_length_that_does_not_predict_is_told_with_the_shortest_that_does() -> None:
    order = [float(n) for n in range(8)]
    shuffled = [3.0, 7.0, 0.0, 5.0, 1.0, 6.0, 2.0, 4.0]
    found = prediction(both(shuffled, order, s50=shuffled, s100=order, s200=order), 60, 0.95)
    assert found.shortest == 100
    assert "not shown to predict the full length" in found.sentence
    assert found.sentence.endswith("by the spot checks of the full-length runs, 100 steps are the fewest that do")
    unpredicted = prediction(both(shuffled, order, s50=shuffled), 60, 0.95)
    assert unpredicted.sentence.endswith("no earlier step of the full-length runs does either")


def test_few_recipes_have_no_correlation() -> None:
    found = prediction(both([1.0], [1.0]), 60, 0.95)
    assert found.correlation is None
    assert "is not known: 1 recipes were measured at both lengths, and 4 are needed; --compare N" in found.sentence
    assert rank_correlation([1.0] * 5, [1.0, 2.0, 3.0, 4.0, 5.0], 0.95) is None, "all of one value have no ranks"
