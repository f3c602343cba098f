"""Files of rows in every form: the same rows come out, or a sentence says what the file is."""

import gzip
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import datasets
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import BadInput, MissingRequirement
from probes.inputs.files import tables
from probes.inputs.files.location import Hub, located
from probes.inputs.files.records import NumberedRecord, data_files, records, rows_digest, unit_of

ROWS = [{"prompt": f"p{n}\u2028x\x85\x0b", "chosen": "a, b; c", "rejected": '"r"\n'} for n in range(3)]
LINES = "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS)
COLUMNS = {name: [row[name] for row in ROWS] for name in ROWS[0]}


def table(sign: str) -> str:
    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    return "\n".join([sign.join(ROWS[0]), *(sign.join(map(cell, row.values())) for row in ROWS)])


TEXTS = {
    "rows.jsonl": LINES,
    "rows.txt": LINES,
    "bom.jsonl": "\ufeff" + LINES,
    "crlf.jsonl": LINES.replace("\n", "\r\n"),
    "array.json": json.dumps(ROWS, indent=2),
    "array.jsonl": json.dumps(ROWS),
    "lines_of_an_array.json": "[\n" + ",\n".join(LINES.split("\n")) + "\n]\n",
    "comma.csv": table(","),
    "semicolon.csv": "\ufeff" + table(";"),
    "tab.tsv": table("\t"),
    "no_ending": table(";"),
}


def rows_of(path: Path) -> list[Any]:
    found = list(records(path))
    assert not [row for _, row in found if isinstance(row, BadInput)]
    return [row for _, row in found]


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def bad(path: Path) -> dict[int, str]:
    return {place: str(row) for place, row in records(path) if isinstance(row, BadInput)}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", TEXTS)
def test_the_same_rows_come_out_of_every_text(tmp_path: Path, name: str, packed: bool) -> None:
    content = TEXTS[name].encode()
    path = written(tmp_path, name + ".gz" * packed, gzip.compress(content) if packed else content)
    assert rows_of(path) == ROWS
    assert unit_of(path) == ("row" if "array" in name else "line")


def test_the_place_is_the_line_of_a_text_and_the_row_of_an_array(tmp_path: Path) -> None:
    lines = written(tmp_path, "a.jsonl", f"\n{LINES}")
    array = written(tmp_path, "a.json", json.dumps(ROWS, indent=1))
    cells = written(tmp_path, "a.csv", table(","))
    assert [[place for place, _ in records(path)] for path in (lines, array, cells)] == [
        [2, 3, 4],
        [1, 2, 3],
        [2, 4, 6],
    ]


def test_a_bad_element_of_an_array_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    parts = ['{"a": 1}', '{"a": NaN}', '{"a": 1, "a": 2}', "7", r'{"a": "\udc00"}', '{"b": "]"}']
    path = written(tmp_path, "a.json", f"[{', '.join(parts)}]")
    assert [row for _, row in records(path) if not isinstance(row, BadInput)] == [{"a": 1}, {"b": "]"}]
    told = bad(path)
    assert list(told) == [2, 3, 4, 5]
    for place, why in {2: "NaN", 3: "the key 'a' twice", 4: "not a JSON object", 5: "half a character"}.items():
        assert why in told[place]


