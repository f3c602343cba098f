"""Rows: what is refused, what an id names, and rows made from scored answers."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from some_rows import CERTIFIED, TIME, pair, reward, side, talk, turns

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
from preferences.store.provenance import Provenance, Side
from preferences.store.rows import Row, coverage_of, exact_digest, row_from_json, row_to_json
from probes.inputs.prompts import Prompt
from probes.inputs.turns import Turn

MAKING = BatchSettings(TIME, "scorer", "harvest", margin=1.0)
KEEP = DecidedPair(id="s1-004", session="s1", status="KEEP", reason="improved", kept="new", discarded="old")


def sides(chosen: Side, rejected: Side) -> Provenance:
    return Provenance((chosen, rejected))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"texts": ("same", "same")}, "a pair needs a difference"),
        ({"texts": ("one", "  \n")}, "rejected is empty"),
        ({"texts": ("one",)}, "has chosen and rejected"),
        ({"texts": ("one", turns(("assistant", "two")))}, "mixes plain texts with lists of turns"),
        ({"texts": ("one", "half \ud800")}, "half a character"),
        ({"scores": (float("nan"), 1.0)}, "score of chosen must be a finite number"),
        ({"scores": (3.0, 3.0)}, "chosen side scores higher, and here it is 3 against 3"),
        ({"category": " "}, "category is a word or two"),
        ({"time": "yesterday"}, "not an ISO-8601 time"),
        ({"kind": "dop"}, "there is no store 'dop'"),
        ({"kind": "orpo", "receipt": None}, 'needs a gate receipt with "certified": true'),
        ({"kind": "orpo", "receipt": {"certified": "yes"}}, 'needs a gate receipt with "certified": true'),
        ({"provenance": sides(side("mechanical"), side())}, "mechanically made text is never the chosen side"),
    ],
)
def test_a_row_that_breaks_a_law_cannot_be_built(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(BadInput, match=told):
        pair(**changes)


def test_a_reward_is_one_answer_with_a_score() -> None:
    assert reward(3).scores == (3.0,)
    with pytest.raises(BadInput, match="has none; give it a score"):
        reward(scores=(None,))


@pytest.mark.parametrize(
    "changes", [{"origin": "made up"}, {"sample": 1.5}, {"recipe": None}, {"figures": {"a": float("inf")}}]
)
def test_a_side_is_from_a_closed_list_and_its_figures_are_numbers(changes: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        Side(**{"origin": "sampled", **changes})


def test_an_id_names_content_and_provenance_and_not_when_or_under_which_label_it_came() -> None:
    one = pair()
    assert one.id == pair(time="2027-01-01", category="other", source="file", receipt={"seconds": 3}).id
    others = [
        pair(1),
        pair(kind="preference"),
        pair(scores=(8.5, 4.0)),
        pair(prompt="# another\n"),
        pair(provenance=Provenance((side(recipe="kept"), side(recipe="gone")), "s1", "s1-002", "harvest-0", "k")),
    ]
    assert len({one.id, *(other.id for other in others)}) == 6


@pytest.mark.parametrize(
    "row",
    [pair(), pair(kind="orpo"), pair(kind="preference", scores=(None, 2)), talk(), reward(4)],
    ids=lambda r: r.kind,
)
def test_a_row_survives_its_file(row: Row) -> None:
    again = row_from_json(row.kind, json.loads(json.dumps(row_to_json(row))))
    assert (again, again.id) == (row, row.id)


def test_every_row_of_a_store_has_the_same_columns() -> None:
    """Of columns and of nested ones: what a loader infers from the first row holds for all."""

    def shape(value: Any) -> Any:
        return {name: shape(part) for name, part in value.items()} if isinstance(value, dict) else None

    bare = Provenance((side("human"), side("human")))
    full = Provenance((side("sampled", sample=3, sampler_seed=9, figures={"a": 1}), side("reference", bar="gate")), "s")
    shapes = [shape(row_to_json(pair(kind="orpo", provenance=how))) for how in (bare, full)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("change", [{"chosen": "other"}, {"chosen_score": 9.5}, {"id": "0" * 16}])
def test_a_row_that_was_edited_after_it_was_written_is_noticed(change: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="rows never change"):
        row_from_json("dpo", row_to_json(pair()) | change)


@given(st.recursive(st.none() | st.booleans() | st.text() | st.integers(), lambda inner: st.lists(inner, max_size=3)))
def test_what_is_no_row_is_refused_and_no_defect(value: Any) -> None:
    good = row_to_json(pair())
    for column in good:
        if value != good[column] and column not in ("time", "category", "source", "receipt"):
            with pytest.raises(BadInput):
                row_from_json("dpo", good | {column: value})
    with pytest.raises(BadInput):
        row_from_json("dpo", {name: value for name, value in good.items() if name != "receipt"})


def test_coverage_is_read_from_a_receipt_in_either_form() -> None:
    assert coverage_of(CERTIFIED) == 85.0
    assert coverage_of({"coverage": 40}) == 40.0
    assert coverage_of({"coverage": "most", "receipts": "none"}) is None
    assert coverage_of({}) is None


CALL = Turn("assistant", "", '{"tool_calls":[{"type":"function","function":{"name":"f","arguments":{"b":1,"a":2}}}]}')


def test_a_row_with_tool_calls_survives_its_file_and_ids_of_others_are_what_they_were() -> None:
    row = talk(texts=((CALL, Turn("tool", "4", '{"name":"f"}'), Turn("assistant", "Four.")), (CALL,)))
    assert row_from_json("dpo", json.loads(json.dumps(row_to_json(row)))) == row
    assert row.id != talk(texts=((Turn("assistant", "Four."),), (Turn("assistant", "Five."),))).id
    assert (talk().id, pair().id) == ("496e39675f7fd1c8", "b23ea5cd2f99d502")


# rows from scored answers


def answer(text: str, score: float, recipe: str, prompt: str = "h1", sample: int = 0) -> ScoredAnswer:
    asked = Prompt(prompt, "harvest", "lists", 1, f"# {prompt}\n", {})
    return ScoredAnswer(asked, text, score, Side("sampled", recipe=recipe, sampler_seed=7, sample=sample))


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
def test_no_pair_comes_from_a_crash_an_open_decision_or_the_incumbent_in_disguise(
    status: str, reason: str, kept: str
) -> None:
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
    own = [ScoredAnswer(prompt, text, score, Side("sampled", recipe="new")) for text, score in (("a", 9.0), ("b", 2.0))]
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
