"""A bad row is refused before the night, or left out and counted where the study says so."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
from pydantic import ValidationError

from common.digests import digest_of, file_digest
from common.errors import BadInput
from probes.inputs.settings import DataSettings
from probes.inputs.sources import load_source, read_source
from testing import simulated_study

GOOD = {"prompt": "p", "chosen": "c", "rejected": "r"}


def written(folder: Path, *rows: Any) -> Path:
    path = folder / "honest.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return path


def test_a_refusal_names_the_first_bad_row_and_says_how_many_more_there_are(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD, "{torn", GOOD | {"chosen": "r"}, GOOD, {})
    with pytest.raises(BadInput, match=r"line 2 is not JSON .*; 2 more rows are bad; .* bad_rows = \"leave_out\""):
        load_source("honest", path)
    with pytest.raises(BadInput, match=r"line 2 has no column 'chosen'.*; 1 more row is bad; mend"):
        load_source("honest", written(tmp_path, GOOD, {}, {}))
    with pytest.raises(BadInput, match="line 2 has no column 'chosen'; a row needs prompt, chosen and rejected; mend"):
        load_source("honest", written(tmp_path, GOOD, {}))


def test_bad_rows_are_left_out_and_counted_where_that_is_asked(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD, "{torn", GOOD | {"chosen": "r"}, GOOD, {})
    assert [pair.line for pair in load_source("honest", path, "leave_out")] == [1, 4]
    found = read_source("honest", path)
    assert [row.line for row in found.bad] == [2, 3, 5]
    assert found.left_out.startswith("source honest: 3 of 5 rows left out (lines 2, 3, 5: the first is not JSON (")
    assert read_source("honest", written(tmp_path, GOOD)).left_out == ""
    many = read_source("honest", written(tmp_path, GOOD, *[{}] * 12))
    assert "12 of 13 rows left out (lines 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …: the first has no column" in many.left_out
    one = read_source("honest", written(tmp_path, GOOD, GOOD | {"chosen": "r"}))
    assert "1 of 2 rows left out (line 2: the first: chosen and rejected are the same text" in one.left_out


def test_a_file_without_a_good_row_is_refused_whatever_is_asked(tmp_path: Path) -> None:
    for bad_rows in ("refuse", "leave_out"):
        with pytest.raises(BadInput, match=r"line 1 has no column .*; 1 more row is bad; no row of .* is good"):
            load_source("honest", written(tmp_path, {}, {}), bad_rows)


def test_a_file_that_breaks_off_is_refused_whatever_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "honest.csv"
    path.write_text('prompt,chosen,rejected\np,c,r\np,"c,r\n', encoding="utf-8")
    with pytest.raises(BadInput, match="line 3 and what follows cannot be read as CSV"):
        load_source("honest", path, "leave_out")


def test_a_study_says_which_of_the_two_it_wants_and_learns_what_was_left_out(tmp_path: Path) -> None:
    simulated_study.write_data(tmp_path)
    with (tmp_path / "good.jsonl").open("a", encoding="utf-8") as stream:
        stream.write("{}\n")
    refusing = tiny.material(tmp_path)
    with pytest.raises(BadInput, match=r"good\.jsonl, line 33 has no column 'chosen'"):
        _ = refusing.sources
    data = DataSettings(**{**refusing.data.model_dump(), "bad_rows": "leave_out"})
    lenient = replace(refusing, data=data)
    assert {name: len(pairs) for name, pairs in lenient.sources.items()} == {"good": 32, "broken": 32}
    (told,) = lenient.left_out
    assert told.startswith("source good: 1 of 33 rows left out (line 33: ")
    with pytest.raises(ValidationError, match="bad_rows"):
        DataSettings(**{**refusing.data.model_dump(), "bad_rows": "ignore"})


def test_the_key_covers_folders_and_of_files_it_is_what_it_was(tmp_path: Path) -> None:
    simulated_study.write_data(tmp_path)
    material = tiny.material(tmp_path)
    files = {name: file_digest(tmp_path / f"{name}.jsonl") for name in ("good", "broken")}
    assert material.key("here", "base").data == digest_of(files)
    (tmp_path / "rows").mkdir()
    (tmp_path / "good.jsonl").rename(tmp_path / "rows" / "good.jsonl")
    sources = {"good": "rows", "broken": "broken.jsonl"}
    moved = replace(material, data=DataSettings(sources=sources, manifests=material.data.manifests))
    assert len(moved.sources["good"]) == 32
    before = moved.key("here", "base").data
    written(tmp_path / "rows", GOOD).rename(tmp_path / "rows" / "good-2.jsonl")
    assert moved.key("here", "base").data != before
