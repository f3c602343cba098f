"""Votes, withdrawals and reviews: an overlay on rows that never change."""

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from some_rows import TIME, pair, reward, side, stores

from common.errors import BadInput
from preferences.store.annotations import (
    ENOUGH_REVIEWS,
    VOTE_CHOICES,
    AnnotatedRow,
    Review,
    Vote,
    VoteChoice,
    is_reviewed,
)
from preferences.store.append_only_file import append, locked
from preferences.store.provenance import Provenance
from preferences.store.review_queue import select_for_review
from preferences.store.rows import KINDS, Row
from preferences.store.stores import Stores


def vote(found: Stores, row: Row, choice: VoteChoice, by: str = "ann") -> AnnotatedRow:
    found.vote([Vote(row.id, choice, by, TIME)])
    return found.find(row.id)


def review(found: Stores, row: Row, verdict: Any = "good") -> None:
    found.review(Review(row.id, verdict, "ann", TIME, found.digest(row.kind)))


@pytest.fixture
def found(tmp_path: Path) -> Stores:
    made = stores(tmp_path)
    made.add([pair(number) for number in range(8)])
    return made


def test_up_and_down_are_counted_one_per_voter_and_the_last_stands(found: Stores) -> None:
    row = pair(0)
    for choice, by in (("up", "ann"), ("up", "ann"), ("down", "bob"), ("down", "ann"), ("up", "cy")):
        stands = vote(found, row, choice, by)  # type: ignore[arg-type]
    assert (stands.up, stands.down, stands.downvoted, stands.used) == (1, 2, True, True)
    stands = vote(found, row, "clear", "bob")
    assert (stands.up, stands.down, stands.downvoted) == (1, 1, False)


def test_a_flip_swaps_texts_scores_and_origins_and_the_row_beneath_stays(found: Stores) -> None:
    row, before = pair(3), found.path("dpo").read_bytes()
    stands = vote(found, row, "flip")
    assert (stands.texts, stands.scores) == (row.texts[::-1], row.scores[::-1])
    assert [one.recipe for one in stands.sides] == ["gone", "kept"]
    assert stands.margin == pytest.approx(-3.7)
    assert vote(found, row, "flip", "bob").flipped
    assert vote(found, row, "clear", "bob").flipped
    assert not vote(found, row, "clear", "ann").flipped
    assert found.path("dpo").read_bytes() == before
    assert found.find(row.id).row == row


def test_a_drop_takes_a_row_out_of_use_and_clear_brings_it_back(found: Stores) -> None:
    row = pair(1)
    assert not vote(found, row, "drop").used
    assert vote(found, row, "clear", "bob").dropped
    assert vote(found, row, "clear").used


def test_what_is_said_of_a_pair_holds_for_its_copies_in_whichever_store(found: Stores) -> None:
    """The same pair by another decision, and as an ORPO row."""
    first = pair(1)
    later = pair(1, provenance=Provenance(first.provenance.sides, "s1", "s1-002", "harvest-1", "k"))
    certified = pair(1, "orpo")
    found.add([later, certified])
    stands = {row.id: row for kind in ("dpo", "orpo") for row in found.read(kind)}
    assert stands[certified.id].used
    vote(found, later, "down")
    assert all(found.find(row.id).downvoted for row in (first, later, certified))
    vote(found, first, "drop")
    assert not any(found.find(row.id).used for row in (first, later, certified))
    vote(found, later, "clear")
    assert all(found.find(row.id).used for row in (first, later, certified))
    vote(found, first, "flip")
    assert [found.find(row.id).flipped for row in (first, later, certified)] == [True] * 3
    assert not found.find(certified.id).used, "what was certified is no longer the chosen side"
    review(found, first)
    assert [len(found.find(row.id).reviews) for row in (first, later, pair(2))] == [1, 1, 0]


def test_what_another_row_calls_mechanical_is_flipped_to_in_no_copy(found: Stores) -> None:
    row = pair(1)
    found.add([pair(1, "preference", provenance=Provenance((side(), side("mechanical"))))])
    with pytest.raises(BadInput, match="never the chosen side"):
        found.vote([Vote(row.id, "flip", "ann", TIME)])


