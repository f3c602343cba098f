"""results.tsv as a pandas table, for notebooks, benchmarks and whoever compares nights.

from view.results import read_results
read_results("results.tsv").query("status == 'KEEP'")
"""

import csv
from pathlib import Path

import pandas

from agent.followers import COLUMNS

NUMBERS = (
    "steps", "samples", "target", "baseline", "delta", "ci_low", "ci_high", "overall", "overall_delta",
    "worst_guard_delta", "critical_failures", "probe_seconds", "tokens_per_second", "peak_gb", "cost_usd",
    "worst_guard_low", "shrunk", "error_spent",
)  # fmt: skip


def read_results(path: Path | str) -> pandas.DataFrame:
    """All rows, one column per column of the file. Numbers are floats with NaN for blank, ``time`` is UTC, and text is
    text: "NA" in a description stays "NA". ValueError when a column of results.tsv is missing."""
    table = pandas.read_csv(
        path, sep="\t", quoting=csv.QUOTE_NONE, keep_default_na=False, dtype=str, lineterminator="\n"
    )
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise ValueError(f"{path} has no column {missing[0]!r}; it is not a results.tsv of nightlane")
    numbers = {column: pandas.to_numeric(table[column], errors="coerce") for column in NUMBERS}
    return table.assign(**numbers, time=pandas.to_datetime(table["time"], utc=True))
