"""Stores that are read by pages say the same of every row as stores that are read as a whole."""

import json
from pathlib import Path

import pytest
from some_rows import TIME, pair, reward, side, stores, talk

from common.errors import BadInput
from preferences.store.annotations import Certification, Review, Vote, VoteChoice, text_digest
from preferences.store.paged import PagedStores
from preferences.store.provenance import Provenance
from preferences.store.rows import KINDS
from preferences.store.scorings import Scoring, StoredMark, marks_to_json
from preferences.store.stores import Stores


@pytest.fixture
def found(tmp_path: Path) -> Stores:
    """Pairs with and without scores, copies of them in other stores, and a text that was mechanically made."""
    made = stores(tmp_path)
    made.add([pair(number) for number in range(6)])
    made.add([pair(1, "orpo"), pair(2, "preference", scores=(None, None)), reward(3)])
    made.add([pair(4, "preference", provenance=Provenance((side(), side("mechanical"))))])
    return made


def agrees(paged: PagedStores, whole: Stores) -> None:
    paged.refresh()
    for kind, rows in whole.read_all().items():
        entries = paged.rows[kind].entries
        assert [paged.read(entry) for entry in entries] == list(rows)
        for entry, row in zip(entries, rows, strict=True):
            marks = paged.marks(entry)
            assert (marks.up, marks.down, marks.dropped, marks.withdrawn) == (
                row.up,
                row.down,
                row.dropped,
                row.withdrawn,
            )
            figure = row.scores[0] if kind == "reward" else row.margin
            assert paged.figure(entry, marks.flipped) == figure


def test_every_row_has_the_same_annotations_by_page_and_as_a_whole(found: Stores) -> None:
    paged = PagedStores(found)
    agrees(paged, found)
    found.vote([Vote(pair(1).id, "flip", "ann", TIME), Vote(pair(2).id, "up", "bob", TIME)])
    agrees(paged, found)
    found.withdraw("retracted", TIME, decision="s1-001")
    found.review(Review(pair(3).id, "bad", "ann", TIME, "set"))
    agrees(paged, found)
    row = pair(2, "preference", scores=(None, None))
    marks = {text_digest(text): StoredMark(float(place), {"correct": 1.0}) for place, text in enumerate(row.texts)}
    found.score([Scoring(row=row.id, marks=marks_to_json(marks), scorer="s", kind="rules", study="x", time=TIME)])
    receipt = json.dumps({"gate": "text", "certified": True, "receipts": []})
    found.certify([Certification(pair(5).id, text_digest(pair(5).texts[0]), receipt, TIME)])
    agrees(paged, found)
    found.add([pair(7), pair(2, "orpo")])
    agrees(paged, found)


def test_a_vote_by_page_is_a_vote_of_the_stores(found: Stores) -> None:
    paged = PagedStores(found)
    choices: list[VoteChoice] = ["up", "flip", "drop", "clear", "flip", "flip"]
    for number, choice in enumerate(choices):
        paged.vote(Vote(pair(number % 2).id, choice, "ann", TIME))
        agrees(paged, found)
    assert len(found.votes()) == 6


def test_what_no_flip_may_choose_is_refused_by_page_too(found: Stores) -> None:
    paged = PagedStores(found)
    cut = pair(8, provenance=Provenance((side(), side("cut"))))
    found.add([cut])
    for row, told in (
        (pair(4).id, "mechanically made"),
        (cut.id, "cut at its limit"),
        (pair(1, "orpo").id, "passed the gate"),
        (reward(3).id, "no sides"),
        ("nothing", "no row"),
    ):
        with pytest.raises(BadInput, match=told):
            paged.vote(Vote(row, "flip", "ann", TIME))
    assert found.votes() == []


def test_conversations_are_read_by_page(tmp_path: Path) -> None:
    made = stores(tmp_path)
    made.add([talk(number) for number in range(3)])
    agrees(PagedStores(made), made)


def test_a_store_that_was_repaired_is_read_anew(found: Stores) -> None:
    paged, path = PagedStores(found), found.path("dpo")
    paged.refresh()
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join([lines[0], "{half a li"]), encoding="utf-8")
    paged.refresh()
    assert ([entry.id for entry in paged.rows["dpo"].entries], paged.rows["dpo"].damaged) == ([pair(0).id], [])
    path.write_text("".join(["garbage\n", *lines[1:]]), encoding="utf-8")
    paged.refresh()
    assert (len(paged.rows["dpo"].entries), paged.rows["dpo"].damaged) == (5, [1])
    assert {kind: len(paged.rows[kind].entries) for kind in KINDS} == {
        "preference": 2,
        "reward": 1,
        "dpo": 5,
        "orpo": 1,
    }