def test_programs_that_differ_in_indentation_are_no_copies(found: Stores) -> None:
    right, wrong = (
        f"def f(xs):\n    for x in xs:\n        y = x\n{indent}return y\n" for indent in ("    ", "        ")
    )
    one, other = (pair(8, texts=(text, "no")) for text in (right, wrong))
    turned = pair(9, "preference", texts=(wrong, right))
    found.add([one, other, turned, pair(9, texts=(right, wrong))])
    vote(found, other, "drop")
    assert found.find(one.id).used
    vote(found, pair(9, texts=(right, wrong)), "flip")
    assert not found.find(turned.id).flipped


def test_a_vote_that_changes_nothing_is_not_written(found: Stores) -> None:
    votes = [Vote(pair(0).id, "up", "ann", TIME), Vote(pair(1).id, "drop", "ann", TIME)]
    assert found.vote(votes) == 2
    before = (found.folder / "votes.jsonl").read_bytes()
    assert found.vote(votes) == 0
    assert (found.folder / "votes.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (reward(1), "has no sides to flip"),
        (pair(1, "orpo"), "chosen side passed the gate, so it cannot flip"),
        (pair(1, "preference", provenance=Provenance((side(), side("mechanical")))), "never the chosen side"),
        (pair(1, "preference", provenance=Provenance((side(), side("cut")))), "cut at its limit of tokens"),
    ],
)
def test_a_flip_that_would_break_a_law_is_refused_with_all_votes_beside_it(found: Stores, row: Row, told: str) -> None:
    found.add([row])
    with pytest.raises(BadInput, match=told):
        found.vote([Vote(pair(0).id, "up", "ann", TIME), Vote(row.id, "flip", "ann", TIME)])
    assert found.find(pair(0).id).up == 0
    assert not vote(found, row, "drop").used


def test_votes_of_nobody_and_on_no_row_are_refused(found: Stores) -> None:
    for one, told in ((Vote("nothing", "up", "a", TIME), "no row"), (Vote(pair(0).id, "up", " ", TIME), "--by")):
        with pytest.raises(BadInput, match=told):
            found.vote([one])


def test_a_retracted_decision_withdraws_its_rows_also_those_that_come_later(found: Stores) -> None:
    other = pair(20, provenance=Provenance((side(), side()), "s1", "s1-002"))
    found.add([other])
    for _ in range(2):
        found.withdraw("the KEEP s1-001 was retracted: holdout", TIME, decision="s1-001")
    found.add([pair(30)])
    standing = {one.id: one for one in found.read("dpo")}
    assert standing[other.id].state == "live"
    assert {one.state for one in standing.values() if one.id != other.id} == {"withdrawn"}
    assert standing[pair(30).id].withdrawn == "the KEEP s1-001 was retracted: holdout"
    assert len((found.folder / "withdrawals.jsonl").read_bytes().splitlines()) == 1
    found.withdraw("by hand", TIME, row=other.id)
    assert not found.find(other.id).used


@pytest.mark.parametrize("values", [{}, {"row": "a", "decision": "b"}])
def test_a_withdrawal_names_one_thing_and_why(found: Stores, values: dict[str, str]) -> None:
    with pytest.raises(BadInput, match="names a row or a decision"):
        found.withdraw("why", TIME, **values)
    with pytest.raises(BadInput, match="say why"):
        found.withdraw(" ", TIME, row="a")


# reviews


def test_a_set_is_looked_at_when_five_of_its_rows_were_judged_and_a_new_row_makes_that_stale(found: Stores) -> None:
    for number in range(ENOUGH_REVIEWS):
        assert not found.reviewed("dpo")
        review(found, pair(number), "bad" if number else "good")
    assert found.reviewed("dpo")
    vote(found, pair(0), "drop")
    assert found.reviewed("dpo")
    vote(found, pair(1), "flip")
    assert not found.reviewed("dpo"), "nobody saw that pair that way round"
    vote(found, pair(1), "clear")
    assert found.reviewed("dpo")
    found.add([pair(25)])
    assert not found.reviewed("dpo")
    assert not found.reviewed("preference")


def test_skipped_rows_and_the_same_row_twice_do_not_count(found: Stores) -> None:
    for number in range(6):
        review(found, pair(number), "skip")
        review(found, pair(0))
    assert not found.reviewed("dpo")


