"""Snapshots of a night's folder, as a kill at that moment would leave it, and everything that an ended night leaves."""

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agent.ledger.store import Ledger
from preferences.store.stores import Stores

WRITES = (
    "begin",
    "set_limits",
    "finish_and_refuse",
    "mark_alive",
    "record_proposal",
    "record_probe",
    "record_decisions",
    "record_checks",
    "record_design",
    "record_noise_floor",
    "record_examination",
    "record_event",
    "record_recipe",
    "answer_request",
)
"""The methods of the ledger that write for a session."""
VARIES = {"time", "cost_usd"}


def copied(folder: Path, target: Path) -> None:
    """Copy a folder as it is on the disk now. Files that are never changed in place are linked; databases are copied as
    of their last commit."""
    target.mkdir()
    for path in sorted(folder.rglob("*")):
        there = target / path.relative_to(folder)
        if path.is_dir():
            there.mkdir(parents=True, exist_ok=True)
        elif path.suffix == ".sqlite":
            with closing(sqlite3.connect(path)) as mine, closing(sqlite3.connect(there)) as theirs:
                mine.backup(theirs)
        elif path.parent.name.startswith("probe-") and not path.name.startswith("."):
            os.link(path, there)
        elif not path.name.endswith(("-wal", "-shm", "-journal")):
            shutil.copyfile(path, there)


def truth(workspace: Path) -> dict[str, Any]:
    """All that a night leaves, except times."""
    with Ledger(workspace / "runs" / "ledger.sqlite", read_only=True) as ledger:
        (name,) = ledger.sessions()
        session = ledger.session(name)
        assert session is not None
        decisions = [asdict(one) for one in ledger.decisions()]
        events = [text for _, _, text in ledger.events()]
        found = {
            "end": (session.finished is not None, session.finish_reason, session.key),
            "decisions": [untimed({**one, "row": untimed(one["row"])}) for one in decisions],
            "proposals": [untimed(asdict(one)) for one in ledger.proposals()],
            "probes": sorted((one.id, one.kind) for one in ledger.probes(name)),
            "checks": sorted(((one.kind, one.subject, one.data) for one in ledger.checks(name)), key=str),
            "said": {
                text: events.count(text) for text in events if text.split(" ")[0] in ("KEEP", "DISCARD", "RETRACT")
            },
        }
    rows = [line.split("\t") for line in (workspace / "results.tsv").read_text(encoding="utf-8").splitlines()]
    varies = {rows[0].index(name) for name in VARIES}
    stores = Stores(workspace / "runs" / "rl_data").read_all()
    return found | {
        "table": [[cell for place, cell in enumerate(row) if place not in varies] for row in rows],
        "pairs": {kind: sorted((one.row.id, one.withdrawn) for one in own) for kind, own in stores.items()},
    }


def untimed(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in VARIES}
