"""Filters leave rows of a source out, the same for every seed, and never too many."""

from dataclasses import replace

import pytest

from common.errors import IllegalRecipe
from lanes import Recipe, SourceFilter
from probes.inputs.filters import FEWEST_ROWS, filtered, kept_rows
from probes.inputs.sources import TrainingRow, margin_of
from probes.inputs.training_rows import order


def rows(number: int = 80, source: str = "honest") -> tuple[TrainingRow, ...]:
    return tuple(
        TrainingRow(f"What is {place}?", "yes " * (1 + place % 4), "no " * 4, source, 1, place + 1, margin=place % 8)
        for place in range(number)
    )


def recipe(**filters: dict[str, object]) -> Recipe:
    return Recipe(mixture={"honest": 1.0}, filters=filters)


def test_a_least_margin_keeps_rows_with_at_least_that_margin_in_their_order() -> None:
    kept = kept_rows("honest", rows(), SourceFilter(min_margin=4))
    assert kept == tuple(row for row in rows() if row.margin is not None and row.margin >= 4)
    assert len(kept) == 40


def test_rows_without_scores_pass_no_margin_and_the_refusal_says_how_many_there_are() -> None:
    unscored = tuple(replace(row, margin=None) for row in rows())
    assert kept_rows("honest", unscored, SourceFilter(length_ratio=0.1)) == unscored
    with pytest.raises(IllegalRecipe, match=r"min_margin=1 leaves 0 of the 80 rows .*80 rows have no chosen_score"):
        kept_rows("honest", unscored, SourceFilter(min_margin=1))


def test_a_length_ratio_compares_the_shorter_answer_with_the_longer_one() -> None:
    both = (TrainingRow("a", "x" * 10, "y" * 20, "honest", 1), TrainingRow("b", "x" * 20, "y" * 9, "honest", 1))
    kept = kept_rows("honest", both * 40, SourceFilter(length_ratio=0.5))
    assert {row.prompt for row in kept} == {"a"}


def test_near_duplicates_of_prompts_and_of_whole_rows_are_left_out_and_the_first_stays() -> None:
    own = rows(40)
    again = tuple(replace(row, prompt=str(row.prompt).upper(), line=row.line + 40) for row in own)
    other = tuple(replace(row, chosen="another answer", line=row.line + 80) for row in own)
    assert kept_rows("honest", own + again + other, SourceFilter(duplicates="rows")) == own + other
    assert kept_rows("honest", own + again + other, SourceFilter(duplicates="prompts")) == own


def test_a_subset_is_part_of_a_larger_one_and_another_row_moves_no_row() -> None:
    own = rows(400)
    half, quarter = (set(kept_rows("honest", own, SourceFilter(subset=share))) for share in (0.5, 0.25))
    assert (len(half), len(quarter)) == (200, 100)
    assert quarter < half
    with_more = set(kept_rows("honest", (*own, replace(own[0], prompt="One more?")), SourceFilter(subset=0.5)))
    assert len(half - with_more) <= 1
    assert tuple(row.line for row in kept_rows("honest", own, SourceFilter(subset=0.5))) == tuple(
        sorted(row.line for row in half)
    )


def test_a_filter_that_leaves_too_few_rows_is_refused_with_the_number() -> None:
    with pytest.raises(IllegalRecipe, match=rf"{FEWEST_ROWS} rows or more and subset=0\.1 leaves 8 of the 80 rows"):
        filtered(recipe(honest={"subset": 0.1}), {"honest": rows()})


def test_a_filter_of_a_source_without_a_share_does_nothing() -> None:
    sources = {"honest": rows(), "other": rows(4, "other")}
    assert filtered(recipe(other={"subset": 0.5}), sources) == sources


def test_a_run_draws_only_rows_that_are_kept_and_without_filters_what_it_drew_before() -> None:
    sources = {"honest": rows()}
    strict = order(recipe(honest={"min_margin": 4}), sources, 60, seed=7)
    assert [len(strict), {row.margin for row in strict}] == [60, {4, 5, 6, 7}]
    plain = order(recipe(), sources, 160, seed=7)
    assert sorted(plain, key=lambda row: row.prompt) == sorted(rows() * 2, key=lambda row: row.prompt)


@pytest.mark.parametrize(
    ("record", "margin"),
    [
        ({"chosen_score": 8, "rejected_score": 5.5}, 2.5),
        ({"score_chosen": "7.5", "score_rejected": "9"}, -1.5),
        ({"chosen_score": 8}, None),
        ({"chosen_score": "high", "rejected_score": 5}, None),
        ({"chosen_score": True, "rejected_score": 0}, None),
        ({"chosen_score": "inf", "rejected_score": 0}, None),
        ({"chosen_score": 10**400, "rejected_score": 0}, None),
    ],
)
def test_the_margin_of_a_row_needs_both_scores_as_numbers(record: dict[str, object], margin: float | None) -> None:
    assert margin_of(record) == margin
