"""nightlane pairs certify --text: a store through the text gate."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from some_answers import Text, everyday, persona, standing
from some_rows import TIME, stores, talk

from common.errors import BadInput, MissingRequirement
from preferences.certify import certify_store as certifying
from preferences.certify.certify_store import certify_pairs, certify_texts
from preferences.store.annotations import Certification, Vote, text_digest
from preferences.store.stores import Stores
from probes.inputs.prompts import Prompt
from view.pairs.certify import TOPICS_UNKNOWN, certify_data, certify_text


def filled(folder: Path, texts: list[Text]) -> Stores:
    found = stores(folder)
    found.add([standing(text, number).row for number, text in enumerate(texts)])
    return found


def quiet(done: int, of: int) -> None:
    """Nobody listens."""


def test_what_passes_all_layers_becomes_an_orpo_row_and_the_rest_says_why_not(tmp_path: Path) -> None:
    texts = everyday()[:12]
    texts[3] = replace(texts[3], critical=("empty",))
    texts[5] = replace(texts[5], chosen=texts[8].chosen)
    found, told = filled(tmp_path, texts), list[tuple[int, int]]()
    done = certify_texts(found, "dpo", lambda place, of: told.append((place, of)))
    data = certify_data(done)
    assert told == [(12, 12)]
    assert (data["gate"], data["rows"], data["certified"], data["new_orpo_rows"]) == ("text", 12, 9, 9)
    layers = {one["layer"]: (one["caught"], one["alone"], one["left"]) for one in data["layers"]}
    assert layers["critical"] == (1, 1, 11)
    assert layers["topic"] == (1, 1, 10)
    assert layers["near_duplicate"] == (1, 1, 9)
    rows = found.read("dpo")
    assert [one["row"] for one in data["refused"]] == [rows[3].id, rows[5].id, rows[8].id]
    assert [(one.receipt or {})["certified"] for one in rows] == [k not in (3, 5, 8) for k in range(12)]
    assert all(one.row.receipt and one.row.receipt["gate"] == "text" for one in found.read("orpo"))
    text = certify_text(done)
    assert "9 of 12 rows certified, 9 new in orpo\n" in text
    assert "near_duplicate        1       1       9" in text
    assert f"{rows[3].id}  critical: empty" in text
    assert TOPICS_UNKNOWN not in text


def test_what_the_code_gate_has_judged_is_left_to_it(tmp_path: Path) -> None:
    found = filled(tmp_path, everyday()[:6])
    first = found.read("dpo")[0]
    judged = Certification(first.id, text_digest(first.texts[0]), '{"gate": "code", "certified": false}', TIME)
    found.certify([judged])
    done = certify_texts(found, "dpo", quiet)
    assert first.id not in {one.row.id for one in done.rows}
    assert len(done.rows) == 5


def test_a_row_whose_prompt_was_reserved_later_keeps_no_other_out(tmp_path: Path) -> None:
    found = filled(tmp_path, everyday()[:8])
    late = found.read("dpo")[0].row.prompt
    assert isinstance(late, str)
    found.reserve([Prompt("late", "holdout", "everyday", 1, late, {})])
    done = certify_texts(found, "dpo", quiet)
    certified = [one for one in done.rows if one.certificate.certified]
    assert done.new == len(certified) - 1 > 4
    assert late not in {one.row.prompt for one in found.read("orpo")}
    assert len(done.not_added) == 1
    assert "not in orpo: row " in certify_text(done)


def test_a_damaged_store_is_said_and_not_taken_for_refused_rows(tmp_path: Path) -> None:
    found = filled(tmp_path, everyday()[:6])
    found.path("orpo").write_text("{broken\n{}\n", encoding="utf-8")
    with pytest.raises(BadInput, match="line 1 is not JSON"):
        certify_texts(found, "dpo", quiet)


def test_certifying_twice_changes_nothing(tmp_path: Path) -> None:
    found = filled(tmp_path, everyday()[:6])
    assert certify_texts(found, "dpo", quiet).new > 0
    before = {path.name: path.read_bytes() for path in found.folder.glob("*.jsonl")}
    assert certify_texts(found, "dpo", quiet).new == 0
    assert {path.name: path.read_bytes() for path in found.folder.glob("*.jsonl")} == before


def test_what_was_certified_is_on_the_disk_after_each_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certifying, "TEXT_BATCH", 4)
    found = filled(tmp_path, everyday()[:10])

    def stop(done: int, of: int) -> None:
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        certify_texts(found, "dpo", stop)
    assert sum(one.receipt is not None for one in found.read("dpo")) == 8
    assert len(found.read("orpo")) == 8
    assert certify_texts(found, "dpo", quiet).new == 2


def test_the_side_that_is_chosen_now_is_the_one_that_is_certified(tmp_path: Path) -> None:
    found = filled(tmp_path, everyday()[:4])
    first, second, *_ = found.read("dpo")
    found.vote([Vote(first.id, "flip", "ann", TIME), Vote(second.id, "drop", "ann", TIME)])
    done = certify_texts(found, "dpo", quiet)
    assert [one.row.id for one in done.rows] == [one.id for one in found.read("dpo") if one.used]
    assert "it was not judged" in done.rows[0].certificate.reason
    assert found.read("dpo")[1].receipt is None


def test_conversations_are_certified(tmp_path: Path) -> None:
    found = stores(tmp_path)
    found.add([talk(number) for number in range(3)])
    done = certify_texts(found, "dpo", quiet)
    assert [one.certificate.gate for one in done.rows] == ["text"] * 3
    assert [one.row.plain for one in found.read("orpo")] == [False] * 3


def test_a_set_whose_answers_name_no_topic_is_said_to_be_one(tmp_path: Path) -> None:
    done = certify_texts(filled(tmp_path, persona()), "dpo", quiet)
    assert certify_data(done)["topics_told_apart"] is False
    assert certify_text(done).endswith(TOPICS_UNKNOWN)


@pytest.mark.parametrize(("contracts", "text"), [(None, False), (Path("contracts.jsonl"), True)])
def test_one_of_the_two_gates_is_named(tmp_path: Path, contracts: Any, text: bool) -> None:
    with pytest.raises(BadInput, match="give either --contracts FILE or --text"):
        certify_pairs(filled(tmp_path, everyday()[:1]), "dpo", contracts=contracts, text=text, progress=quiet)


def test_only_stores_of_pairs_with_rows_in_use_are_certified(tmp_path: Path) -> None:
    found = stores(tmp_path)
    with pytest.raises(BadInput, match="use one of dpo, preference"):
        certify_pairs(found, "orpo", contracts=None, text=True, progress=quiet)
    with pytest.raises(BadInput, match="has no row in use for the text gate"):
        certify_pairs(found, "dpo", contracts=None, text=True, progress=quiet)


def test_without_the_packages_of_the_gate_certify_says_which_command_installs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.optional_dependencies.find_spec", lambda module: None)
    with pytest.raises(MissingRequirement, match=r"scikit-learn.*pip install 'nightlane\[gate\]'"):
        certify_pairs(filled(tmp_path, everyday()[:1]), "dpo", contracts=None, text=True, progress=quiet)
