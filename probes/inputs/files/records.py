"""Reads rows from any file: JSONL, a JSON array, CSV, these in gzip, Parquet; from folders of them; and from the hub.

The content decides the format. Each entry is a place and a record; the place is the line in a text file, and the number
of the row elsewhere. A bad row has a BadInput in place of its record, a sentence that begins with "it". A file that
cannot be read to its end is refused.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal

from common.digests import digest_of, file_digest
from common.errors import BadInput
from probes.inputs.files.location import Hub, Where
from probes.inputs.files.other_formats import COLUMNS, raise_lists, require_readable, require_row_per_line, require_rows
from probes.inputs.files.tables import SAVED, hub_rows, parquet_rows, saved_rows
from probes.inputs.files.text import (
    GZIP,
    decoded,
    parse_object,
    read_bytes,
    require_whole_characters,
    unzipped,
    with_line_feeds,
)

Record = dict[str, Any]
NumberedRecord = tuple[int, Record | BadInput]

PARQUET = b"PAR1"
DATA = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
_NOT_DATA = {"export.json", "dataset_info.json", "dataset_infos.json", "state.json", "dataset_dict.json"}
_TRAIN = re.compile(r"train(ing)?(?![^\W\d_])")  # "train_prefs", not "trainer"
_SHARD = re.compile(r"[0-9]+[^0-9/]*$")
_NAMED_SIGN = re.compile(r'"?sep=([,;\t|])"?[ \t,;]*(\r\n?|\n)', re.IGNORECASE)


def records(where: Where) -> Iterator[NumberedRecord]:
    """All rows in order. BadInput for a file of another kind, MissingRequirement if the hub cannot be reached."""
    if isinstance(where, Hub):
        return enumerate(hub_rows(where), start=1)
    return _folder_records(where) if where.is_dir() else _file_records(where)


def unit_of(where: Where) -> Literal["line", "row"]:
    """Whether a place in this file is a line or a row."""
    if isinstance(where, Hub) or not where.is_file():
        return "row"
    content = _unpacked(where)
    if content is None:
        return "row"
    return "row" if content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[") else "line"


def at(place: str, why: str) -> str:
    """A sentence about a row, with the place of the row at its beginning."""
    return f"{place} {why.removeprefix('it ')}" if why.startswith("it ") else f"{place}: {why}"


def data_files(where: Where) -> list[Path]:
    """The files that rows are read from: the file itself, or the data files of a folder, sorted."""
    if isinstance(where, Hub):
        return []
    if not where.is_dir():
        return [where]
    if any((where / name).exists() for name in SAVED):
        return sorted(path for path in where.rglob("*") if path.suffix in (".arrow", ".json"))
    visible = (path for path in where.rglob("*") if not any(part[0] == "." for part in path.relative_to(where).parts))
    return sorted(path for path in visible if _is_data(path))


def rows_digest(where: Where) -> str:
    """The digest of a file's bytes, of a folder's data files with their names, or of a hub data set's rows."""
    if isinstance(where, Hub):
        return _hub_digest(where)
    if not where.is_dir():
        return file_digest(where)
    return digest_of([[path.relative_to(where).as_posix(), file_digest(path)] for path in data_files(where)])


@cache
def _hub_digest(hub: Hub) -> str:
    """Computed once per process, like the rows themselves."""
    return digest_of([str(hub), [json.dumps(row, sort_keys=True, default=str) for row in hub_rows(hub)]])


def _is_data(path: Path) -> bool:
    return path.is_file() and path.name not in _NOT_DATA and path.name.removesuffix(".gz").endswith(DATA)


def _folder_records(folder: Path) -> Iterator[NumberedRecord]:
    if any((folder / name).exists() for name in SAVED):
        return enumerate(saved_rows(folder), start=1)
    return enumerate((row for path in _of_one_split(folder) for _, row in _file_records(path)), start=1)


def _of_one_split(folder: Path) -> list[Path]:
    """The data files of the only split, or of train, by the names of files and folders."""
    files = data_files(folder)
    if not files:
        raise BadInput(f"{folder} holds no data file ({', '.join(DATA)}); name the file or folder that holds the rows")
    splits: dict[str, list[Path]] = {}
    for path in files:
        splits.setdefault(_split_name(path.relative_to(folder)), []).append(path)
    chosen = [name for name in splits if any(map(_TRAIN.match, name.split("/")))] or list(splits)
    if len(chosen) > 1:
        raise BadInput(
            f"{folder} holds files of several names ({', '.join(chosen)}), and which are wanted is not known; "
            "name one file, or put those that belong together into a folder"
        )
    found = splits[chosen[0]]
    stems = {str(path).removesuffix(_data_ending(path)) for path in found}
    one_form = len({_data_ending(path) for path in found}) == 1 or all(_SHARD.search(path.name) for path in found)
    if len(stems) < len(found) or not one_form:
        raise BadInput(
            f"{folder} holds {chosen[0]} in several forms ({', '.join(path.name for path in found)}), which would give "
            "each row more than once; name the file that is wanted"
        )
    return found


def _split_name(path: Path) -> str:
    """The folders and the beginning of the name, without the number of a shard: data/train for both
    data/train-00000-of-00002.parquet and data/train_1.jsonl."""
    name = re.split(r"[-.]", path.name.removesuffix(_data_ending(path)))[0]
    if _TRAIN.match(name):
        name = re.sub(r"_?[0-9]+$", "", name)
    return "/".join([*path.parent.parts, *([] if name.isdigit() else [name])])