def test_a_small_set_is_looked_at_when_all_of_it_is(tmp_path: Path) -> None:
    found = stores(tmp_path)
    found.add([pair(0), pair(1), pair(2)])
    review(found, pair(0))
    assert not found.reviewed("dpo")
    vote(found, pair(1), "drop")
    review(found, pair(2))
    assert found.reviewed("dpo")


def test_the_lowest_margins_are_shown_first_and_rows_already_judged_last(tmp_path: Path) -> None:
    found = stores(tmp_path)
    found.add([pair(number) for number in range(40)])  # of which the last has the smallest margin
    picked = select_for_review(found.read("dpo"))
    assert [one.row for one in picked] == [pair(number) for number in (39, 38, 37, 36, 35)]
    review(found, pair(39))
    review(found, pair(37), "skip")
    assert [one.row for one in select_for_review(found.read("dpo"))] == [
        pair(number) for number in (38, 37, 36, 35, 34)
    ]
    assert len(select_for_review(found.read("dpo"), 100)) == 40


def test_coverage_ranks_rows_whose_receipt_has_it_and_scores_the_others(tmp_path: Path) -> None:
    found = stores(tmp_path)
    found.add([pair(n, "orpo", receipt={"certified": True, "coverage": 99 - n}) for n in range(12)])
    assert [one.coverage for one in select_for_review(found.read("orpo"), 3)] == [88, 89, 90]
    found.add([reward(number) for number in range(8)])
    assert [one.scores[0] for one in select_for_review(found.read("reward"), 2)] == [0, 1]


def test_dropped_and_withdrawn_rows_are_not_shown(found: Stores) -> None:
    vote(found, pair(7), "drop")
    found.withdraw("why", TIME, row=pair(6).id)
    assert {one.id for one in select_for_review(found.read("dpo"), 99)} == {pair(number).id for number in range(6)}


# the whole is a function of the files

ROWS = [*(pair(number) for number in range(4)), *(reward(number) for number in range(2))]
ROW = st.sampled_from(ROWS)
ACTS = st.one_of(
    st.tuples(st.just("add"), st.lists(ROW, max_size=3)),
    st.tuples(st.just("vote"), ROW, st.sampled_from(VOTE_CHOICES), st.sampled_from(["ann", "bob"])),
    st.tuples(st.just("withdraw"), st.sampled_from(["s1-001", "s1-002"])),
    st.tuples(st.just("review"), ROW, st.sampled_from(["good", "bad", "skip"])),
)


def act(found: Stores, one: tuple[Any, ...]) -> None:
    match one:
        case ("add", rows):
            found.add(rows)
        case ("vote", row, choice, by):
            vote(found, row, choice, by)
        case ("withdraw", decision):
            found.withdraw("retracted", TIME, decision=decision)
        case ("review", row, verdict):
            review(found, row, verdict)


@settings(max_examples=40)
@given(acts=st.lists(ACTS, max_size=12))
def test_what_stands_is_a_function_of_the_files_alone(
    acts: list[Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("function")
    found = stores(folder)
    for one in acts:
        before = {path: path.read_bytes() for path in found.folder.glob("*.jsonl")}
        with suppress(BadInput):  # a vote on a row that is not there, say
            act(found, one)
        assert all(path.read_bytes().startswith(content) for path, content in before.items())
    shutil.copytree(found.folder, folder / "copy")
    copy = Stores(folder / "copy")
    for kind in KINDS:
        assert copy.read(kind) == found.read(kind)
        assert [one.row for one in found.read(kind)] == list(found.rows(kind))
        assert is_reviewed(copy.read(kind)) == found.reviewed(kind)
    with locked(copy.folder):  # a line that is written twice, as by a writer that did not hear that it was done
        for name in ("votes", "withdrawals", "reviews"):
            last = copy.folder / f"{name}.jsonl"
            if last.exists():
                append(last, [json.loads(last.read_text(encoding="utf-8").splitlines()[-1])])
    for kind in KINDS:
        assert [(one.up, one.down, one.flipped, one.dropped, one.state) for one in copy.read(kind)] == [
            (one.up, one.down, one.flipped, one.dropped, one.state) for one in found.read(kind)
        ]
