"""The breakdown: classes in order, which problems flipped and by what, and collapses that the mean hides."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.breakdown import Breakdown, break_down, count_classes
from evaluation.results import ScoredSample
from probes.scoring.execution.failure_classes import CLASSES

SEEDS = (42, 123, 7)


def answer(problem: str, word: str, seed: int = 0, sample: int = 0) -> ScoredSample:
    """``word``: a class; "X!" is one that failed by its format alone."""
    name = word.rstrip("!")
    passed = name == "PASS"
    text = f"{problem} {seed} {sample} {word}"
    return ScoredSample(
        problem=problem,
        category="humaneval",
        seed=seed,
        sample=sample,
        answer=text,
        passed=passed,
        failure_class=name,
        score=10.0 * passed,
        note="",
        format_only=word.endswith("!"),
    )


def side(*words: str | Sequence[str]) -> list[ScoredSample]:
    """Problems p0, p1 ... with one answer per word and seed."""
    return [
        answer(f"p{number}", word, seed)
        for number, own in enumerate(words)
        for seed, word in zip(SEEDS, [own] * 3 if isinstance(own, str) else own, strict=False)
    ]


def rows(found: Breakdown) -> list[tuple[str, int, int, int]]:
    return [(row.failure_class, row.before, row.after, row.change) for row in found.classes]


def test_classes_come_in_their_order_and_the_words_of_other_scorers_behind_them_by_name() -> None:
    found = break_down(
        side("zeal", "PASS", "REFUSAL", "NAME_ERROR", "alarm"), side("PASS", "PASS", "TIMEOUT", "NAME_ERROR", "alarm")
    )
    assert rows(found) == [
        ("PASS", 3, 6, 3),
        ("NAME_ERROR", 3, 3, 0),
        ("TIMEOUT", 0, 3, 3),
        ("REFUSAL", 3, 0, -3),
        ("alarm", 3, 3, 0),
        ("zeal", 3, 0, -3),
    ]


@given(st.lists(st.sampled_from([*CLASSES, "own"]), min_size=1), st.lists(st.sampled_from(CLASSES), min_size=1))
def test_every_answer_is_in_one_class_and_shares_are_of_the_own_side(before: list[str], after: list[str]) -> None:
    mine = [answer("p", word, sample=number) for number, word in enumerate(before)]
    theirs = [answer("p", word, sample=number) for number, word in enumerate(after)]
    found = break_down(mine, theirs)
    assert found.answers == (len(before), len(after))
    for row in found.classes:
        assert (row.before, row.after) == (before.count(row.failure_class), after.count(row.failure_class))
        assert (row.before_share, row.after_share) == (row.before / len(before), row.after / len(after))
    assert {row.failure_class for row in found.classes} == {*before, *after}
    assert list(count_classes(mine)) == [word for word in [*CLASSES, "own"] if word in before]


def test_solved_is_more_than_half_of_all_answers() -> None:
    before = side(["PASS", "PASS", "X"], ["PASS", "X", "X"], ["PASS", "X"], ["X", "X", "X"])
    after = side(["PASS", "X", "X"], ["PASS", "PASS", "X"], ["PASS", "PASS"], ["PASS", "X", "X"])
    found = break_down(before, after)
    assert [change.problem for change in found.newly_failing] == ["p0"]
    assert [change.problem for change in found.newly_passing] == ["p1", "p2"]


def test_half_of_the_answers_is_not_solved() -> None:
    found = break_down(side(["PASS", "PASS"], ["X", "X"]), side(["PASS", "X"], ["PASS", "X"]))
    assert [change.problem for change in found.newly_failing] == ["p0"]
    assert found.newly_passing == ()


@pytest.mark.parametrize(
    ("unsolved", "kind"),
    [
        (["NAME_ERROR!", "NAME_ERROR!", "NAME_ERROR"], "format"),
        (["NAME_ERROR!", "NAME_ERROR", "NAME_ERROR"], "algorithmic"),
        (["PASS", "NAME_ERROR!", "NAME_ERROR"], "format"),
        (["NAME_ERROR", "NAME_ERROR", "NAME_ERROR"], "algorithmic"),
    ],
)
def test_a_flip_is_by_format_when_half_of_the_unsolved_sides_failures_are(unsolved: list[str], kind: str) -> None:
    solved = side(["PASS", "PASS", "ASSERTION_FAIL"])
    (gain,) = break_down(side(unsolved), solved).newly_passing
    (loss,) = break_down(solved, side(unsolved)).newly_failing
    assert (gain.kind, loss.kind) == (kind, kind)


def test_a_flip_shows_a_typical_failure_and_the_other_sides_answer_of_the_same_seed() -> None:
    before, after = side(["X", "Y!", "Z!"]), side(["PASS", "X", "PASS"])
    (gain,) = break_down(before, after).newly_passing
    assert (gain.before.failure_class, gain.before.seed, gain.after.seed) == ("Z", 7, 7)
    (loss,) = break_down(after, before).newly_failing
    assert (loss.before, loss.after) == (gain.after, gain.before)
    assert (gain.problem, gain.category) == ("p0", "humaneval")


def test_without_an_answer_of_the_same_seed_and_sample_a_flip_shows_the_first_of_each() -> None:
    before = [answer("p", "X", 1), answer("p", "Y", 2)]
    (gain,) = break_down(before, [answer("p", "PASS", 3), answer("p", "PASS", 4)]).newly_passing
    assert (gain.before.failure_class, gain.after.seed) == ("X", 3)


def test_problems_of_one_side_alone_are_counted_and_enter_nothing() -> None:
    before = [*side("PASS", "X"), answer("alone", "REFUSAL!"), answer("lone", "REFUSAL")]
    after = [*side("PASS", "PASS"), answer("other", "TIMEOUT!")]
    found = break_down(before, after)
    assert (found.problems, found.only_before, found.only_after) == (2, 2, 1)
    assert found.answers == (6, 6)
    assert found.format_only == (0, 0)
    assert [row.failure_class for row in found.classes] == ["PASS", "X"]
    assert found.difference is not None
    assert (found.difference.problems, found.difference.delta) == (2, 0.5)


def test_format_only_failures_are_counted_on_both_sides() -> None:
    assert break_down(side("X!", "X", "PASS"), side(["X!", "PASS", "PASS"], "X", "PASS")).format_only == (3, 1)


def test_sides_without_a_common_problem_have_nothing_to_compare() -> None:
    found = break_down([answer("a", "PASS")], [answer("b", "X")])
    assert (found.problems, found.difference, found.classes, found.warnings) == (0, None, (), ())
    assert break_down([], []).problems == 0


def collapsed(number: int, of: int = 164) -> tuple[list[ScoredSample], list[ScoredSample]]:
    """``number`` answers of distinct wrong problems become refusals; pass@1 stays what it is."""
    before = [answer(f"p{i}", "PASS" if i % 2 else "ASSERTION_FAIL") for i in range(of)]
    after = [replace(r, failure_class="REFUSAL") if not i % 2 and i < 2 * number else r for i, r in enumerate(before)]
    return before, after


def test_a_collapse_that_the_mean_hides_is_told_with_its_figures() -> None:
    (warning,) = break_down(*collapsed(14)).warnings
    assert warning == (
        "REFUSAL rose from 0 to 14 of 164 answers although pass@1 did not clearly move (+0.0 points [+0.0, +0.0]): "
        "read some of them before trusting the mean."
    )


def test_a_class_that_is_new_needs_three_answers_and_two_percent_of_them() -> None:
    assert break_down(*collapsed(2, of=40)).warnings == ()
    assert len(break_down(*collapsed(3, of=40)).warnings) == 1
    many = [answer(f"q{i}", "PASS") for i in range(236)]

    def among_many(number: int) -> Breakdown:
        """All new refusals in the same problem, so that no sign test can find them."""
        before = [*many, *(answer("p", "X", sample=i) for i in range(20))]
        after = [*many, *(answer("p", "REFUSAL" if i < number else "X", sample=i) for i in range(20))]
        return break_down(before, after)

    assert among_many(5).warnings == ()
    assert len(among_many(6).warnings) == 1


def test_a_class_that_was_there_is_warned_of_by_the_sign_test_alone() -> None:
    def shifted(rose: int, fell: int) -> tuple[str, ...]:
        """``rose`` problems turn from wrong to refused, ``fell`` the other way."""
        same = ["PASS"] * 60 + ["REFUSAL"] * 5 + ["ASSERTION_FAIL"] * 5
        before = side(*same, *["ASSERTION_FAIL"] * rose, *["REFUSAL"] * fell)
        after = side(*same, *["REFUSAL"] * rose, *["ASSERTION_FAIL"] * fell)
        return break_down(before, after).warnings

    # One-sided: 6 of 6 has p = 0.016 and 5 of 5 has 0.031; Holm over the two classes asks for 0.025.
    assert len(shifted(6, 0)) == 1
    assert shifted(6, 0)[0].startswith("REFUSAL rose from 15 to 33 of 228 answers")
    assert shifted(5, 0) == ()
    assert shifted(6, 6) == ()
    assert [warning.split()[0] for warning in shifted(0, 6)] == ["ASSERTION_FAIL"]


def test_more_classes_ask_for_more_evidence() -> None:
    """7 of 7 has p = 0.0078: enough among 3 classes (0.0167) and too little among 7 (0.0071)."""

    def warnings(others: Sequence[str]) -> tuple[str, ...]:
        same = ["PASS"] * 60 + ["REFUSAL", "ASSERTION_FAIL", *others]
        return break_down(side(*same, *["ASSERTION_FAIL"] * 7), side(*same, *["REFUSAL"] * 7)).warnings

    assert len(warnings(["TIMEOUT"])) == 1
    assert warnings(["TIMEOUT", "MEMORY", "TYPE_ERROR", "KEY_ERROR", "RECURSION"]) == ()


def test_a_class_is_not_warned_of_where_one_with_more_evidence_is_not() -> None:
    """Two classes with 6 of 6, p = 0.0156: among 4 the first needs 0.0125, and the second must not pass with 0.0167."""
    same = ["PASS"] * 60 + ["REFUSAL", "NO_CODE", "TIMEOUT"]
    found = break_down(side(*same, *["ASSERTION_FAIL"] * 12), side(*same, *["REFUSAL"] * 6, *["NO_CODE"] * 6))
    assert found.warnings == ()
    assert len(found.classes) == 5


def test_refusals_and_missing_code_are_told_first() -> None:
    before = side(*["PASS"] * 60, *["ASSERTION_FAIL"] * 40)
    after = side(*["PASS"] * 60, *["TIMEOUT"] * 20, *["NO_CODE"] * 8, *["REFUSAL"] * 12)
    words = [warning.split()[0] for warning in break_down(before, after).warnings]
    assert words == ["REFUSAL", "NO_CODE", "TIMEOUT"]


def test_a_change_that_the_mean_shows_is_not_warned_of() -> None:
    same = ["PASS"] * 60
    found = break_down(side(*same, *["PASS"] * 20), side(*same, *["REFUSAL"] * 20))
    assert found.difference is not None
    assert found.difference.high is not None
    assert found.difference.high < 0
    assert found.warnings == ()


def test_a_word_for_answers_that_pass_is_no_failure_that_could_rise() -> None:
    before = [answer(f"p{i}", "PASS") for i in range(20)]
    assert break_down(before, [replace(r, failure_class="fine") for r in before]).warnings == ()


def test_a_side_with_fewer_answers_is_told_with_both_numbers() -> None:
    before, after = collapsed(14)
    (warning,) = break_down(before, [*after, *(replace(r, sample=1) for r in after)]).warnings
    assert "REFUSAL rose from 0 of 164 to 28 of 328 answers" in warning


@given(st.lists(st.tuples(st.sampled_from(["PASS", "X", "Y!"]), st.sampled_from(["PASS", "X", "Y!"])), max_size=12))
def test_the_other_direction_has_the_opposite_change(words: list[tuple[str, str]]) -> None:
    before = [answer(f"p{i}", pair[0]) for i, pair in enumerate(words)]
    after = [answer(f"p{i}", pair[1]) for i, pair in enumerate(words)]
    there, back = break_down(before, after), break_down(after, before)
    assert [c.problem for c in there.newly_passing] == [c.problem for c in back.newly_failing]
    assert [c.kind for c in there.newly_failing] == [c.kind for c in back.newly_passing]
    assert {row.failure_class: row.change for row in there.classes} == {
        row.failure_class: -row.change for row in back.classes
    }
