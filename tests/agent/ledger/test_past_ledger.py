"""What a proposer was shown is found again in the ledger, whatever came later."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import tiny
from ledger_rows import SESSION, proposal, row
from worlds import runner_of, study_of

from agent.ledger.past_ledger import PastLedger
from agent.ledger.store import Ledger
from agent.ledger.tables import ProposalRow
from agent.loop.start_or_resume.session import Overrides, begin
from agent.proposers import Chain, Declined, Situation, Suggestion
from agent.proposers.context import Search
from agent.proposers.prompt import briefing
from agent.proposers.tpe import TpeProposer
from agent.study.load import Study, parse_study
from agent.workspace.folder import Workspace
from lanes import Recipe
from testing.simulated_runner import EffectWorld
from view.report.report import write_report
from view.terminal.live import watching


@dataclass
class Noting:
    """TPE, which keeps what it was shown and numbers its suggestions."""

    shown: list[Situation] = field(default_factory=list)
    name: str = "noting"

    def propose(self, situation: Situation) -> Suggestion | Declined:
        self.shown.append(replace(situation, history=list(situation.history)))  # while the ledger is open
        suggestion = TpeProposer().propose(situation)
        return replace(suggestion, hypothesis=str(len(self.shown) - 1), proposer=self.name)


def bumpy(recipe: Recipe, split: str) -> float:
    """Orders and rates that help, and some that harm."""
    order = {"easy_first": 0.6, "source_first": 0.3, "hard_first": -0.8}.get(recipe.curriculum, 0.0)
    return order + 0.4 * (recipe.learning_rate > 1e-4) - 2.0 * (recipe.learning_rate < 5e-5)


def night(study: Study, workspace: Path, seed: int) -> tuple[str, list[Situation]]:
    """A session's id, and the situations of its turns."""
    noting = Noting()
    with watching() as watcher:
        session = begin(
            study,
            Workspace(workspace),
            Overrides(),
            watcher,
            write_report,
            seed=seed,
            runner=runner_of(study, workspace, EffectWorld(bumpy, 0.05)),
            proposers=Chain(noting, TpeProposer(), 1.0, "proposer: noting"),
        )
    return session, noting.shown


def before_decisions(ledger: Ledger, session: str) -> Iterator[ProposalRow]:
    """The proposals of a session's first wave."""
    (first, *_) = ledger.checks(session, "wave")
    carried = {name for recipe in first.data["recipes"] for name in recipe["proposals"]}
    return (found for found in ledger.proposals("WHERE session = ?", (session,)) if found.id in carried)


@pytest.mark.long
def test_every_turn_of_the_first_waves_of_two_nights_is_found_as_it_was_shown(tmp_path: Path) -> None:
    study = study_of(tmp_path, "disguised = 0.0\nholdout_seeds = 2", "probes = 36")
    nights = [night(study, tmp_path, seed) for seed in (1, 2)]
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        first, second = (ledger.decisions("WHERE session = ? AND turn > 0", (name,)) for name, _ in nights)
        assert any(decision.status == "KEEP" for decision in first)
        assert second
        for session, shown in nights:
            stored = ledger.session(session)
            assert stored is not None
            asked = [found for found in before_decisions(ledger, session) if found.proposer == "noting"]
            assert len(asked) >= 4
            for made in asked:
                then = shown[int(made.hypothesis)]
                past = PastLedger(ledger, session, made.turn)
                search = Search(stored, parse_study(study.path, stored.study_text), past)
                found = search.situation(then.turn, then.incumbent, then.budget_left, then.expected)
                assert found is not None
                assert found.history == then.history
                assert found.moves == then.moves
                assert briefing(found) == briefing(then)
                assert past.decided == 0
        changes = [decision for decision in first if decision.row["lane"] != "calibration"]
        assert len(nights[1][1][0].history) == len(changes), "the first night's decisions are known in the second"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        opened.begin(SESSION, tiny.recipe())
        yield opened


def test_the_first_turn_against_an_incumbent_knows_what_led_to_it_and_what_was_never_decided(ledger: Ledger) -> None:
    """Turns 1 to 4 are against the first incumbent, and no reading tells of turn 3; turn 5 is against the next one."""
    for turn in range(1, 6):
        ledger.record_proposal(proposal(turn, parent="next" if turn == 5 else "first"), tiny.recipe(beta=0.2))
    ledger.record_decisions([(row(4), "kept"), (row(1), "worse"), (row(2), "overtaken")])
    ledger.record_decisions([(row(5), "later")])
    for turn, open_ones, decided in ((1, [], []), (2, [1], []), (5, [1, 2, 3, 4], ["s1-004", "s1-001", "s1-002"])):
        past = PastLedger(ledger, "s1", turn)
        assert [found.turn for found in past.proposals()] == open_ones
        assert [found.id for found in past.history("q", "k")] == decided
        assert past.decided == len(decided)
    ledger.record_decisions([(row(3), "at the end")])
    assert PastLedger(ledger, "s1", 5).decided == 3
