"""A budget that ends within a night: what was measured counts, every change that a reading tells of has its row, and
nothing is claimed that was not confirmed."""

import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from nights import Silent
from worlds import adding, confirmed, designs, recorded, runner_of, small_study, stack_of

from agent.ledger.store import Ledger
from agent.ledger.tables import STACK, WAVE, CheckRow
from agent.loop.nodes import Session
from agent.loop.start_or_resume.session import Overrides, begin, resume
from agent.policy.confirmation import ConfirmationInputs, Look, RuleTerms, Verdict, look
from agent.policy.settings import PolicySettings
from agent.study.load import Study
from agent.workspace.folder import Workspace
from probes.result.comparison import Comparison
from probes.result.reading import Outcome, Probe
from probes.run.protocol import Listener
from testing.simulated_runner import EffectWorld, SimulatedRunner
from view.report.report import write_report

Usage = namedtuple("Usage", "total used free")
WORLD = EffectWorld(adding(learning_rate={2e-4: 0.8, 5e-5: -0.8}, curriculum={"easy_first": 0.6}), 0.3)
WHOLE = 44
"""Probes of the undisturbed night: three of the start, waves, and a confirmation."""


class Disk:
    """Is full once so many probes were run; its keeper is the budget's ``disk_gb``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, probes: int) -> None:
        self.ran, self.probes, original = 0, probes, SimulatedRunner._run_one

        def run_one(runner: SimulatedRunner, probe: Probe, listener: Listener) -> Outcome:
            self.ran += 1
            return original(runner, probe, listener)

        monkeypatch.setattr(SimulatedRunner, "_run_one", run_one)
        monkeypatch.setattr(shutil, "disk_usage", self.usage)

    def usage(self, _: object) -> Usage:
        return Usage(10**12, 0, 0 if self.ran >= self.probes else 10**12)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    made = small_study(tmp_path, "confirming_seeds = 9", f"probes = {WHOLE}\n")
    text = made.text.replace("disk_gb = 0", "disk_gb = 1")
    made.path.write_text(text, encoding="utf-8")
    from agent.study.load import load_study

    return load_study(made.path)


def play(study: Study, workspace: Path) -> str:
    runner = runner_of(study, workspace, WORLD)
    return begin(study, Workspace(workspace), Overrides(), Silent(), write_report, runner=runner)


def reason(workspace: Path) -> str:
    with Ledger(workspace / "runs" / "ledger.sqlite", read_only=True) as ledger:
        session = ledger.session()
        assert session is not None
        assert session.finished
        return str(session.finish_reason)


def test_a_budget_that_ends_with_the_baseline_leaves_no_proposal(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Disk(monkeypatch, 2)
    play(study, tmp_path)
    assert "GB of disk left" in reason(tmp_path)
    assert recorded(tmp_path) == []


@pytest.mark.parametrize("probes", [9, 13, 19])
def test_what_a_cut_search_has_measured_has_rows_and_is_not_kept(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, probes: int
) -> None:
    Disk(monkeypatch, probes)
    play(study, tmp_path)
    assert "GB of disk left" in reason(tmp_path)
    waves = designs(tmp_path, WAVE)
    told = {name for wave in waves for made in wave.data["recipes"] for name in made["proposals"]}
    rows = {decision.id: decision for decision, _ in recorded(tmp_path)}
    assert rows.keys() == told
    assert {decision.status for decision in rows.values()} == {"DISCARD"}
    assert all(decision.basis is not None and decision.basis.stack is None for decision in rows.values())
    likely = [
        d for d in rows.values() if d.basis and d.basis.own and d.basis.own.chance >= PolicySettings().member_chance
    ]
    assert {decision.reason for decision in likely} <= {"budget", "no_effect"}


def test_members_of_a_cut_confirmation_say_budget_and_what_was_looked_at_is_kept(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = list[int]()
    original, disk = Ledger.record_design, Disk(monkeypatch, WHOLE)

    def full_after_two_pairs(self: Ledger, check: CheckRow, *others: object) -> None:
        if check.kind == STACK:
            check.data["given"]["first"] = 2
        original(self, check, *others)  # type: ignore[arg-type]
        if check.kind == STACK:
            begun.append(disk.ran)
            disk.probes = disk.ran + 3

    monkeypatch.setattr(Ledger, "record_design", full_after_two_pairs)
    monkeypatch.setattr("agent.loop.search.confirmations.look", never_decides)
    play(study, tmp_path)
    (members,) = confirmed(tmp_path).values()
    assert begun
    assert len(members) >= 2
    for decision, _ in members:
        assert (decision.status, decision.reason) == ("DISCARD", "budget")
        assert stack_of(decision).looks[-1].pairs == len(stack_of(decision).seeds) == 2
        assert decision.comparison is not None
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        assert all(ledger.decision(proposal.id) for proposal in ledger.proposals())


def never_decides(seen: Comparison, given: ConfirmationInputs, terms: RuleTerms) -> tuple[Look, Verdict | None]:
    """The rule, without a decision before the last look."""
    found, verdict = look(seen, given, terms)
    return found, verdict if found.pairs == given.pairs else None


@pytest.mark.long
@pytest.mark.parametrize("node", ["settle", "record"])
def test_a_night_killed_where_its_budget_ended_resumes_to_the_same_rows(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, node: str
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    play(study, whole)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Session, node, killed)
        play(study, cut)
    monkeypatch.setattr("agent.loop.start_or_resume.session.open_runner", lambda *_: runner_of(study, cut, WORLD))
    resume(Workspace(cut), None, Overrides(), Silent(), write_report)
    rows = [[(d.turn, d.status, d.reason, d.row.get("delta")) for d, _ in recorded(w)] for w in (whole, cut)]
    assert rows[0] == rows[1]
    assert rows[0]
