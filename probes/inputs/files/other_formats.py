"""Files that are not read as rows: what they are, and the command that converts them."""

import ast
import json
import re
import shlex
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from common.errors import BadInput
from probes.inputs.files.text import parse_object

COLUMNS = {"prompt", "chosen", "rejected", "completion", "conversations", "instruction", "question", "id", "vote"}
"""Columns by which a table or an object is known to hold rows."""
LONGEST_PYTHON = 20_000
"""Characters of a line that is tried as a Python dictionary, to say how it becomes JSON."""
_AS_LINES = ".to_json({rows!r}, orient='records', lines=True)"
_JSONL = "write its rows as JSONL (docs/data.md)"
_SPREADSHEET = "open it in a spreadsheet program and save it as CSV UTF-8"
_MARKS = {
    b"PK\x03\x04": ("a ZIP archive, as Excel's .xlsx is", "save the table as CSV UTF-8, or run unzip {path}"),
    b"\xd0\xcf\x11\xe0": ("an Excel or Word file of the old form", _SPREADSHEET),
    b"\x28\xb5\x2f\xfd": ("packed with zstd", "run zstd -d {path}"),
    b"\x04\x22\x4d\x18": ("packed with lz4", "run lz4 -d {path}"),
    b"BZh": ("packed with bzip2", "run bunzip2 -k {path}"),
    b"\xfd7zXZ\0": ("packed with xz", "run unxz -k {path}"),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", "run 7z x {path}, and name the file in it"),
    b"Rar!": ("a RAR archive", "run unrar x {path}, and name the file in it"),
    b"ARROW1": ("an Arrow file", 'run python -c "import pandas; pandas.read_feather({path!r}).to_parquet({table!r})"'),
    b"\xff\xff\xff\xff": ("an Arrow stream of a datasets folder", "name the folder instead: {folder}"),
    b"ORC": ("an ORC table", 'run python -c "import pandas; pandas.read_orc({path!r}).to_parquet({table!r})"'),
    b"\x93NUMPY": (
        "a NumPy array",
        "run python -c \"import numpy, pandas; pandas.DataFrame(numpy.load({path!r}), columns=['prompt', 'chosen', "
        f"'rejected']){_AS_LINES}\", with its columns in their order",
    ),
    b"SQLite format 3\0": ("an SQLite database", 'run sqlite3 -json {path} "select * from TABLE" > {stem}.json'),
    b"Obj\x01": ("an Avro file", _JSONL),
    b"\x89HDF": ("an HDF5 file", _JSONL),
    b"%PDF": ("a PDF document", _JSONL),
    b"{\\rtf": ("an RTF document", _JSONL),
    b"version https://git-lfs.github.com/": ("the pointer of a file that Git LFS keeps elsewhere", "run git lfs pull"),
    b"\x80": ("a pickle or another binary file", _JSONL),
}
_ENDINGS = {"YAML": (".yaml", ".yml"), "TOML": (".toml",)}
"""Endings of texts that may begin with anything but a JSON value."""
_TEXTS = (
    (r"<!doctype html|<html\b|<head\b", "an HTML page, and not the file that was wanted", "fetch the file itself"),
    (r"<table\b", "an HTML table", _SPREADSHEET),
    (
        r"<\?xml|<[a-z]\w*[\s>]",
        "XML",
        f"run python -c \"import pandas; pandas.read_xml({{path!r}}, parser='etree', dtype=str){_AS_LINES}\"",
    ),
    (
        r"---\s*\n|%yaml|- *(?:prompt|chosen|rejected|id|conversations|messages) *:",
        "YAML",
        'run python -c "import json, yaml; [print(json.dumps(row, default=str)) for row in '
        'yaml.load(open({path!r}), yaml.BaseLoader)]" > {rows}',
    ),
    (
        r"\[\[? *[a-z][\w.-]* *\]\]? *\n",
        "TOML",
        'run python -c "import json, tomllib; [print(json.dumps(row, default=str)) for row in '
        "tomllib.load(open({path!r}, 'rb'))['NAME']]\" > {rows}, with the name of its rows",
    ),
    (r"\|[^\n]*\|\s*\n\|[ :|-]+\|", "a Markdown table", "write it as CSV or JSONL (docs/data.md)"),
)


def require_readable(path: Path, content: bytes) -> None:
    """BadInput for bytes that begin as those of a file that is no text."""
    what = next((found for mark, found in _MARKS.items() if content.startswith(mark)), None)
    if content.startswith(b"ORC") and content[-4:-1] != b"ORC":
        what = None  # a text that begins so
    if content[257:262] == b"ustar":
        what = ("a tar archive", "run tar -xf {path}, and name the file in it")
    if what is not None:
        raise BadInput(f"{path} is {what[0]}, and rows are read from text or Parquet; {_filled(what[1], path)}")


def require_rows(path: Path, text: str) -> None:
    """BadInput for a text in another form than JSON or CSV."""
    start = text.lstrip()[:2000].replace("\r\n", "\n")
    for pattern, what, remedy in _TEXTS:
        named = path.name.lower().endswith(_ENDINGS.get(what, ())) and start[:1] not in ("", "{", "[")
        if named or re.match(pattern, start, re.IGNORECASE):
            raise BadInput(f"{path} is {what}; {_filled(remedy, path)}")


