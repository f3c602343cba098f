"""Rows made from scored answers."""

import pytest
from some_rows import TIME, pair, reward, side, turns

from common.errors import BadInput
from preferences.collection.pairing import (
    BatchSettings,
    DecidedPair,
    ScoredAnswer,
    dpo_rows,
    preference_rows,
    reward_rows,
    without_repetitions,
)
from preferences.store.provenance import Origin, Provenance, TextOrigin
from preferences.store.rows import Row, exact_digest
from probes.inputs.prompts import Prompt

MAKING = BatchSettings(TIME, "scorer", "harvest", margin=1.0)
KEEP = DecidedPair(id="s1-004", session="s1", status="KEEP", reason="improved", kept="new", discarded="old")


def answer(
    text: str, score: float, recipe: str, prompt: str = "h1", sample: int = 0, cut: bool = False
) -> ScoredAnswer:
    asked = Prompt(prompt, "harvest", "lists", 1, f"# {prompt}\n", {})
    origin: Origin = "cut" if cut else "sampled"
    return ScoredAnswer(asked, text, score, TextOrigin(origin, recipe=recipe, sampler_seed=7, sample=sample))


def test_a_dpo_pair_is_kept_over_discarded_on_the_same_prompt_and_draw_by_the_margin() -> None:
    kept = [
        answer("a", 9, "new"),
        answer("b", 5, "new", "h2"),
        answer("c", 9, "new", "h3"),
        answer("d", 2, "new", "h4"),
    ]
    gone = [
        answer("A", 3, "old"),
        answer("B", 4.5, "old", "h2"),
        answer("C", 1, "old", "h3", sample=1),
        answer("D", 9, "old", "h4"),
    ]
    (row,) = dpo_rows(kept, gone, KEEP, MAKING)
    assert (row.texts, row.scores, row.kind) == (("a", "A"), (9, 3), "dpo")
    assert (row.provenance.decision, row.provenance.session, row.provenance.prompt) == ("s1-004", "s1", "h1")
    assert [one.recipe for one in row.provenance.sides] == ["new", "old"]


@pytest.mark.parametrize(
    ("status", "reason", "kept"),
    [
        ("CRASH", "crash:oom", "new"),
        ("DISCARD", "unpromising", "new"),
        ("DISCARD", "unconfirmed", "new"),
        ("DISCARD", "no_effect", "new"),
        ("DISCARD", "calibration", "new"),
        ("KEEP", "improved", "old"),
        ("DISCARD", "overtaken", "new"),
        ("RETRACT", "holdout", "new"),
        ("DISCARD", "inconclusive", "new"),
    ],
)
def test_no_pair_comes_from_a_crash_an_open_decision_or_an_aa_test(status: str, reason: str, kept: str) -> None:
    ruling = DecidedPair(id="s1-004", session="s1", status=status, reason=reason, kept=kept, discarded="old")
    assert dpo_rows([answer("a", 9, kept)], [answer("b", 1, "old")], ruling, MAKING) == ()
    assert dpo_rows([answer("a", 9, "new")], [answer("b", 1, "old")], KEEP, MAKING)


def test_answers_to_a_prompt_that_decides_make_no_pair() -> None:
    for split in ("probe", "holdout"):
        with pytest.raises(BadInput, match=f"is a {split} prompt"):
            ScoredAnswer(Prompt("p", split, "lists", 1, "text", {}), "a", 1.0, side())


def test_answers_of_another_recipe_are_refused() -> None:
    with pytest.raises(BadInput, match="and one is of old"):
        dpo_rows([answer("a", 9, "old")], [answer("b", 1, "old")], KEEP, MAKING)


def test_pairs_of_a_prompt_with_turns_are_conversations() -> None:
    asked = turns(("system", "Be brief."), ("user", "Hi"))
    prompt = Prompt("h1", "harvest", "say", 1, "system: Be brief.\n\nuser: Hi", {}, asked)
    own = [
        ScoredAnswer(prompt, text, score, TextOrigin("sampled", recipe="new"))
        for text, score in (("a", 9.0), ("b", 2.0))
    ]
    (row,) = preference_rows(own, MAKING)
    assert (row.prompt, row.texts) == (asked, (turns(("assistant", "a")), turns(("assistant", "b"))))
    assert [one.texts for one in reward_rows(own, MAKING)] == [
        (turns(("assistant", "a")),),
        (turns(("assistant", "b")),),
    ]


