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

KNOBS = """learning_rate = { low = 1e-6, high = 0.9, factor = 2.0, reach = 4 }
beta = true
warmup = true
[lanes.mixture]
[lanes.curriculum]
"""


def variant(knobs: str = KNOBS, learning_rate: str = "1e-4", **budget: str) -> str:
    """The simulated study with other knobs and another start; probes that pretend to take 10 ms."""
    text = simulated_study.STUDY.replace(KNOBS, knobs).replace(
        "learning_rate = 1e-4", f"learning_rate = {learning_rate}"
    )
    text = text.replace("[budget]\n", "[budget]\n" + "".join(f"{name} = {value}\n" for name, value in budget.items()))
    return f"{text}simulated_seconds = 0.01\n"


UPWARD = "learning_rate = { low = 1e-6, high = 1e-3, factor = 10.0, reach = 1 }\n"
STUDY = variant()
CLIMBING = variant(UPWARD, "1e-6")  # every move is a KEEP, whoever proposes
MIXED = variant(  # a KEEP, and moves that do little
    UPWARD.replace("1e-6", "1e-5") + "[lanes.curriculum]\n", "1e-5", dollars_per_hour="3600"
)
CRASHING = variant("learning_rate = { choices = [0.2, 0.6, 0.7, 0.8] }\n[lanes.curriculum]\n", "0.2")
FRUITLESS = variant("warmup = true\n")  # four legal moves, none with an effect


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


def study(folder: Path, text: str = STUDY, per_category: int = 32) -> Study:
    path = simulated_study.write_study(folder / "study", text)
    tiny.write_jsonl(folder / "study" / "prompts.jsonl", prompts(per_category))
    return load_study(path)


def night(
    folder: Path, text: str = STUDY, per_category: int = 32, decisions: int | None = 4, stop_after: int | None = None
) -> Workspace:
    """Run a session in ``folder``; the workspace holds it and its report."""
    workspace = Workspace(folder / "workspace")
    asked = study(folder, text, per_category)
    try:
        begin(asked, workspace, Overrides(decisions=decisions), 0, False, Silent(stop_after), write_report)
    except KeyboardInterrupt:
        assert stop_after is not None
    return workspace
