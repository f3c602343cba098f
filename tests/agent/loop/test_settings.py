"""Each supported setting through a whole night: KEEP, RETRACT, CRASH and harvest, a resume in the middle, and every
view of it afterwards."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import judged
import pytest
import settings_nights as nights
from benchmark_tasks import TASKS, task_prompts, write_task
from long_cases import all_but

from agent.ledger.store import Ledger
from agent.loop.start_or_resume.session import Overrides, begin, resume
from agent.proposers import Chain, Declined, Situation, Suggestion
from agent.proposers.tpe import TpeProposer
from agent.study.load import Study
from agent.workspace.folder import Workspace
from common.errors import BadInput
from testing import simulated_study
from view.data.session_record import load_record
from view.explain.explanation import explain, explain_data
from view.explain.text import explain_text
from view.report.report import report_data, write_report
from view.terminal.status import session_status, status_text

EVERYTHING = frozenset({"KEEP", "RETRACT", "CRASH", "harvest"})


@dataclass(frozen=True)
class Case:
    """``lacks``: what the setting does not allow; ``stop``: the batch of probes before which the night is
    interrupted."""

    changes: nights.Sections
    lacks: frozenset[str] = frozenset()
    width: int = 1
    prompts: Callable[[dict[str, Any]], bool] = lambda row: True
    stop: int = 4


def policy(**values: str) -> nights.Sections:
    return {"policy": values}


def task_of(kind: str) -> Case:
    """A benchmark's task as the scorer."""
    return Case({"scorer": {"kind": f'"{kind}"', "task": f'"{TASKS[kind]}"', "category": '"level"'}})


CAPITALS = ("France", "Italy", "Japan", "Kenya", "Peru", "Chile", "Ghana", "Egypt", "China", "Nepal", "Spain", "Cuba")
QUESTIONS = [
    *({"question": f"Capital of {land}?", "answer": "7", "level": "lists"} for land in CAPITALS),
    *({"question": f"{n * 37} + {n * n} =", "answer": str(n * 37 + n * n), "level": "arithmetic"} for n in range(12)),
]
SHORT = policy(confirming_seeds="3")  # probes are left for the checks at the end
ONE_LANE: nights.Sections = {"lanes.curriculum": None}
HOURS = {"probes": None, "hours": "0.1"}
CASES = {
    "usual": Case({}),
    "no guards": Case({"guards": None}),
    "a guard in every other category, and overall": Case({"guards": {"overall": "2.0"}}),
    "one category": Case({"guards": None, **SHORT}, prompts=lambda row: row["category"] == "lists"),
    "two prompts, one of them to harvest": Case(
        {"guards": None}, prompts=lambda row: row["id"].endswith("lists-0") or row["id"] == "probe-lists-1"
    ),
    "the target overall, with guards": Case({"target": {"category": '"overall"'}, **SHORT}),
    "the target overall, without guards": Case({"target": {"category": '"overall"'}, "guards": None, **SHORT}),
    "one answer per prompt": Case({"probe": {"samples": "1"}, "budget": {"probes": "84"}}),
    "one lane": Case(ONE_LANE),
    "a lane without a share": Case({"lanes.curriculum": {"share": "0.0"}}),
    "eight workers": Case({"runner": {"workers": "8"}, "budget": {"probes": "56"}}, width=8),
    "orpo": Case({**ONE_LANE, "recipe": {"objective": '"orpo"'}}),
    "dpo": Case({"recipe": {"objective": '"dpo"'}, **SHORT}),
    "rules": Case({**ONE_LANE, "scorer": {"kind": '"rules"'}}),
    "function": Case({"scorer": {"kind": '"function"', "function": '"own.py:score"'}}),
    "judge": Case(
        {"scorer": {"kind": '"judge"', "calibration": '"calibration.jsonl"'}, "runner": {"kind": '"resident"'}, **SHORT}
    ),
    "pairwise": Case(
        {
            "scorer": {"kind": '"judge"', "pairwise": "true", "calibration": '"calibration.jsonl"'},
            "runner": {"kind": '"resident"'},
            "probe": {"samples": "1"},
            "budget": {"probes": "56"},
        },
        frozenset({"RETRACT"}),
    ),
    "inspect": task_of("inspect"),
    "lm_eval": task_of("lm_eval"),
    "no holdout prompts": Case(SHORT, prompts=lambda row: row["split"] != "holdout"),
    "no harvest prompts": Case(ONE_LANE, frozenset({"harvest"}), prompts=lambda row: row["split"] != "harvest"),
    "no harvest": Case({**ONE_LANE, "harvest": {"prompts": "0"}}, frozenset({"harvest"})),
    "no checks at the end": Case(policy(holdout_seeds="0"), frozenset({"RETRACT"})),
    "answers chosen by the session": Case(policy(most_samples="8")),
    "A/A tests": Case({**policy(disguised="0.3"), "budget": {"probes": "60"}}),
    "one change at a time": Case(policy(confirm='"single"')),
    "fewest pairs": Case(policy(confirming_seeds="3")),
    "two recipes in a wave": Case(policy(wave="2", confirming_seeds="3")),
    "anything that may help": Case(policy(member_chance="0.51")),
    "only what is sure": Case(policy(member_chance="0.99")),
    "a smallest effect": Case(policy(smallest_effect="0.3")),
    "no error after a KEEP": Case(policy(later_error="0.001")),
    "a budget of decisions": Case({**ONE_LANE, "budget": {"decisions": "4"}}),
    "hours alone": Case({"budget": HOURS}),
    "dollars": Case({**ONE_LANE, "budget": {"dollars": "0.1", "dollars_per_hour": "1.0"}}),
    "one decision": Case({"budget": {"decisions": "1"}}, EVERYTHING, stop=2),
}
REPRESENTATIVE = {
    "usual",
    "no guards",
    "dpo",
    "no checks at the end",
    "hours alone",
    "inspect",
    "lm_eval",
}
"""The cases that are not long."""


