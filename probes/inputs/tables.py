"""Tables whose rows are no lines: Parquet, `datasets` folders and data sets of the hub -> records.

pyarrow and datasets are imported when a table is read, not before.
"""

from collections.abc import Iterator
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

from common.errors import BadInput, MissingRequirement
from probes.inputs.where import Hub

SAVED = ("dataset_dict.json", "state.json")
"""What ``save_to_disk`` writes into the folder of several splits, and of one."""
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
    """Columns that ``datasets`` keeps as JSON texts are read as it reads them."""
    if b'"Json"' not in (schema.metadata or {}).get(b"huggingface", b""):
        return lambda row: row
    from datasets import Features

    return Features.from_arrow_schema(schema).decode_example


def saved_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """The rows of a folder that ``save_to_disk`` wrote; of several splits, those of train."""
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
    """A data set of the hub; once per process, so that all of a session's rows are of one revision."""
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
    """Its columns, None where it has nothing in one."""
    held: dict[str, Any] = _bare(row)
    return dict.fromkeys(row) | held


def _bare(value: Any) -> Any:
    """Without what a table has only because another row has it: empty fields of records. NaN is an empty cell."""
    if isinstance(value, dict):
        return {name: _bare(item) for name, item in value.items() if item is not None and item == item}
    if isinstance(value, list):
        return [_bare(item) for item in value]
    return value


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
