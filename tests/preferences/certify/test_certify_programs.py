"""nightlane pairs certify: rows through the gate, their certificates, and the ORPO rows of those that pass."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from some_rows import TIME, pair, side, stores

from common.errors import BadInput
from preferences.certify.certify_store import certify_programs
from preferences.store.annotations import Vote
from preferences.store.provenance import Provenance
from preferences.store.stores import Stores
from view.pairs.certify import certify_data, certify_text

CONTRACT = {
    "entry_point": "double",
    "parameters": {"xs": "ints"},
    "reference": "def double(xs):\n    return [2 * x for x in xs]\n",
    "invariants": ["len(result) == len(xs)"],
}
PROMPT = "# double(xs) gives twice every item of xs\n"
RIGHT = "def double(xs):\n    return [x + x for x in xs]\n"
WRONG = "def double(xs):\n    return [x * x for x in xs]\n"
OTHER = "def double(xs):\n    return xs\n"


def row(chosen: str, rejected: str, origin: str = "sampled", **changes: Any) -> Any:
    sides = Provenance((side(origin), side()), "s1", "s1-001", "harvest-1", "k")
    return pair(0, prompt=PROMPT, texts=(chosen, rejected), provenance=sides, **changes)


def filled(folder: Path, *rows: Any) -> Stores:
    found = stores(folder)
    found.add(rows)
    return found


def contracts(folder: Path, *lines: Any) -> Path:
    path = folder / "contracts.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path


def known(folder: Path) -> Path:
    return contracts(folder, {"prompt": PROMPT, "contract": CONTRACT})


def test_what_passes_all_layers_becomes_an_orpo_row_and_the_rest_says_why_not(tmp_path: Path) -> None:
    found = filled(tmp_path, row(RIGHT, OTHER), row(WRONG, OTHER), pair(7))
    told = list[tuple[int, int]]()
    done = certify_programs(found, "dpo", known(tmp_path), lambda place, of: told.append((place, of)))
    assert told == [(2, 2)]
    data = certify_data(done)
    assert (data["rows"], data["certified"], data["without_contract"], data["new_orpo_rows"]) == (2, 1, 1, 1)
    (orpo,) = found.read("orpo")
    assert (orpo.texts, orpo.state) == ((RIGHT, OTHER), "live")
    assert orpo.receipt
    assert orpo.receipt["certified"] is True
    right, wrong, unseen = found.read("dpo")
    assert right.receipt
    assert right.coverage == 100.0
    assert wrong.receipt
    assert wrong.receipt["certified"] is False
    assert unseen.receipt is None
    layers = {one["layer"]: one for one in data["layers"]}
    assert layers["differential"]["caught"] == 1
    assert [one["row"] for one in data["refused"]] == [wrong.id]
    text = certify_text(done)
    assert "1 of 2 rows certified, 1 new in orpo; 1 row without a contract" in text
    assert wrong.id in text


@pytest.mark.long
def test_certifying_twice_changes_nothing(tmp_path: Path) -> None:
    found = filled(tmp_path, row(RIGHT, OTHER))
    assert certify_programs(found, "dpo", known(tmp_path), lambda place, of: None).new == 1
    before = {path.name: path.read_bytes() for path in found.folder.glob("*.jsonl")}
    assert certify_programs(found, "dpo", known(tmp_path), lambda place, of: None).new == 0
    assert {path.name: path.read_bytes() for path in found.folder.glob("*.jsonl")} == before


@pytest.mark.long
def test_the_side_that_is_chosen_now_is_the_one_that_is_certified(tmp_path: Path) -> None:
    """A receipt says nothing of a side that was chosen before."""
    found = filled(tmp_path, row(WRONG, RIGHT, scores=(None, None)))
    certify_programs(found, "dpo", known(tmp_path), lambda place, of: None)
    assert not found.read("orpo")
    (one,) = found.read("dpo")
    found.vote([Vote(one.id, "flip", "ann", TIME)])
    assert found.read("dpo")[0].receipt is None
    certify_programs(found, "dpo", known(tmp_path), lambda place, of: None)
    (orpo,) = found.read("orpo")
    assert orpo.texts == (RIGHT, WRONG)


def test_a_flipped_row_with_scores_is_certified_as_it_stands_and_stops_no_other(tmp_path: Path) -> None:
    found = filled(tmp_path, row(WRONG, RIGHT), row(RIGHT, OTHER))
    found.vote([Vote(found.read("dpo")[0].id, "flip", "ann", TIME)])
    done = certify_programs(found, "dpo", known(tmp_path), lambda place, of: None)
    assert [one.certificate.certified for one in done.rows] == [True, True]
    assert [one.texts for one in found.read("orpo")] == [(RIGHT, WRONG), (RIGHT, OTHER)]
    assert all(one.used for one in found.read("orpo"))


def test_a_row_that_fails_when_it_is_certified_again_is_no_longer_used(tmp_path: Path) -> None:
    """A contract was mended, say."""
    found = filled(tmp_path, row(RIGHT, OTHER))
    certify_programs(found, "dpo", known(tmp_path), lambda place, of: None)
    assert [one.used for one in found.read("orpo")] == [True]
    mended = {**CONTRACT, "reference": str(CONTRACT["reference"]).replace("2 *", "3 *")}
    assert mended != CONTRACT
    certify_programs(found, "dpo", contracts(tmp_path, {"prompt": PROMPT, "contract": mended}), lambda place, of: None)
    assert [(one.state, one.used) for one in found.read("orpo")] == [("live", False)]


@pytest.mark.long
def test_what_is_said_twice_is_certified_once(tmp_path: Path) -> None:
    first = row(RIGHT, OTHER)
    again = replace(first, provenance=replace(first.provenance, decision="s1-002"))
    found = filled(tmp_path, first, again)
    done = certify_programs(found, "dpo", known(tmp_path), lambda place, of: None)
    assert (len(done.rows), done.without_contract, done.new) == (1, 0, 1)
    found.withdraw("retracted", TIME, decision=first.provenance.decision)
    assert [one.used for one in found.read("orpo")] == [False]
    assert certify_programs(found, "dpo", known(tmp_path), lambda place, of: None).new == 1


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        (f"Sorry, I cannot help with that.\n```python\n{RIGHT}```\n", "declines"),
        (f"\n{WRONG}", "the same program"),
    ],
)
def test_an_answer_that_declines_or_holds_the_rejected_program_is_refused(
    tmp_path: Path, chosen: str, told: str
) -> None:
    found = filled(tmp_path, row(chosen, WRONG))
    (one,) = certify_programs(found, "dpo", known(tmp_path), lambda place, of: None).rows
    assert not one.certificate.certified
    assert told in one.certificate.reason


def test_dropped_and_withdrawn_rows_are_not_certified(tmp_path: Path) -> None:
    found = filled(tmp_path, row(RIGHT, OTHER), row(RIGHT, WRONG))
    first, second = found.read("dpo")
    found.vote([Vote(first.id, "drop", "ann", TIME)])
    found.withdraw("retracted", TIME, row=second.id)
    with pytest.raises(BadInput, match="none of the 2 dpo rows"):
        certify_programs(found, "dpo", known(tmp_path), lambda place, of: None)


def test_a_withdrawn_decision_withdraws_its_orpo_rows_too(tmp_path: Path) -> None:
    found = filled(tmp_path, row(RIGHT, OTHER))
    certify_programs(found, "dpo", known(tmp_path), lambda place, of: None)
    found.withdraw("the KEEP was retracted", TIME, decision="s1-001")
    assert [one.state for one in found.read("orpo")] == ["withdrawn"]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([{"prompt": PROMPT}], "line 1 needs a text prompt and an object contract"),
        ([{"prompt": PROMPT, "contract": {"entry_point": "double"}}], "line 1: "),
        ([{"prompt": PROMPT, "contract": CONTRACT}] * 2, "line 2 repeats the prompt of an earlier line"),
        ([], "holds no contracts"),
    ],
)
def test_a_bad_line_of_contracts_is_named(tmp_path: Path, lines: list[Any], told: str) -> None:
    with pytest.raises(BadInput, match=told):
        certify_programs(
            filled(tmp_path, row(RIGHT, OTHER)), "dpo", contracts(tmp_path, *lines), lambda place, of: None
        )


def test_only_stores_of_pairs_are_certified(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="use one of dpo, preference"):
        certify_programs(filled(tmp_path), "reward", known(tmp_path), lambda place, of: None)


def test_a_mechanical_text_that_a_preference_row_holds_is_refused_unseen(tmp_path: Path) -> None:
    """No store takes a mechanical chosen side; a row that stands flipped onto one is refused the flip."""
    sides = Provenance((side(), replace(side(), origin="mechanical")), "s1", "", "harvest-1", "k")
    found = filled(tmp_path, pair(0, "preference", prompt=PROMPT, texts=(RIGHT, WRONG), provenance=sides))
    (one,) = found.read("preference")
    with pytest.raises(BadInput, match="never the chosen side"):
        found.vote([Vote(one.id, "flip", "ann", TIME)])