def test_a_whole_character_that_is_written_as_two_escapes_is_read(tmp_path: Path) -> None:
    assert rows_of(written(tmp_path, "a.jsonl", r'{"a": "\ud83d\ude00"}')) == [{"a": "😀"}]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[{}, {", "row 2 of the array and what follows is not JSON"),
        ("[{} {}]", "lacks a comma after row 1"),
        ("[{}", "breaks off or lacks a comma after row 1"),
        ("[{}] {}", "goes on after the end of its array"),
        ("[" * 100_000, "is not JSON"),
        ('{\n "data": [{}]\n}', r"one object that holds all rows.*jq -c '\.data\[\]' "),
        ('{\n "data": 1\n}', "begins with an object over several lines"),
        (json.dumps({"version": 1, "data": ROWS}), r"one object that holds all rows.*jq -c '\.data\[\]' "),
        (json.dumps({"train": ROWS}), r"jq -c '\.train\[\]' "),
        (json.dumps(COLUMNS), r"python -c \"import json, pandas; pandas.DataFrame\(json.load\(open\(.*\)\)\)"),
        (json.dumps({"train": COLUMNS}), r"pandas.DataFrame\(json.load\(open\(.*\)\)\['train'\]\).to_json"),
        (pandas.DataFrame(ROWS).to_json(), r"pandas.DataFrame\(json.load\("),
        ("# Title\n\nsome text\n", "neither JSONL, a JSON array, CSV nor Parquet"),
        (LINES.encode("utf-16"), "since it is UTF-16; convert it: iconv -f UTF-16 -t UTF-8"),
        (LINES.encode("utf-16-be"), "since it is UTF-16BE"),
        (LINES.encode("utf-32"), "since it is UTF-32"),
        (table(",").encode("utf-16-le"), "since it is UTF-16LE; convert it: iconv -f UTF-16LE -t UTF-8"),
        (table(",").encode("utf-16-be"), "since it is UTF-16BE; convert it: iconv -f UTF-16BE -t UTF-8"),
        (b"%PDF-1.7 \x80", "is a PDF document"),
        ("\n<!DOCTYPE html>\n<html>", "is an HTML page, and not the file that was wanted; fetch the file itself"),
        (
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "the pointer of a file that Git LFS keeps .*pull",
        ),
        (b'{"a": "b"}\n{"a": "caf\xe9"}', r"line 2 has the byte 0xe9\), and its encoding is not .* -f ENCODING"),
        (b"PK\x03\x04 and more", "a ZIP archive, as Excel's .xlsx is"),
        (b"\x28\xb5\x2f\xfd more", "run zstd -d"),
        (b"BZh9 more", "run bunzip2"),
        (b"ARROW1\0\0", "pandas.read_feather"),
        (b"PAR1 and no more", "cannot be read as Parquet"),
        (gzip.compress(LINES.encode(), mtime=0)[:-9], "cannot be read as gzip"),
        (gzip.compress(b"PAR1 and no more", mtime=0), "cannot be read as Parquet"),
        ("prompt,prompt\n1,2\n", "names a column twice"),
        ('prompt,chosen\n"a,b\n', "cannot be read as CSV"),
    ],
)
def test_a_file_that_is_something_else_is_named_with_the_remedy(
    tmp_path: Path, content: str | bytes, told: str
) -> None:
    path = written(tmp_path, "rows", content)
    with pytest.raises(BadInput, match=told) as refused:
        list(records(path))
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("prompt,chosen,rejected\np,,r\n", 2),
        ("\n , ,\n prompt ,chosen, rejected\np,,r\n", 4),
        ("sep=;\nprompt;chosen;rejected\np;;r\n", 3),
        ('"sep=;"\n\nprompt;chosen;rejected\np;;r\n;;\n', 4),
        ("sep=,,\nprompt,chosen,rejected\np,,r\n,,\n , ,\n\n", 3),
        ("prompt\tchosen\trejected\t\t\np\t\tr\t\t\n", 2),
        (",prompt,chosen,rejected\n0,p,,r\n", 2),
    ],
)
@pytest.mark.parametrize("name", ["rows.csv", "rows"])
def test_tables_are_taken_as_programs_write_them(tmp_path: Path, name: str, content: str, line: int) -> None:
    found = list(records(written(tmp_path, name, content)))
    assert found == [(line, {"prompt": "p", "chosen": None, "rejected": "r"})]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            "prompt,chosen,rejected,\np,c,r,and more\n",
            "it has 'and more' in cell 4, and the header names no column there",
        ),
        ("prompt,,rejected\np,7,r\n", "it has '7' in cell 2"),
        (",prompt,chosen,rejected\nx,p,c,r\n", "it has 'x' in cell 1"),
    ],
)
def test_a_cell_under_no_name_is_refused(tmp_path: Path, content: str, told: str) -> None:
    assert bad(written(tmp_path, "rows.csv", content))[2].startswith(told)


