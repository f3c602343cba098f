"""A simulated night decides to the digit what it decided when its rows were written down.

The rows and digests in tests/cases/simulated_night are those of an earlier version of the code. A change that is not
meant to change decisions leaves them as they are. One that is: ``python tests/agent/loop/test_reference_night.py``
writes them anew, and the change says why.
"""

import csv
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from agent.loop.start_or_resume.session import Overrides, begin
from agent.study.load import load_study
from agent.workspace.folder import Workspace
from view.report.report import write_report
from view.terminal.live import watching

CASE = Path(__file__).parents[2] / "cases" / "simulated_night"
SEED = 3
VARYING = ("time", "session", "probe_seconds", "tokens_per_second", "peak_gb", "cost_usd")


def play(folder: Path) -> tuple[list[str], list[str]]:
    """The rows of results.tsv without what differs between two nights, and the digests of study and policy."""
    with watching() as watcher:
        session = begin(
            load_study(CASE / "study.toml"), Workspace(folder), Overrides(), watcher, write_report, seed=SEED
        )
    with (folder / "results.tsv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    columns = [name for name in rows[0] if name not in VARYING]
    lines = ["\t".join(columns), *("\t".join(row[name] for name in columns) for row in rows)]
    with closing(sqlite3.connect(folder / "runs" / "ledger.sqlite")) as ledger:
        (question,) = ledger.execute("SELECT question FROM sessions").fetchone()
        policies = ledger.execute("SELECT DISTINCT json_extract(policy, '$.digest') FROM decisions").fetchall()
    return [line.replace(session, "SESSION") for line in lines], [question, *(digest for (digest,) in policies)]


def test_a_night_has_the_rows_and_digests_that_it_had(tmp_path: Path) -> None:
    rows, digests = play(tmp_path)
    assert digests == (CASE / "digests.txt").read_text(encoding="utf-8").splitlines()
    expected = (CASE / "results.tsv").read_text(encoding="utf-8").splitlines()
    assert rows == expected


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as _folder:
        _rows, _digests = play(Path(_folder))
    for _name, _lines in (("results.tsv", _rows), ("digests.txt", _digests)):
        (CASE / _name).write_text("".join(f"{line}\n" for line in _lines), encoding="utf-8")
    sys.exit(0)
