"""Rows: what is refused, and what an id identifies."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from some_rows import CERTIFIED, pair, reward, side, talk, turns

from common.errors import BadInput
from preferences.store.provenance import Provenance, TextOrigin
from preferences.store.rows import Row, coverage_of, row_from_json, row_to_json
from probes.inputs.rows.turns import Turn


def sides(chosen: TextOrigin, rejected: TextOrigin) -> Provenance:
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
        ({"scores": (3.0, 3.0)}, "chosen side must score higher, and here it is 3 against 3"),
        ({"category": " "}, "category must not be blank"),
        ({"time": "yesterday"}, "not an ISO-8601 time"),
        ({"kind": "dop"}, "there is no store 'dop'"),
        ({"kind": "orpo", "receipt": None}, 'needs a gate receipt with "certified": true'),
        ({"kind": "orpo", "receipt": {"certified": "yes"}}, 'needs a gate receipt with "certified": true'),
        ({"provenance": sides(side("mechanical"), side())}, "mechanically made text is never the chosen side"),
        ({"provenance": sides(side("cut"), side())}, "cut at its limit of tokens is never the chosen side"),
    ],
)
def test_a_row_that_breaks_a_law_cannot_be_built(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(BadInput, match=told):
        pair(**changes)


def test_a_reward_is_one_answer_with_a_score() -> None:
    assert reward(3).scores == (3.0,)
    with pytest.raises(BadInput, match="has no score; give it one"):
        reward(scores=(None,))


@pytest.mark.parametrize(
    "changes", [{"origin": "made up"}, {"sample": 1.5}, {"recipe": None}, {"figures": {"a": float("inf")}}]
)
def test_a_side_is_from_a_closed_list_and_its_figures_are_numbers(changes: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        TextOrigin(**{"origin": "sampled", **changes})


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
