"""results.tsv as a pandas table, for notebooks, benchmarks and comparisons of nights.

from view.data.results import read_results
read_results("results.tsv").query("status == 'KEEP'")
"""

import csv
import io
from pathlib import Path

import pandas

from agent.ledger.results.columns import COLUMNS, NUMBERS
from agent.ledger.results.sheet import decoded
from common.errors import BadInput


def read_results(path: Path | str) -> pandas.DataFrame:
    """All rows, one column per column of the file. Numbers are floats with NaN for blank, ``time`` is UTC, and text is
    text: "NA" in a description stays "NA". BadInput for a file in another form."""
    text, plain = decoded(Path(path).read_bytes())
    try:
        if not plain:
            raise ValueError("it is not UTF-8 text without a byte order mark")
        table = pandas.read_csv(
            io.StringIO(text), sep="\t", quoting=csv.QUOTE_NONE, keep_default_na=False, dtype=str, lineterminator="\n"
        )
        missing = [column for column in COLUMNS if column not in table]
        if missing:
            raise ValueError(f"it has no column {missing[0]!r}")
        numbers = {column: _numbers(table[column]) for column in NUMBERS}
        return table.assign(**numbers, time=pandas.to_datetime(table["time"], utc=True, format="ISO8601"))
    except ValueError as error:
        why = str(error).strip().splitlines()[0]
        raise BadInput(
            f"{path} is not in the form of results.tsv ({why}); nightlane report writes its workspace's file again "
            "from the ledger and sets this one aside"
        ) from None


def _numbers(texts: pandas.Series) -> pandas.Series:
    """NaN for blank; ValueError with the column's name for a text that is not a number, such as 0,5."""
    try:
        return pandas.to_numeric(texts.replace("", float("nan")), errors="raise").astype(float)
    except ValueError as error:
        raise ValueError(f"in column {texts.name}: {error}") from None