def play(asked: Study, workspace: Workspace, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """A night that is interrupted and taken up again."""
    if case.changes.get("budget", {}) == HOURS:
        monkeypatch.setattr("agent.loop.nodes.MOST_PROBES", 24)  # for each stack

    def runner() -> nights.Runner:
        return nights.Runner(asked, workspace.runs, case.width)

    with pytest.raises(KeyboardInterrupt):
        begin(asked, workspace, Overrides(), nights.Silent(stop_at=case.stop), write_report, runner=runner())
    monkeypatch.setattr("agent.loop.start_or_resume.session.open_runner", lambda *_: runner())
    resume(workspace, None, Overrides(), nights.Silent(), write_report)


def asked_of(case: Case, folder: Path) -> Study:
    kind = str((case.changes.get("scorer") or {}).get("kind")).strip('"')
    if kind in TASKS:
        write_task(folder, kind, QUESTIONS)
        return nights.study(folder, case.changes, task_prompts(folder, kind))
    return nights.study(folder, case.changes, [row for row in simulated_study.prompts() if case.prompts(row)])


@pytest.mark.parametrize("name", all_but(REPRESENTATIVE, CASES))
def test_a_supported_setting_goes_through_a_whole_night(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, workspace = CASES[name], Workspace(tmp_path / "night")
    resident = case.changes.get("runner", {}) == {"kind": '"resident"'}
    endpoint: AbstractContextManager[object] = nullcontext()
    if "judge" in str(case.changes.get("scorer")):
        (tmp_path / "study").mkdir()
        simulated_study.write_jsonl(tmp_path / "study" / "calibration.jsonl", judged.CALIBRATION)
        endpoint = judged.judge(tmp_path / "study", monkeypatch)
    assert resident == (not isinstance(endpoint, nullcontext))
    with endpoint:
        play(asked_of(case, tmp_path / "study"), workspace, case, monkeypatch)
        found = what_happened(workspace)
        assert found >= EVERYTHING - case.lacks, f"the night must have them: {found}"
        see(workspace)


def what_happened(workspace: Workspace) -> set[str]:
    """Statuses of its decisions, and "harvest" where rows were made."""
    with Ledger(workspace.ledger, read_only=True) as ledger:
        (session,) = ledger.sessions()
        row = ledger.session(session)
        assert row is not None
        assert row.finished
        proposals = {proposal.id for proposal in ledger.proposals()}
        assert {decision.id for decision in ledger.decisions("WHERE turn > 0")} == proposals, "nothing is left open"
        gathered = [check.data for check in ledger.checks(session, "harvest")]
        assert all("failure" not in data for data in gathered)
        harvest = {"harvest"} if any(data.get("dpo") for data in gathered) else set[str]()
        return {decision.status for decision in ledger.decisions()} | harvest


def see(workspace: Workspace) -> None:
    """Every view of the session, and of a decision of each status and reason, as text and as JSON."""
    record, status = load_record(workspace, None), session_status(workspace, None)
    assert (workspace.session(record.session.id) / "report.md").read_text(encoding="utf-8").startswith("# ")
    assert json.dumps(report_data(record))
    assert record.session.id in status_text(status)
    assert json.dumps(status)
    for decision in {(one.status, one.reason): one for one in record.decisions}.values():
        found = explain(workspace, decision.id)
        assert f"{decision.status} {decision.reason}" in explain_text(found)
        assert json.dumps(explain_data(found))


class Naming:
    """A proposer of another package: names the last value of a knob in its turns, or declines every time."""

    name = "naming"

    def __init__(self, declines: bool) -> None:
        self.declines, self.asked = declines, 0

    def propose(self, situation: Situation) -> Suggestion | Declined:
        self.asked += 1
        knob, values = next(iter(situation.moves.items()))
        if self.declines:
            return Declined(0.01, prompt_tokens=5)
        return Suggestion(knob, values[-1], "it may help", 0.1, self.name, prompt_tokens=7, completion_tokens=2)


@pytest.mark.parametrize(
    ("share", "declines"), all_but([(0.5, False), (1.0, True)], [(0.5, False), (1.0, False), (1.0, True)])
)
def test_a_proposer_of_another_package_names_changes_in_its_share_of_the_turns_or_declines(
    tmp_path: Path, share: float, declines: bool
) -> None:
    asked, workspace, naming = asked_of(Case({}), tmp_path / "study"), Workspace(tmp_path / "night"), Naming(declines)
    chain = Chain(naming, TpeProposer(), share, "proposer: naming")
    runner = nights.Runner(asked, workspace.runs)
    begin(asked, workspace, Overrides(), nights.Silent(), write_report, runner=runner, proposers=chain)
    assert what_happened(workspace) >= {"KEEP"}
    with Ledger(workspace.ledger, read_only=True) as ledger:
        proposals = ledger.proposals()
        named = [proposal for proposal in proposals if proposal.proposer == naming.name]
        first = len(ledger.checks(ledger.sessions()[0], "wave")[0].data["recipes"])
    assert bool(named) != declines
    assert {(row.prompt_tokens, row.completion_tokens) for row in named} <= {(7, 2)}
    carried = sum(row.prompt_tokens or 0 for row in proposals if row.proposer != naming.name)
    assert (carried > 0) == declines, "what was paid for nothing stands at the next proposal"
    assert naming.asked >= (first if declines else 3)
    see(workspace)


def test_one_prompt_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="one prompt gives no interval; add more"):
        asked_of(Case({"guards": None}, prompts=lambda row: row["id"].endswith("lists-0")), tmp_path).check_material()


def test_one_seed_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="two or more different numbers"):
        nights.study(tmp_path, {"probe": {"seeds": "[42]"}})


def test_a_target_that_is_a_guard_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="both target and guard"):
        nights.study(tmp_path, {"guards": {"lists": "1.0"}})