def test_a_row_of_one_line_is_no_object_of_rows(tmp_path: Path) -> None:
    for row in (TALKS[0], {"id": "x", "checks": [{}]}, {"a": 1}):
        assert rows_of(written(tmp_path, "rows.jsonl", json.dumps(row))) == [row]


def test_a_parquet_table_with_a_column_twice_is_refused(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.table([["a"], ["b"]], names=["prompt", "prompt"])
    parquet.write_table(table, tmp_path / "rows.parquet")
    with pytest.raises(BadInput, match="has the column 'prompt' twice; rename one"):
        list(records(tmp_path / "rows.parquet"))


@given(rows=st.lists(st.dictionaries(st.text(), st.none() | st.text() | st.integers() | st.lists(st.text()))))
def test_jsonl_and_an_array_give_what_was_written(rows: list[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("rows")
    for indent in (None, 1):
        assert rows_of(written(folder, "a.json", json.dumps(rows, indent=indent))) == rows
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    assert rows_of(written(folder, "a.jsonl", lines)) == rows


@given(
    content=st.binary(max_size=60)
    | st.sampled_from([b"PAR1", b"[", b"{", b"a;b"]).flatmap(
        lambda start: st.binary(max_size=40).map(lambda rest: start + rest)
    )
)
def test_any_bytes_are_read_or_refused(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = written(tmp_path_factory.mktemp("any"), "x", content)
    with suppress(BadInput):
        assert unit_of(path) in ("line", "row")
        entries: list[NumberedRecord] = list(records(path))
        assert all(str(row).startswith("it ") for _, row in entries if isinstance(row, BadInput))


# tables


CALL = {"type": "function", "function": {"name": "add", "arguments": {"x": 1}}}
TALKS: list[dict[str, Any]] = [
    {
        "prompt": [{"role": "user", "content": "p"}],
        "chosen": [{"role": "assistant", "content": None, "tool_calls": [CALL]}],
    },
    {"prompt": [{"role": "system", "content": "s"}], "chosen": [{"role": "assistant", "content": "c"}]},
]


def test_a_parquet_table_gives_rows_without_the_fields_that_only_other_rows_have(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    datasets.Dataset.from_list([*TALKS, {"prompt": None, "score": float("nan")}]).to_parquet(path)
    bare = [
        TALKS[0] | {"chosen": [{"role": "assistant", "tool_calls": [CALL]}]},
        TALKS[1],
        {"prompt": None, "chosen": None},
    ]
    assert rows_of(path) == bare
    assert unit_of(path) == "row"
    assert rows_of(written(tmp_path, "rows.parquet.gz", gzip.compress(path.read_bytes()))) == bare


def test_nulls_that_are_values_stay(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    checks = {"entry": "f", "cases": [{"args": [None], "expected": None}]}
    call = {"function": {"name": "add", "arguments": {"x": 1, "unit": None}}}
    other = {"function": {"name": "neg", "arguments": {"of": 2}}}
    chosen = [{"role": "assistant", "tool_calls": [call, other]}]
    properties = {"add": {"x": {"type": "integer"}, "unit": {"type": "string"}}, "neg": {"of": {"type": "integer"}}}
    tools = [{"function": {"name": name, "parameters": {"properties": found}}} for name, found in properties.items()]
    row = {"checks": checks, "chosen": chosen, "tools": tools}
    parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "rows.parquet")
    assert rows_of(tmp_path / "rows.parquet") == [row]
    parquet.write_table(pyarrow.Table.from_pylist([{"chosen": chosen[:1]}]), tmp_path / "alone.parquet")
    (found,) = rows_of(tmp_path / "alone.parquet")
    assert found["chosen"][0]["tool_calls"][0]["function"]["arguments"] == {"x": 1, "unit": None, "of": None}
    datasets.Dataset.from_list([{"checks": checks}]).save_to_disk(tmp_path / "saved")
    assert rows_of(tmp_path / "saved") == [{"checks": checks}]


def test_a_parquet_file_of_pandas_is_read(tmp_path: Path) -> None:
    pandas.DataFrame(ROWS).to_parquet(tmp_path / "rows.parquet")
    assert rows_of(tmp_path / "rows.parquet") == ROWS


def test_a_folder_that_save_to_disk_wrote_is_read(tmp_path: Path) -> None:
    own = datasets.Dataset.from_list(ROWS)
    own.save_to_disk(tmp_path / "own")
    assert rows_of(tmp_path / "own") == ROWS
    datasets.DatasetDict({"test": own.select([0]), "train": own}).save_to_disk(tmp_path / "both")
    assert rows_of(tmp_path / "both") == ROWS
    assert rows_of(tmp_path / "both" / "test") == ROWS[:1]
    datasets.DatasetDict({"a": own, "b": own}).save_to_disk(tmp_path / "odd")
    with pytest.raises(BadInput, match="holds the splits a, b; name the folder of one"):
        rows_of(tmp_path / "odd")
    (tmp_path / "own" / "state.json").write_text("{}")
    with pytest.raises(BadInput, match="cannot be read as a folder of datasets"):
        rows_of(tmp_path / "own")


def test_a_folder_of_files_is_read_in_the_order_of_their_names_and_only_its_train_split(tmp_path: Path) -> None:
    parts = tmp_path / "rows"
    written(parts, "data/train-00001-of-00002.jsonl", json.dumps(ROWS[2]))
    pandas.DataFrame(ROWS[:2]).to_parquet(written(parts, "data/train-00000-of-00002.parquet", ""))
    written(parts, "data/test-00000-of-00001.jsonl", '{"a": 1}')
    written(parts, "README.md", "# Rows")
    written(parts, "export.json", "{}")
    written(parts, ".cache/old.jsonl", "{}")
    assert rows_of(parts) == ROWS
    assert [place for place, _ in records(parts)] == [1, 2, 3]
    written(tmp_path, "odd/easy.jsonl", "{}")
    written(tmp_path, "odd/hard.jsonl", "{}")
    with pytest.raises(BadInput, match=r"several names \(easy, hard\)"):
        list(records(tmp_path / "odd"))
    (tmp_path / "none").mkdir()
    with pytest.raises(BadInput, match="holds no data file"):
        list(records(tmp_path / "none"))


@pytest.mark.parametrize(
    ("files", "read"),
    [
        (("default/test/0000.parquet", "default/train/0000.parquet", "default/train/0001.parquet"), "default/train"),
        (("train/data.jsonl", "validation/data.jsonl"), "train"),
        (("train_1.jsonl", "train_2.jsonl", "test.jsonl"), "train"),
        (("train_prefs-00000-of-00001.parquet", "test_prefs-00000-of-00001.parquet"), "train"),
        (("train1.jsonl", "test1.jsonl", "trainer.jsonl"), "train1"),
        (("0000.parquet", "0001.parquet"), ""),
    ],
)
def test_of_several_splits_train_is_read(tmp_path: Path, files: tuple[str, ...], read: str) -> None:
    for name in files:
        path = written(tmp_path, name, "")
        rows = pandas.DataFrame([{"prompt": name}])
        rows.to_parquet(path) if path.suffix == ".parquet" else rows.to_json(path, orient="records", lines=True)
    assert [row["prompt"] for row in rows_of(tmp_path)] == [name for name in files if name.startswith(read)]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (
            ("train_prefs-00000.jsonl", "train_sft-00000.jsonl", "test.jsonl"),
            r"several names \(train_prefs, train_sft\)",
        ),
        (("a/train/0000.jsonl", "b/train/0000.jsonl"), r"several names \(a/train, b/train\)"),
        (("dev/data.jsonl", "test/data.jsonl"), r"several names \(dev/data, test/data\)"),
        (
            ("train.json", "train.jsonl"),
            r"holds train in several forms \(train.json, train.jsonl\), which would give each",
        ),
        (("train.jsonl", "train-00000-of-00001.csv"), "holds train in several forms"),
        (("train-00000.jsonl", "train-00000.jsonl.gz"), "holds train in several forms"),
    ],
)
def test_a_folder_that_would_mix_splits_or_give_rows_twice_is_refused(
    tmp_path: Path, files: tuple[str, ...], told: str
) -> None:
    for name in files:
        written(tmp_path, name, LINES)
    with pytest.raises(BadInput, match=told):
        list(records(tmp_path))


def test_the_digest_of_a_folder_changes_with_its_rows_and_with_nothing_else(tmp_path: Path) -> None:
    first = written(tmp_path, "rows/a.jsonl", LINES)
    before = rows_digest(tmp_path / "rows")
    written(tmp_path, "rows/README.md", "# Rows")
    assert rows_digest(tmp_path / "rows") == before
    written(tmp_path, "rows/a-2.jsonl", LINES)
    assert rows_digest(tmp_path / "rows") != before
    assert data_files(first) == [first]
    own = datasets.Dataset.from_list(ROWS)
    own.save_to_disk(tmp_path / "saved")
    before = rows_digest(tmp_path / "saved")
    own.select([0, 1]).save_to_disk(tmp_path / "fewer")
    assert rows_digest(tmp_path / "fewer") != before == rows_digest(tmp_path / "saved")


# the hub


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("org/name", Hub("org/name")),
        ("org/name:train_prefs", Hub("org/name", "train_prefs")),
        ("trl-lib/a.b-c_d", Hub("trl-lib/a.b-c_d")),
        ("rows/gone.jsonl", "rows/gone.jsonl"),
        ("gone", "gone"),
        ("../org/name", "../org/name"),
        ("./org/name", "org/name"),
        ("a/b/c", "a/b/c"),
        ("there/is", "there/is"),
    ],
)
def test_a_name_is_what_is_there_or_else_a_hub_id(tmp_path: Path, named: str, found: Hub | str) -> None:
    (tmp_path / "there" / "is").mkdir(parents=True)
    assert located(tmp_path, named) == (tmp_path / found if isinstance(found, str) else found)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub that has one data set."""
    tables._load.cache_clear()

    def load(name: str, split: str) -> datasets.Dataset:
        if split not in ("train", "test"):
            raise ValueError(f"Unknown split \"{split}\". Should be one of ['train', 'test'].")
        return datasets.Dataset.from_list([{"name": name, "split": split, "none": None}])

    monkeypatch.setattr(datasets, "load_dataset", load)


@pytest.mark.usefixtures("hub")
def test_a_data_set_of_the_hub_is_read_by_its_split_and_has_a_digest() -> None:
    found = list(records(Hub("org/name", "test")))
    assert found == [(1, {"name": "org/name", "split": "test", "none": None})]
    assert next(iter(records(Hub("org/name"))))[1] == {"name": "org/name", "split": "train", "none": None}
    assert rows_digest(Hub("org/name")) == rows_digest(Hub("org/name")) != rows_digest(Hub("org/name", "test"))
    assert data_files(Hub("org/name")) == []
    with pytest.raises(MissingRequirement, match=r"'org/name:dev' is neither.*Unknown split \"dev\"") as refused:
        list(records(Hub("org/name", "dev")))
    assert "\n" not in str(refused.value)


def test_a_hub_that_cannot_be_reached_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    tables._load.cache_clear()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises(
        MissingRequirement, match="'org/gone' is neither a file nor a folder here, and could not be had"
    ):
        list(records(Hub("org/gone")))


def test_the_libraries_for_tables_are_loaded_when_a_table_is_read() -> None:
    script = (
        "import sys, probes.inputs.material, preferences.collection.import_rows; "
        "print({'pyarrow', 'datasets', 'pandas'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
