"""Everything that can be refused before a full-length run begins."""

import json
from pathlib import Path

import pytest
from trainable import exported, planned, stores

from common.errors import BadInput
from testing import simulated_study


def test_epochs_count_the_rows_of_the_sources_that_the_mixture_weighs(tmp_path: Path) -> None:
    found = stores(tmp_path)
    exported(found, tmp_path)
    alone = planned(tmp_path, found, unreviewed=True, steps=None, epochs=2.0)
    assert (alone.steps, alone.rows) == (4, 16)
    assert [source.drawn for source in alone.sources] == [16]
    mixed = planned(tmp_path, found, unreviewed=True, steps=None, recipe={"mixture": {"mined": 3.0, "good": 1.0}})
    assert mixed.steps == 3 * (8 + 32) // 4
    assert {source.name: source.drawn for source in mixed.sources} == {"mined": 90, "good": 30}


def test_a_folder_in_use_is_refused_and_an_empty_one_is_taken(tmp_path: Path) -> None:
    found = stores(tmp_path)
    exported(found, tmp_path)
    for folder in (tmp_path / "mined", tmp_path / "good.jsonl"):
        with pytest.raises(BadInput, match="is not an empty folder"):
            planned(tmp_path, found, unreviewed=True, folder=folder)
    (tmp_path / "empty").mkdir()
    planned(tmp_path, found, unreviewed=True, folder=tmp_path / "empty")


def test_data_that_asks_a_probe_or_holdout_prompt_is_refused(tmp_path: Path) -> None:
    found = stores(tmp_path)
    held = next(prompt for prompt in simulated_study.prompts() if prompt["split"] == "holdout")
    with (tmp_path / "good.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({**simulated_study.pairs("good")[0], "prompt": held["prompt"]}) + "\n")
    with pytest.raises(BadInput, match=rf"good\.jsonl, line 33: .* the holdout prompt '{held['id']}'"):
        planned(tmp_path, found, recipe={"mixture": {"good": 1.0}})


def test_a_missing_source_is_said_to_be_missing(tmp_path: Path) -> None:
    found = stores(tmp_path)
    with pytest.raises(BadInput, match=r"mined/train\.jsonl does not exist"):
        planned(tmp_path, found)
