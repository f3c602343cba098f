"""Files that are not read are named for what they are, with a command that converts them."""

import gzip
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pandas
import pyarrow
import pytest
from long_cases import but_one_in
from pyarrow import orc

from common.errors import BadInput
from probes.inputs.files import other_formats
from probes.inputs.files.records import records

ROWS = [{"prompt": "Is it?", "chosen": "Yes.", "rejected": "No."}, {"prompt": "4?", "chosen": "5", "rejected": "6"}]
FRAME = pandas.DataFrame(ROWS)
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


def as_orc() -> bytes:
    sink = io.BytesIO()
    orc.write_table(pyarrow.Table.from_pylist(ROWS), sink)
    return sink.getvalue()


def as_npy() -> bytes:
    sink = io.BytesIO()
    numpy.save(sink, FRAME.to_numpy().astype(str))
    return sink.getvalue()


def as_tar(mode: str = "w") -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode=mode) as archive:  # type: ignore[call-overload]
        member = tarfile.TarInfo("rows.jsonl")
        member.size = len(LINES)
        archive.addfile(member, io.BytesIO(LINES.encode()))
    return sink.getvalue()


def as_xml() -> str:
    cells = ("".join(f"<{name}>{text}</{name}>" for name, text in row.items()) for row in ROWS)
    return f"<?xml version='1.0'?><rows>{''.join(f'<row>{row}</row>' for row in cells)}</rows>"


def as_toml() -> str:
    return "".join("[[NAME]]\n" + "".join(f'{name} = "{text}"\n' for name, text in row.items()) for row in ROWS)


def as_yaml() -> str:
    return "".join("- " + "\n  ".join(f"{name}: {text}" for name, text in row.items()) + "\n" for row in ROWS)


def refusal(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(BadInput) as refused:
        list(records(path))
    assert "\n" not in str(refused.value)
    return str(refused.value)


CONVERTED: dict[str, tuple[Callable[[], Any], str]] = {
    "rows.orc": (as_orc, "is an ORC table"),
    "rows.npy": (as_npy, "is a NumPy array"),
    "rows.xml": (as_xml, "is XML"),
    "rows.toml": (as_toml, "is TOML"),
    "rows.yaml": (as_yaml, "is YAML"),
    "named.yml": (lambda: "# a comment\n" + as_yaml(), "is YAML"),
    "split.json": (lambda: FRAME.to_json(orient="split"), "is one object that holds all rows"),
    "split_indented.json": (lambda: FRAME.to_json(orient="split", indent=1), "is one object that holds all rows"),
    "index.json": (lambda: FRAME.to_json(orient="index"), "is one object that holds all rows"),
    "columns.json": (lambda: FRAME.to_json(orient="columns", indent=1), "is one object that holds all rows"),
    "values.json": (lambda: FRAME.to_json(orient="values"), "is an array of lists"),
    "python.jsonl": (lambda: "".join(f"{row}\n" for row in ROWS), "holds objects as Python prints them"),
    "a name.orc": (as_orc, "is an ORC table"),
}


@pytest.mark.parametrize("name", but_one_in(2, CONVERTED))
def test_the_command_of_a_refusal_makes_a_file_that_is_read(name: str, tmp_path: Path) -> None:
    content, what = CONVERTED[name]
    told = refusal(tmp_path, name, content())
    assert what in told
    command = re.search(r"(?:run|convert it:) ((?:python -c \"[^\"]*\"|jq -c)[^,]*)", told)
    assert command, told
    if command[1].startswith("jq") and shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    subprocess.run(command[1].replace("python", sys.executable, 1), shell=True, cwd=tmp_path, check=True)
    (made,) = set(tmp_path.iterdir()) - {tmp_path / name}
    assert [row for _, row in records(made)] == ROWS


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("rows.tar", as_tar(), "is a tar archive, .*; run tar -xf .*rows.tar, and name the file in it"),
        ("rows.tar.gz", as_tar("w:gz"), "is a tar archive, .*; run tar -xf .*rows.tar.gz, and name the file in it"),
        ("rows.jsonl.gz", gzip.compress(as_tar()), "is a tar archive"),
        ("rows.html", "<table><tr></tr></table>", "is an HTML table; open it in a spreadsheet program and save it as"),
        ("rows.md", "| prompt | chosen |\n|---|---|\n| a | b |\n", "is a Markdown table; write it as CSV or JSONL"),
        ("rows.xls", b"\xd0\xcf\x11\xe0\xa1\xb1", "is an Excel or Word file of the old form"),
        ("rows.bin", b"\x01\0\xff\xfe\0", "is a binary file of a kind that is not known"),
        (
            "gbk.csv",
            "prompt,chosen\n中国,b\n".encode("gbk"),
            "encoding is not known; convert it: iconv -f ENCODING",
        ),
        ("sj.csv", "prompt,chosen\n日本,b\n".encode("shift-jis"), "GB18030 for Chinese, SHIFT_JIS for Japanese"),
        ("rows.txt", "hello\n", 'what else it is was not recognised; write one object in each line .*{"prompt": '),
    ],
)
def test_what_a_file_is(name: str, content: str | bytes, told: str, tmp_path: Path) -> None:
    assert re.search(told, refusal(tmp_path, name, content))


def test_a_table_with_pipes_is_read_and_its_line_ends_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b'prompt|chosen|rejected\r\na|"1\r\n2"|c\r\n')
    assert list(records(path)) == [(2, {"prompt": "a", "chosen": "1\r\n2", "rejected": "c"})]
    path.write_bytes(b'sep=;\r\nprompt;chosen\r\n"a\rb";c\r\nd;e\r\n')
    assert list(records(path)) == [(3, {"prompt": "a\rb", "chosen": "c"}), (5, {"prompt": "d", "chosen": "e"})]


def test_a_text_that_begins_like_a_table_of_another_kind_is_no_such_table(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"ORC,prompt\na,b\n")
    assert list(records(path)) == [(2, {"ORC": "a", "prompt": "b"})]


def test_a_long_line_is_not_parsed_as_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """That takes 500 times its length in memory."""
    monkeypatch.setattr("ast.literal_eval", lambda line: pytest.fail("parsed"))
    assert not other_formats._is_python(str({"prompt": "x" * other_formats.LONGEST_PYTHON}))
