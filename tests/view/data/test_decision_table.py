"""The table of decisions: what a query filters, how it sorts, and where its pages end."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import BadInput
from view.data.changes import Change
from view.data.listing.decisions import ROWS, SORTS, DecisionLine, DecisionQuery, choices, in_order, neighbours, select

LINE = DecisionLine(
    number="001",
    turn=1,
    time="2026-11-30T20:09:41Z",
    status="DISCARD",
    reason="guard:lists",
    lane="hyperparameters",
    knob="beta",
    before=0.1,
    after=0.2,
    effect=Change(0.5, 0.1, 0.9),
    chance=0.9,
    worst_guard="lists",
    worst_guard_delta=-0.2,
    worst_guard_low=-0.5,
    guards_ok=None,
    stack=None,
    proposer="factorial",
    hypothesis="a larger beta helps",
    retracted=None,
)


def line(turn: int, **changed: Any) -> DecisionLine:
    return replace(LINE, number=f"{turn:03d}", turn=turn, **changed)


def found(lines: list[DecisionLine], **query: Any) -> list[str]:
    return [one.number for one in select(lines, DecisionQuery(**query)).rows]


def test_filters_meet_all_at_once_and_text_is_looked_for_everywhere() -> None:
    lines = [line(1), line(2, lane="mixture", knob="weight.good"), line(3, status="KEEP", reason="improved", stack=2)]
    assert found(lines, lane="hyperparameters", order="up") == ["001", "003"]
    assert found(lines, lane="hyperparameters", status="KEEP") == ["003"]
    assert found(lines, reason="guard", lane="mixture") == ["002"]
    assert found(lines, stack="2") == ["003"]
    assert found(lines, text="WEIGHT") == ["002"]
    assert found(lines, text="<b>") == []
    assert choices(lines)["reason"] == ("guard", "improved")


def test_what_has_no_value_comes_last_in_either_order() -> None:
    lines = [line(1, effect=None), line(2, effect=Change(-1.0, -2.0, 0.0)), line(3)]
    assert found(lines, sort="effect", order="down") == ["003", "002", "001"]
    assert found(lines, sort="effect", order="up") == ["002", "003", "001"]


def test_values_of_different_kinds_have_an_order() -> None:
    lines = [line(1, before="even"), line(2, before=0.5), line(3, before=2), line(4, before=None)]
    assert found(lines, sort="before", order="up") == ["002", "003", "001", "004"]


@given(st.lists(st.builds(line, st.integers(1, 10_000)), max_size=200), st.sampled_from(sorted(SORTS)))
def test_every_decision_is_on_one_page_in_any_order(lines: list[DecisionLine], sort: str) -> None:
    first = select(lines, DecisionQuery(sort=sort))
    shown = [
        one for page in range(1, first.pages + 1) for one in select(lines, DecisionQuery(sort=sort, page=page)).rows
    ]
    assert shown == in_order(lines, sort, "down")
    assert sorted(one.turn for one in shown) == sorted(one.turn for one in lines)


def test_a_page_after_the_last_one_is_the_last_one() -> None:
    lines = [line(turn) for turn in range(1, 2 * ROWS + 2)]
    page = select(lines, DecisionQuery(page=9))
    assert (page.query.page, page.pages, page.first, len(page.rows)) == (3, 3, 2 * ROWS + 1, 1)


def test_an_address_holds_what_was_asked_and_no_more() -> None:
    query = DecisionQuery.of({"status": "KEEP", "sort": "effect", "page": "2"})
    assert query.parameters(page=2) == {"status": "KEEP", "sort": "effect", "page": "2"}
    assert DecisionQuery.of(query.parameters(page=2)) == query
    assert query.by("effect") == {"status": "KEEP", "sort": "effect", "order": "up"}
    assert query.by("chance") == {"status": "KEEP", "sort": "chance"}
    assert DecisionQuery().parameters() == {}


@pytest.mark.parametrize(
    "wrong", [{"sort": "x"}, {"order": "x"}, {"page": "0"}, {"page": "-1"}, {"page": "²"}, {"x": "1"}]
)
def test_a_wrong_address_names_what_is_wrong(wrong: dict[str, str]) -> None:
    with pytest.raises(BadInput, match=next(iter(wrong))):
        DecisionQuery.of(wrong)


def test_neighbours_are_those_of_the_order_that_was_asked_for() -> None:
    lines = [line(1, chance=0.1), line(2, chance=0.5), line(3, chance=0.3), line(4, lane="mixture", chance=0.4)]
    query = DecisionQuery(sort="chance", lane="hyperparameters")
    assert neighbours(lines, query, "003") == ("002", "001")
    assert neighbours(lines, query, "004") == (None, None)
