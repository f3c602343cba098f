"""A workspace with files of all kinds: a finished night with a harvest, and an interrupted night."""

import contextlib
import shutil
from pathlib import Path

from harvests import night, study
from rich.console import Console

from agent.ledger.results.files import publish
from agent.ledger.store import Ledger
from agent.ledger.tables import DecisionRow
from agent.loop.start_or_resume.session import Overrides, begin
from agent.study.load import load_study
from agent.workspace.folder import Workspace
from preferences.store.annotations import Vote
from preferences.store.stores import Stores
from probes.endpoint.spending import Allowance, SpendingMeter, Usage
from testing import simulated_study
from testing.workspace_files import add_files_with_digests
from view.report.report import write_report
from view.terminal.live import PlainWatcher


class Leaving(PlainWatcher):
    """Interrupts the session after its second decision on a proposal."""

    def decided(self, decision: DecisionRow) -> None:
        if decision.turn == 2:
            raise KeyboardInterrupt


def workspace_and_study(folder: Path) -> tuple[Path, Path]:
    """A workspace as after a kill, with the ledger's write-ahead log; and its study.toml."""
    made = folder / "made"
    night(study(folder / "harvested", budget="decisions = 5"), made)
    path = simulated_study.write_study(folder / "study", simulated_study.STUDY.replace("decisions = 8", "probes = 24"))
    with contextlib.suppress(KeyboardInterrupt):
        leaving = Leaving(Console(quiet=True))
        begin(load_study(path), Workspace(made), Overrides(), leaving, write_report)
    add_files_with_digests(made)
    stores = Stores(made / "runs" / "rl_data")
    row = stores.rows("dpo")[0]
    stores.vote([Vote(row.id, "up", "somebody", "2026-01-01T00:00:00Z")])
    stores.withdraw("a reason", "2026-01-01T00:00:00Z", row=stores.rows("dpo")[1].id)
    (made / "runs" / "worker-0.log").write_text("a line\n" * 40, encoding="utf-8")
    with Ledger(made / "runs" / "ledger.sqlite") as ledger:
        session = ledger.sessions()[-1]
        with (
            SpendingMeter(Allowance(file=made / "runs" / "judging.sqlite", session=session)) as meter,
            meter.call(0.5) as taken,
        ):
            taken.append(Usage(calls=1, dollars=0.25))
        for number in range(20):
            ledger.record_event(f"{session}-note-{number}", session, "2026-01-01T00:00:00Z", f"note {number}")
        publish(ledger, made)
        shutil.copytree(made, folder / "workspace")
    return folder / "workspace", path