def require_row_per_line(path: Path, text: str, first: Mapping[str, Any] | BadInput) -> None:
    """BadInput, with the command that converts it, for a file with one object that contains all rows, an object over
    several lines, or rows as Python prints them. ``first``: the first line as JSON."""
    whole = _only_object(text, first)
    if whole is not None and (command := _command(whole)):
        raise BadInput(
            f"{path} is one object that holds all rows, and JSONL has one row in each line; convert it: "
            f"{_filled(command, path)}"
        )
    if isinstance(first, BadInput):
        if _begins_with_long_object(text):
            command = "jq -c . {path} > {rows}, or jq -c '.NAME[]' where the rows are a list in it"
            raise BadInput(
                f"{path} begins with an object over several lines, and JSONL has one in each line; convert it: "
                f"{_filled(command, path)}"
            )
        if _is_python(text.strip().partition("\n")[0]):
            command = (
                'python -c "import ast, json; [print(json.dumps(ast.literal_eval(line))) for line in open({path!r}) '
                'if line.strip()]" > {rows}'
            )
            raise BadInput(
                f"{path} holds objects as Python prints them, and JSONL has JSON; convert it: {_filled(command, path)}"
            )


def raise_lists(path: Path) -> NoReturn:
    """BadInput for an array of lists."""
    command = (
        "python -c \"import json, pandas; pandas.DataFrame(json.load(open({path!r})), columns=['prompt', 'chosen', "
        f"'rejected']){_AS_LINES}\", with its columns in their order"
    )
    raise BadInput(
        f'{path} is an array of lists (orient="values" of pandas), which names no columns; convert it: '
        f"{_filled(command, path)}"
    )


def _filled(command: str, path: Path) -> str:
    """A command with its paths; those outside of Python code are quoted for a shell."""
    rows, table = f"{path.stem}.rows.jsonl", f"{path.stem}.parquet"
    names = {"path": str(path), "rows": rows, "table": table, "stem": path.stem, "folder": str(path.parent)}
    for name, value in names.items():
        command = command.replace(f"{{{name}!r}}", repr(value)).replace(f"{{{name}}}", shlex.quote(value))
    return command


def _only_object(text: str, first: Mapping[str, Any] | BadInput) -> Mapping[str, Any] | None:
    """The object that is all of the text; None if there are several, or if it cannot be parsed."""
    if not isinstance(first, BadInput):
        return None if "\n" in text.strip() else first
    if not text.lstrip().startswith("{"):
        return None
    with suppress(ValueError):
        return parse_object(text)
    return None


def _command(record: Mapping[str, Any]) -> str | None:
    """The command that writes the rows in an object one in each line; None for an object that is a row."""
    if _has_columns(record):
        return _from_columns("")
    if COLUMNS & set(record):
        return None
    if isinstance(record.get("columns"), list) and _are_lists(record.get("data")):  # pandas, orient="split"
        table = "json.load(open({path!r}))"
        return (
            f"python -c \"import json, pandas; table = {table}; pandas.DataFrame(table['data'], "
            f"columns=table['columns']){_AS_LINES}\""
        )
    if record and all(_is_row(value) for value in record.values()):
        return "jq -c '.[]' {path} > {rows}"  # pandas, orient="index"
    for key, value in record.items():
        if isinstance(value, dict) and _has_columns(value):
            return _from_columns(f"[{key!r}]")
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            return f"jq -c '.{key}[]' {{path}} > {{rows}}"
    return None


def _from_columns(place: str) -> str:
    table = "json.load(open({path!r}))" + place
    return f'python -c "import json, pandas; pandas.DataFrame({table}){_AS_LINES}"'


def _is_row(value: Any) -> bool:
    return isinstance(value, dict) and bool(COLUMNS & set(value)) and not _has_columns(value)


def _has_columns(record: Mapping[str, Any]) -> bool:
    return any(_is_column(record.get(name)) for name in ("prompt", "chosen"))


def _is_column(value: Any) -> bool:
    """Whether this is a column of many rows: a list of texts, or an object by row number, as pandas writes it."""
    if isinstance(value, dict):
        return bool(value) and all(key.isdigit() for key in value)
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


def _are_lists(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, list) for item in value)


def _begins_with_long_object(text: str) -> bool:
    """Whether the text begins with an object over several lines."""
    try:
        _, end = json.JSONDecoder().raw_decode(text.lstrip())
    except (ValueError, RecursionError):
        return False
    return "\n" in text.lstrip()[:end]


def _is_python(line: str) -> bool:
    """Whether the line is a Python dictionary, and no JSON. Only a short line is parsed as Python, which takes some 500
    bytes of memory for each of its characters."""
    with suppress(ValueError, RecursionError):
        json.loads(line)
        return False
    if len(line) > LONGEST_PYTHON:
        return False
    try:
        return isinstance(ast.literal_eval(line), dict)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
