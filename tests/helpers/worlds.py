"""Sessions in worlds with known effects, with the simulated runner."""

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.ledger.store import Ledger
from agent.ledger.tables import CheckRow, DecisionRow, ProposalRow
from agent.loop.start_or_resume.session import Overrides, begin, resume
from agent.policy.decision_basis import ConfirmationRecord
from agent.study.load import Study, load_study
from agent.workspace.folder import Workspace
from lanes import Recipe
from probes.run.store import ProbeStore
from testing import simulated_study
from testing.simulated_runner import EffectWorld, SimulatedRunner
from view.report.report import write_report
from view.terminal.live import watching


def study_of(folder: Path, policy: str = "", budget: str = "probes = 30", orders: bool = False) -> Study:
    """The simulated study with this policy; ``orders``: only the curriculum may change."""
    text = simulated_study.STUDY.replace("disguised = 0.0\nholdout_seeds = 0", policy or "disguised = 0.0")
    if orders:
        text = text[: text.index("[lanes.hyperparameters]")] + "[lanes.curriculum]\n" + text[text.index("[policy]") :]
    return load_study(simulated_study.write_study(folder / "study", text.replace("decisions = 8", budget)))


def runner_of(study: Study, workspace: Path, world: EffectWorld, width: int = 1) -> SimulatedRunner:
    return SimulatedRunner(study.material, ProbeStore(workspace / "runs"), world=world, width=width)


def play(study: Study, workspace: Path, world: EffectWorld, width: int = 1) -> str:
    runner = runner_of(study, workspace, world, width)
    with watching() as watcher:
        return begin(study, Workspace(workspace), Overrides(), watcher, write_report, runner=runner)


def recorded(workspace: Path) -> list[tuple[DecisionRow, ProposalRow]]:
    with Ledger(workspace / "runs" / "ledger.sqlite", read_only=True) as ledger:
        proposals = {row.id: row for row in ledger.proposals()}
        return [(row, proposals[row.id]) for row in ledger.decisions("WHERE turn > 0")]


def stack_of(decision: DecisionRow) -> ConfirmationRecord:
    """The confirmation that a decision rests on."""
    assert decision.basis is not None
    assert decision.basis.stack is not None
    return decision.basis.stack


def confirmed(workspace: Path) -> dict[int, list[tuple[DecisionRow, ProposalRow]]]:
    """The members of each stack that was decided on, by its number."""
    found: dict[int, list[tuple[DecisionRow, ProposalRow]]] = {}
    for decision, proposal in recorded(workspace):
        if decision.basis is not None and decision.basis.stack is not None:
            found.setdefault(decision.basis.stack.number, []).append((decision, proposal))
    return found


def designs(workspace: Path, kind: str) -> list[CheckRow]:
    """The waves or stacks that sessions recorded."""
    with Ledger(workspace / "runs" / "ledger.sqlite", read_only=True) as ledger:
        return [check for name in ledger.sessions() for check in ledger.checks(name, kind)]


def go_on(study: Study, workspace: Path, world: EffectWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "agent.loop.start_or_resume.session.open_runner", lambda study, where, _: runner_of(study, where.root, world, 2)
    )
    with watching() as watcher:
        resume(Workspace(workspace), None, Overrides(), watcher, write_report)


FOUR = """[lanes.hyperparameters]
share = 1.0
learning_rate = { choices = [5e-5, 1e-4, 2e-4] }
beta = { choices = [0.05, 0.1, 0.2] }
warmup = { choices = [0.05, 0.1, 0.15] }
[lanes.curriculum]
curriculum = { choices = ["shuffle", "easy_first", "hard_first"] }
"""
"""Four knobs, each with two other values."""


def small_study(folder: Path, policy: str = "", budget: str = "probes = 36", lanes: str = FOUR) -> Study:
    """A study with few knobs and the usual thresholds, except for the lines of ``policy``; no A/A tests, no final
    checks."""
    own = {line.split(" ")[0] for line in policy.splitlines()}
    usual = "".join(f"{name} = {value}\n" for name, value in USUAL.items() if name not in own)
    text = simulated_study.study_text(lanes=lanes, policy=f"{usual}{policy}\n")
    return load_study(simulated_study.write_study(folder / "study", text.replace("decisions = 8", budget)))


USUAL = {"disguised": "0.0", "holdout_seeds": "0", "confirming_seeds": "6", "wave": "4", "must_see": "10.0"}


def adding(**gains: dict[object, float]) -> Callable[[Recipe, str], float]:
    """Effects that add up. ``gains``: knob -> value -> points."""

    def effect(recipe: Recipe, split: str) -> float:
        return sum(worth.get(getattr(recipe, knob), 0.0) for knob, worth in gains.items())

    return effect
