"""Exports: the rows in use with TRL's columns and nothing else, and a card; TRL trains on them."""

import json
from pathlib import Path
from typing import Any

import pytest
import tiny
import yaml
from some_rows import TIME, pair, prompts, reward, side, stores, talk

from common.errors import BadInput
from preferences.export.dataset import Format, export
from preferences.export.record import record_of
from preferences.store.annotations import Review, Vote, parse_vote_choice
from preferences.store.provenance import Provenance
from preferences.store.rows import StoreKind
from preferences.store.stores import Stores
from probes.inputs.prompts import Prompt
from view.pairs.dataset_card import card_markdown


def filled(folder: Path) -> Stores:
    found = stores(folder)
    found.add([pair(number) for number in range(6)])
    said = [(1, "drop", "ann"), (2, "flip", "ann"), (3, "down", "ann"), (4, "down", "ann"), (4, "up", "bob")]
    found.vote([Vote(pair(number).id, parse_vote_choice(choice), by, TIME) for number, choice, by in said])
    found.withdraw("by hand", TIME, row=pair(5).id)
    return found


def loaded(folder: Path) -> list[dict[str, Any]]:
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    rows: list[dict[str, Any]] = load_dataset(str(folder), split="train", cache_dir=str(folder.parent / "c")).to_list()
    return rows


def trl(row: Any) -> dict[str, Any]:
    return {"prompt": row.prompt, "chosen": row.texts[0], "rejected": row.texts[1]}


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_what_stands_is_exported_with_its_flips_and_loads_by_the_name_of_its_folder(
    tmp_path: Path, form: Format
) -> None:
    done = export(filled(tmp_path), "dpo", form, tmp_path / "out", card=lambda done: card_markdown(done, "mine"))
    flipped = {"prompt": "# task 2\n", "chosen": pair(2).texts[1], "rejected": pair(2).texts[0]}
    assert loaded(tmp_path / "out") == [trl(pair(0)), flipped, trl(pair(4))]
    assert done.held_back == 1
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"train.{form}", "export.json", "README.md"}


def test_what_is_voted_down_is_exported_when_asked(tmp_path: Path) -> None:
    done = export(filled(tmp_path), "dpo", "jsonl", tmp_path / "out", downvoted=True)
    assert [one.row for one in done.rows] == [pair(0), pair(2), pair(3), pair(4)]


def test_what_is_said_twice_is_exported_once(tmp_path: Path) -> None:
    """Two decisions may give the same pair; if one is retracted, the other still has it."""
    held = stores(tmp_path)
    again = Provenance(pair(1).provenance.sides, "s1", "s1-002", "harvest-1", "k")
    held.add([pair(0), pair(1), pair(1, provenance=again), pair(2)])
    done = export(held, "dpo", "jsonl", tmp_path / "out")
    assert ([one.row for one in done.rows], done.held_back, done.repeated) == ([pair(0), pair(1), pair(2)], 0, 1)
    assert "Left out: 1 row that repeats or contradicts another." in card_markdown(done, "mine")
    held.withdraw("retracted", TIME, decision="s1-001")
    assert [one.row.provenance for one in export(held, "dpo", "jsonl", tmp_path / "later").rows] == [again]


def test_what_is_said_both_ways_round_is_exported_neither_way(tmp_path: Path) -> None:
    held = stores(tmp_path)
    turned = pair(1, "preference", texts=pair(1).texts[::-1], provenance=Provenance((side(), side())))
    held.add([pair(0, "preference"), pair(1, "preference"), turned])
    done = export(held, "preference", "jsonl", tmp_path / "out")
    assert ([one.row for one in done.rows], done.repeated) == ([pair(0, "preference")], 2)


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_conversations_and_rewards_keep_their_form(tmp_path: Path, form: Format) -> None:
    found = stores(tmp_path)
    found.add([talk(1, "preference"), talk(2, "preference"), reward(3)])
    export(found, "preference", form, tmp_path / "talks")
    export(found, "reward", form, tmp_path / "rewards")
    assert loaded(tmp_path / "talks")[0] == {
        "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Question 1?"}],
        "chosen": [{"role": "assistant", "content": "Yes, 1."}],
        "rejected": [{"role": "assistant", "content": "No, 1."}],
    }
    assert loaded(tmp_path / "rewards") == [{"prompt": "# task 3\n", "completion": "return 3\n", "score": 3.0}]


def test_trl_itself_takes_the_rows_for_what_they_are(tmp_path: Path) -> None:
    from trl.data_utils import is_conversational

    found = stores(tmp_path)
    found.add([talk(1), pair(2, "orpo")])
    for kind, conversational in (("dpo", True), ("orpo", False)):
        done = export(found, kind, "jsonl", tmp_path / kind)  # type: ignore[arg-type]
        row = json.loads(done.file.read_text(encoding="utf-8").splitlines()[0])
        assert set(row) == {"prompt", "chosen", "rejected"}
        assert is_conversational(row) is conversational