def _data_ending(path: Path) -> str:
    plain = path.name.removesuffix(".gz")
    return next(ending for ending in DATA if plain.endswith(ending)) + path.name[len(plain) :]


def _file_records(path: Path) -> Iterator[NumberedRecord]:
    content = _unpacked(path)
    if content is None:
        return enumerate(parquet_rows(path), start=1)
    if content.startswith(PARQUET):
        return enumerate(parquet_rows(path, content), start=1)
    require_readable(path, content)
    text = decoded(path, content)
    require_rows(path, text)
    reader = _text_reader(path, text)
    return reader(path, text if reader is _table_records else with_line_feeds(text))


def _unpacked(path: Path) -> bytes | None:
    """The content, uncompressed if it is gzip; None for a Parquet file, which is read in pieces."""
    try:
        with path.open("rb") as stream:
            if stream.read(len(PARQUET)) == PARQUET:
                return None
    except OSError:
        pass  # read_bytes reports it
    content = read_bytes(path)
    return unzipped(path, content) if content.startswith(GZIP) else content


def _text_reader(path: Path, text: str) -> Callable[[Path, str], Iterator[NumberedRecord]]:
    name, start = path.name.removesuffix(".gz").lower(), text.lstrip()[:1]
    if start == "[":
        return _array_records
    if start == "{" or not start:
        return _line_records
    if name.endswith((".csv", ".tsv")) or COLUMNS & set(map(str.strip, _cells(_header(text), _delimiter(text)))):
        return _table_records
    if name.endswith((".jsonl", ".ndjson", ".json")):
        return _line_records
    raise BadInput(
        f"{path} is neither JSONL, a JSON array, CSV nor Parquet, and what else it is was not recognised; write one "
        'object in each line (docs/data.md): {"prompt": ..., "chosen": ..., "rejected": ...}'
    )


def _line_records(path: Path, text: str) -> Iterator[NumberedRecord]:
    first = True
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            record = _parsed(line, parse_object)
            if first:  # the first row shows the form of the file
                require_row_per_line(path, text, record)
            first = False
            yield number, record


def _parsed(raw: str, parse: Callable[[str], Record]) -> Record | BadInput:
    try:
        record = parse(raw)
        require_whole_characters(raw, record)
    except ValueError as error:
        return BadInput(f"it {error}")
    return record


def _array_records(path: Path, text: str) -> Iterator[NumberedRecord]:
    """The objects of a JSON array, parsed one by one, so that the row of a bad one is known."""
    place, here = 0, _skipped(text, text.index("[") + 1)
    while text[here : here + 1] != "]":
        place += 1
        try:
            _, end = json.JSONDecoder().raw_decode(text, here)
        except (ValueError, RecursionError) as error:
            raise BadInput(
                f"{path}, row {place} of the array and what follows is not JSON ({error}); mend it"
            ) from None
        if place == 1 and text[here] == "[":
            raise_lists(path)
        yield place, _parsed(text[here:end], parse_object)
        here = _skipped(text, end)
        if text[here : here + 1] == ",":
            here = _skipped(text, here + 1)
        elif text[here : here + 1] != "]":
            raise BadInput(f"{path} is an array that breaks off or lacks a comma after row {place}; mend it")
    if text[here + 1 :].strip():
        raise BadInput(f"{path} goes on after the end of its array; write one array, or one object in each line")


def _skipped(text: str, here: int) -> int:
    while here < len(text) and text[here] in " \t\n":
        here += 1
    return here


def _table_records(path: Path, text: str) -> Iterator[NumberedRecord]:
    """The rows of a table with a header line. A cell is a text, or None if it is empty. Empty lines are skipped."""
    csv.field_size_limit(1 << 30)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    try:
        if _NAMED_SIGN.match(text):
            next(reader)
        header = [name.strip() for name in next((cells for cells in reader if any(map(str.strip, cells))), [])]
        names = [name for name in header if name]
        if len(set(names)) < len(names):
            raise BadInput(f"{path} names a column twice in its first line; rename one")
        line = reader.line_num + 1
        for cells in reader:
            if not any(map(str.strip, cells)):
                pass
            elif len(cells) == len(header):
                yield line, _table_row(header, cells)
            else:
                sizes = f"it has {len(cells)} cells and the header {len(header)}"
                yield line, BadInput(f"{sizes}; put texts with commas or line ends in quotes")
            line = reader.line_num + 1
    except csv.Error as error:
        raise BadInput(
            f"{path}, line {reader.line_num} and what follows cannot be read as CSV ({error}); mend the quotes"
        ) from None


def _table_row(header: list[str], cells: list[str]) -> Record | BadInput:
    for place, (name, cell) in enumerate(zip(header, cells, strict=True)):
        if not name and cell.strip() and not (place == 0 and cell.strip().isdigit()):  # pandas writes row numbers there
            return BadInput(
                f"it has {cell.strip()[:40]!r} in cell {place + 1}, and the header names no column there; name it in "
                "the header, or empty the cell"
            )
    return {name: cell or None for name, cell in zip(header, cells, strict=True) if name}


def _delimiter(text: str) -> str:
    """The delimiter in a first line such as "sep=;", else the one that gives the header the most columns."""
    if named := _NAMED_SIGN.match(text):
        return named[1]
    return max(",;\t|", key=lambda sign: len(_cells(_header(text), sign)))


def _header(text: str) -> str:
    named = _NAMED_SIGN.match(text)
    return re.split(r"[\r\n]", text[named.end() if named else 0 :].lstrip(" \t\r\n,;"), maxsplit=1)[0]


def _cells(header: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([header], delimiter=delimiter), [])
    except csv.Error:
        return []
