"""Reads the rows of tables that are not text: Parquet, `datasets` folders and data sets of the hub.

pyarrow and datasets are imported when a table is read, not before.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

from common.errors import BadInput, MissingRequirement
from probes.inputs.files.location import Hub

SAVED = ("dataset_dict.json", "state.json")
"""Files that ``save_to_disk`` writes: for several splits, and for one."""
DEFAULT = "train"


def parquet_rows(path: Path, content: bytes | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file, or of its ``content``, in order."""
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        table = ParquetFile(path if content is None else BytesIO(content))
        names = table.schema_arrow.names
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise BadInput(f"{path} has the column {twice!r} twice; rename one and write the table again")
        decode = _decoder(table.schema_arrow)
        for batch in table.iter_batches():
            for row in batch.to_pylist():
                yield _row(decode(row))
    except (pyarrow.ArrowException, OSError) as error:
        raise BadInput(f"{path} cannot be read as Parquet ({_first_line(error)}); fetch or write it again") from None


def _decoder(schema: Any) -> Any:
    """A function that decodes columns which ``datasets`` stores as JSON texts."""
    if b'"Json"' not in (schema.metadata or {}).get(b"huggingface", b""):
        return lambda row: row
    from datasets import Features

    return Features.from_arrow_schema(schema).decode_example


def saved_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """The rows of a folder that ``save_to_disk`` wrote; those of train if it has several splits."""
    import datasets

    datasets.disable_progress_bars()
    try:
        found = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{folder} cannot be read as a folder of datasets ({_first_line(error)}); save it again with save_to_disk"
        ) from None
    if isinstance(found, datasets.DatasetDict):
        if DEFAULT not in found:
            raise BadInput(f"{folder} holds the splits {', '.join(found)}; name the folder of one: {folder}/SPLIT")
        found = found[DEFAULT]
    yield from map(_row, found)


def hub_rows(hub: Hub) -> Iterator[dict[str, Any]]:
    yield from map(_row, _load(hub))


@lru_cache(maxsize=8)
def _load(hub: Hub) -> Any:
    """A data set of the hub, loaded once per process, so that a session uses one revision."""
    import datasets
    import httpx

    datasets.disable_progress_bars()
    try:
        return datasets.load_dataset(hub.id, split=hub.split or DEFAULT)
    except (OSError, ValueError, RuntimeError, httpx.HTTPError, datasets.exceptions.DatasetsError) as error:
        raise MissingRequirement(
            f"{str(hub)!r} is neither a file nor a folder here, and could not be had from the Hugging Face hub "
            f"({_first_line(error)}); check the path, or the id, its split (org/name:split) and the network"
        ) from None


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """The columns of a row, None for an empty cell. Turns, calls and tools lose the null fields that a table adds.

    A table gives every turn, call and tool the fields of all others, with null for those that it does not have itself.
    Nulls elsewhere, in ``checks`` for example, are values. So is a null argument of a call, unless ``tools`` describes
    the function without that argument.
    """
    columns = {name: None if value != value else value for name, value in row.items()}  # NaN is an empty cell
    columns["tools"] = _without_nulls(columns.get("tools"))
    arguments = _arguments_by_function(columns["tools"])
    if "tools" not in row:
        del columns["tools"]
    return {name: _turns(value, arguments) for name, value in columns.items()}


def _turns(value: Any, arguments: Mapping[str, set[str]]) -> Any:
    """Turns without null fields; any other value unchanged."""
    if isinstance(value, list) and value:
        turns = [_turns(item, arguments) for item in value]
        return turns if all(map(_is_turn, value)) else value
    if not _is_turn(value):
        return value
    turn = {name: item for name, item in value.items() if item is not None}
    if isinstance(turn.get("tool_calls"), list):
        turn["tool_calls"] = [_call(call, arguments) for call in turn["tool_calls"]]
    return turn


def _is_turn(value: Any) -> bool:
    return isinstance(value, dict) and ("role" in value or "from" in value)


def _call(call: Any, arguments: Mapping[str, set[str]]) -> Any:
    if not isinstance(call, dict):
        return call
    call = {name: _call(item, arguments) if name == "function" else item for name, item in call.items()}
    given, known = call.get("arguments"), arguments.get(str(call.get("name")))
    if isinstance(given, dict) and known is not None:
        call["arguments"] = {name: item for name, item in given.items() if item is not None or name in known}
    return {name: item for name, item in call.items() if item is not None}


def _arguments_by_function(tools: Any) -> dict[str, set[str]]:
    """The argument names of each function in ``tools``; empty if that is no list of schemas."""
    with suppress(ValueError, RecursionError, AttributeError, TypeError):
        schemas = json.loads(tools) if isinstance(tools, str) else tools or []
        functions = [schema.get("function", schema) for schema in schemas]
        return {
            str(function["name"]): set(function["parameters"]["properties"])
            for function in functions
            if _has_properties(function)
        }
    return {}


def _has_properties(function: Any) -> bool:
    return "name" in function and isinstance((function.get("parameters") or {}).get("properties"), dict)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
