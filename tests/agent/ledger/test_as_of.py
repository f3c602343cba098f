"""What a proposer was shown is found again in the ledger, whatever came later."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from worlds import runner_of, study_of

from agent.ledger.as_of import PastLedger
from agent.ledger.store import Ledger
from agent.ledger.tables import SessionRow
from agent.loop.begin_or_resume import Overrides, begin
from agent.proposers import Chain, Declined, Proposer, Situation, Suggestion
from agent.proposers.context import Search
from agent.proposers.prompt import briefing
from agent.proposers.thompson import ThompsonProposer
from agent.proposers.tpe import TpeProposer
from agent.study.load import Study, parse_study
from agent.workspace.folder import Workspace
from lanes import Recipe
from testing.simulated_runner import EffectWorld
from view.report.report import write_report
from view.terminal.live import watching


@dataclass
class Noting:
    """A proposer that keeps what it was shown."""

    asked: Proposer
    shown: list[Situation] = field(default_factory=list)
    name: str = "noting"

    def propose(self, situation: Situation) -> Suggestion | Declined:
        self.shown.append(replace(situation, history=list(situation.history)))  # while the ledger is open
        return self.asked.propose(situation)


def night(study: Study, workspace: Path, world: EffectWorld, seed: int) -> tuple[str, list[Situation]]:
    """A session's id, and the situations of its turns."""
    noting = Noting(ThompsonProposer(TpeProposer()))
    with watching() as watcher:
        session = begin(
            study,
            Workspace(workspace),
            Overrides(),
            watcher,
            write_report,
            seed=seed,
            runner=runner_of(study, workspace, world),
            proposers=Chain(None, noting, 0.0, "proposer: noting"),
        )
    return session, noting.shown


def row_of(ledger: Ledger, session: str) -> SessionRow:
    row = ledger.session(session)
    assert row is not None
    return row


def bumpy(recipe: Recipe, split: str) -> float:
    """Orders and rates that help, and some that harm."""
    order = {"easy_first": 0.6, "source_first": 0.3, "hard_first": -0.8}.get(recipe.curriculum, 0.0)
    return order + 0.4 * (recipe.learning_rate > 1e-4) - 2.0 * (recipe.learning_rate < 5e-5)


@pytest.mark.parametrize(
    ("policy", "surveyed"),
    [("disguised = 0.2\nholdout_seeds = 2", False), ("disguised = 0.0\nsurvey = 30\nplateau = 5", True)],
)
def test_every_turn_of_two_nights_is_found_as_it_was_shown(tmp_path: Path, policy: str, surveyed: bool) -> None:
    study = study_of(tmp_path, policy, "decisions = 16")
    nights = [night(study, tmp_path, EffectWorld(bumpy, 0.2), seed) for seed in (1, 2)]
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        assert ledger.decisions("WHERE status = 'KEEP'")
        assert bool(ledger.checks(nights[0][0], "survey")) is surveyed
        for session, shown in nights:
            assert len(shown) >= 8
            row = row_of(ledger, session)
            for then in shown:
                search = Search(row, parse_study(study.path, row.study_text), PastLedger(ledger, session, then.turn))
                found = search.situation(then.turn, then.incumbent, then.budget_left)
                assert found is not None
                assert found.history == then.history
                assert found.response == then.response
                assert briefing(found) == briefing(then)
        last = nights[1][1][-1]
        assert len(last.history) > 16, "the first night's decisions are known in the second"


def test_a_survey_that_a_later_session_took_is_not_known_before(tmp_path: Path) -> None:
    short = study_of(tmp_path, "disguised = 0.0\nholdout_seeds = 0\nsurvey = 0", "decisions = 2")
    world = EffectWorld(bumpy, 0.2)
    first, (then, *_) = night(short, tmp_path, world, 1)
    with Ledger(tmp_path / "runs" / "ledger.sqlite") as ledger:
        row = row_of(ledger, first)
        surveyed = next(check for check in ledger.checks(first) if check.kind == "surveyed")
        assert surveyed.subject == first
        assert PastLedger(ledger, first, 1).survey_session(row.question, row.key) == first
        assert not ledger.checks(first, "survey")
        ledger.begin(SessionRow(**{**vars(row), "id": "later"}), short.start)
        moves = [{"knob": "beta", "before": 0.1, "after": 0.15}]
        data = {
            "wave": 0,
            "seed": 1,
            "moves": moves,
            "differences": {"lists": [0.5, 0.01], "arithmetic": [0.5, 0.01]},
            "freedom": {"lists": 2.0, "arithmetic": 2.0},
            "failure": None,
        }
        ledger.record_checks(replace(surveyed, session="later", kind="survey", subject="1.1", data=data))
        ledger.record_checks(replace(surveyed, session="later", subject="later", data={"rows": []}))
        assert ledger.survey_session(row.question, row.key) == "later"
        found = Search(row, short, PastLedger(ledger, first, 1)).situation(1, then.incumbent, then.budget_left)
        now = Search(row, short, ledger).situation(1, then.incumbent, then.budget_left)
    assert found is not None
    assert now is not None
    assert briefing(found) == briefing(then)
    assert "beta" in now.response.moved
    assert found.response.seen == ()