def test_rows_that_ask_a_prompt_which_was_reserved_later_stop_the_export_until_they_are_dropped(tmp_path: Path) -> None:
    found = stores(tmp_path)
    late = "Name the third month of the year and say how many days it has"
    found.add([pair(0), pair(1, prompt=f"{late}.")])
    found.reserve([*prompts(), Prompt("late", "holdout", "lists", 1, late, {})])
    with pytest.raises(BadInput, match=r"asks the holdout prompt 'late' \(1\.00 similar\)"):
        export(found, "dpo", "jsonl", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    found.vote([Vote(pair(1, prompt=f"{late}.").id, "drop", "ann", TIME)])
    assert len(export(found, "dpo", "jsonl", tmp_path / "out").rows) == 1


def test_an_empty_store_and_a_folder_in_use_are_refused(tmp_path: Path) -> None:
    found = stores(tmp_path)
    with pytest.raises(BadInput, match="has no row to export"):
        export(found, "dpo", "jsonl", tmp_path / "out")
    found.add([pair(0)])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine", encoding="utf-8")
    for folder in (tmp_path / "full", tmp_path / "full" / "mine.txt"):
        with pytest.raises(BadInput, match="is not an empty folder"):
            export(found, "dpo", "jsonl", folder)
    (tmp_path / "empty").mkdir()
    export(found, "dpo", "jsonl", tmp_path / "empty")


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_an_export_says_of_which_set_it_is_and_whether_somebody_had_looked_at_it(tmp_path: Path, form: Format) -> None:
    found = filled(tmp_path)
    file = export(found, "dpo", form, tmp_path / "before").file
    for number in (0, 2, 3, 4):
        found.review(Review(pair(number).id, "good", "ann", TIME, found.digest("dpo")))
    later = export(found, "dpo", form, tmp_path / "after").file
    records = [record_of(file), record_of(later)]
    assert [one and one.reviewed for one in records] == [False, True]
    for record in records:
        assert record is not None
        assert record.rows == (pair(0).id, pair(2).id, pair(4).id)
        assert (record.kind, record.file, record.in_use) == ("dpo", f"train.{form}", 4)
        assert record.set_digest == found.digest("dpo")
    file.write_bytes(file.read_bytes() + b"\n")
    with pytest.raises(BadInput, match=rf"train\.{form} is not the file that export\.json beside it records"):
        record_of(file)
    assert record_of(tmp_path / "mine.jsonl") is None


def test_the_card_says_what_where_from_and_under_which_licence(tmp_path: Path) -> None:
    found = filled(tmp_path)
    for number in (0, 2, 3, 4):
        found.review(Review(pair(number).id, "good", "ann", TIME, found.digest("dpo")))
    card = card_markdown(export(found, "dpo", "jsonl", tmp_path / "out"), "cc-by-4.0: *odd*")
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["license"] == "cc-by-4.0: *odd*"
    assert front["configs"][0]["data_files"] == [{"split": "train", "path": "train.jsonl"}]
    assert front["size_categories"] == ["n<1K"]
    for part in (
        "3 rows with the columns `prompt`, `chosen`, `rejected`",
        "Left out: 1 row with more votes down than up",
        "- decisions: `s1-001`",
        "- recipes: `kept`, `gone`",
        "- sides swapped by a vote: 1",
        "| arithmetic |    3 |",
        "None of the 3 rows in use asks a probe or holdout prompt",
        "## Licence",
    ):
        assert part in card
    assert "not reviewed" not in card


@pytest.mark.parametrize("kind", ["dpo", "orpo"])
def test_an_exported_store_trains_a_step_with_trl(tmp_path: Path, tiny_folder: Path, kind: StoreKind) -> None:
    """By the project's own training code, on the tiny model."""
    import torch

    from probes.inputs.settings import MemorySettings, ModelSettings
    from probes.inputs.training_rows import load_source, order
    from probes.model.load import load_base
    from probes.train.trl import Trained, TrainingJob, train

    torch.set_num_threads(1)
    found = stores(tmp_path)
    found.add([pair(number, kind) for number in range(4)])
    file = export(found, kind, "jsonl", tmp_path / "out").file
    recipe = tiny.recipe(objective=kind, mixture={"exported": 1})
    rows = order(recipe, {"exported": load_source("exported", file)}, 4, 1)
    base = load_base(ModelSettings(path="model"), tiny_folder, "none", "cpu")
    folder = tmp_path / "probe"
    folder.mkdir()
    job = TrainingJob(recipe, rows, 1, folder, lambda step, loss: None)
    (trained,) = train(base, [job], MemorySettings())
    assert isinstance(trained, Trained), trained
    assert (trained.adapter / "adapter_model.safetensors").exists()
    (step,) = (folder / "train.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(step)["loss"] > 0