def test_a_prompt_gives_at_most_so_many_pairs_the_clearest_first() -> None:
    kept = [answer(f"k{n}", 5 + n, "new", sample=n) for n in range(4)]
    gone = [answer(f"g{n}", 1, "old", sample=n) for n in range(4)]
    assert [row.scores[0] for row in dpo_rows(kept, gone, KEEP, MAKING)] == [8]
    making = BatchSettings(TIME, "k", "harvest", per_prompt=3)
    assert [row.scores[0] for row in dpo_rows(kept, gone, KEEP, making)] == [8, 7, 6]
    with pytest.raises(BadInput, match="margin=0"):
        BatchSettings(TIME, "k", "harvest", margin=0)


def test_a_preference_is_best_against_worst_of_one_recipe_and_prompt() -> None:
    answers = [
        answer("x", 5, "r"),
        answer("best", 9, "r", sample=1),
        answer("worst", 2, "r", sample=2),
        answer("alone", 0, "other"),
        answer("one", 4, "r", "h2"),
        answer("two", 4.5, "r", "h2", 1),
    ]
    (row,) = preference_rows(answers, MAKING)
    assert (row.texts, row.provenance.decision) == (("best", "worst"), "")


def test_a_cut_answer_is_at_most_a_rejected_side() -> None:
    kept = [answer("cut", 9, "new", cut=True), answer("whole", 8, "new", sample=1)]
    gone = [answer("A", 1, "old"), answer("B", 2, "old", sample=1, cut=True)]
    (row,) = dpo_rows(kept, gone, KEEP, MAKING)
    assert (row.texts, [one.origin for one in row.provenance.sides]) == (("whole", "B"), ["sampled", "cut"])
    assert dpo_rows(kept[:1], gone, KEEP, MAKING) == ()
    assert [row.texts for row in reward_rows(kept, MAKING)] == [("whole",)]


def test_a_cut_answer_is_passed_over_among_the_best_and_no_answer_is_in_two_pairs() -> None:
    making = BatchSettings(TIME, "k", "harvest", per_prompt=3)
    scores = [("a", 10, True), ("b", 9, False), ("c", 8, True), ("d", 7, False), ("e", 2, False), ("f", 1, True)]
    own = [answer(text, score, "r", sample=n, cut=cut) for n, (text, score, cut) in enumerate(scores)]
    assert [row.texts for row in preference_rows(own, making)] == [("b", "f"), ("d", "e")]
    every_one_cut = [answer(text, score, "r", sample=n, cut=True) for n, (text, score, _) in enumerate(scores)]
    assert preference_rows(every_one_cut, making) == ()


def test_empty_and_equal_answers_make_no_pair_and_no_reward() -> None:
    answers = [answer("same", 9, "r"), answer("same", 2, "r", sample=1), answer(" \n", 1, "r", "h2")]
    assert preference_rows(answers, MAKING) == ()
    assert [row.texts for row in reward_rows(answers, MAKING)] == [("same",), ("same",)]


def said(rows: list[Row]) -> dict[str, str]:
    return {exact_digest(row): row.id for row in rows}


def test_a_repeated_answer_is_not_stored_again_and_decisions_keep_their_own() -> None:
    other = Provenance((side(recipe="another", probe="p2"),), "s1", "", "harvest-1", "k")
    first, again, apart = reward(1), reward(1, provenance=other), reward(2, provenance=other)
    assert without_repetitions([first, again, apart], said([])) == [first, apart]
    assert without_repetitions([again, apart], said([first])) == [apart]
    assert without_repetitions([first, apart], said([first])) == [first, apart], (
        "a harvest that was interrupted finds its own rows"
    )
    assert without_repetitions([reward(1, scores=(9.5,), provenance=other)], said([first])) != []
    sides = (side(recipe="kept"), side(recipe="gone"))
    later = pair(1, provenance=Provenance(sides, "s1", "s1-002", "harvest-1", "k"))
    assert without_repetitions([pair(1), later], said([pair(1)])) == [pair(1), later]
