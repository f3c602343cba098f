"""Sessions of the simulated study for the tests of view: real ones, a second each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import simulated_study
import tiny

from agent.ledger import DecisionRow
from agent.opening import Overrides, begin
from agent.study import Study, load_study
from agent.workspace import Workspace
from probes.reading import Probe
from probes.runner import Progress
from view.report import write_report

SLOWER = simulated_study.STUDY.replace('"simulated"\n', '"simulated"\nsimulated_seconds = 0.01\n').replace(
    'name = "simulated"\nsimulated_seconds = 0.01', 'name = "simulated"'
)
CRASHING = simulated_study.STUDY.replace("learning_rate = 1e-4", "learning_rate = 0.2").replace(
    "learning_rate = { low = 1e-6, high = 0.9, factor = 2.0, reach = 4 }\nbeta = true\nwarmup = true",
    "learning_rate = { choices = [0.2, 0.6, 0.7, 0.8] }",
)


class Silent:
    """A watcher that says nothing and interrupts the session after a given decision."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after

    def progress(self, progress: Progress) -> None: ...

    def note(self, text: str) -> None: ...

    def measuring(self, title: str, probes: Sequence[Probe]) -> None: ...

    def decided(self, decision: DecisionRow) -> None:
        if decision.turn == self.stop_after:
            raise KeyboardInterrupt


def prompts(per_category: int) -> list[dict[str, Any]]:
    return [
        {**row, "id": f"{row['id']}-{copy}", "prompt": f"{row['prompt']}# {copy}\n"}
        for row in tiny.prompts()
        for copy in range(per_category // 4)
    ]


def study(folder: Path, text: str = SLOWER, per_category: int = 32) -> Study:
    path = simulated_study.write_study(folder / "study", text)
    tiny.write_jsonl(folder / "study" / "prompts.jsonl", prompts(per_category))
    return load_study(path)


def night(
    folder: Path, text: str = SLOWER, per_category: int = 32, decisions: int | None = 4, stop_after: int | None = None
) -> Workspace:
    """Run a session in ``folder``; the workspace holds it and its report."""
    workspace = Workspace(folder / "workspace")
    asked = study(folder, text, per_category)
    try:
        begin(asked, workspace, Overrides(decisions=decisions), 0, False, Silent(stop_after), write_report)
    except KeyboardInterrupt:
        assert stop_after is not None
    return workspace
