"""Each entry-point group, with a package that is really installed on the path."""

import importlib
import sys
from pathlib import Path

import pytest
import situations
import tiny

from agent.proposers import ProposerSettings, Suggestion, choose
from bench.decisions.play import families, policies
from common.errors import BadInput
from probes.inputs.prompts import Prompt
from probes.inputs.settings import RunnerSettings
from probes.run.runners import open_runner
from probes.scoring import Answer, Mark, scorer_class, scorer_settings
from testing import simulated_study

MODULE = """
from agent.proposers import Proposer, Suggestion
from probes.inputs.settings import ScorerSettings
from probes.scoring import Mark
from testing.simulated_runner import SimulatedRunner, open_simulated


class PoliteSettings(ScorerSettings):
    kind: str = "polite"
    word: str = "please"


class PoliteScorer:
    kind = "polite"
    Settings = PoliteSettings
    about = "polite"

    def __init__(self, settings, folder):
        self.word = settings.word

    @staticmethod
    def check(settings, folder, prompts): ...

    @staticmethod
    def files(settings, folder):
        return ()

    @staticmethod
    def examiner(settings, folder):
        return None

    def score(self, answers, context=None):
        return [Mark(10.0 if self.word in answer.text else 0.0) for answer in answers]

    def close(self): ...


class FirstMove:
    name = "first_move"

    def propose(self, situation):
        knob, values = next(iter(situation.moves.items()))
        return Suggestion(knob, values[0], "the first there is", None, self.name)


def open_first_move(settings, environment, note):
    return FirstMove()


def warm(number):
    return None


class Patient:
    name = "patient"

    def play(self, night): ...
"""
ENTRY_POINTS = """
[nightlane.scorers]
polite = their_parts:PoliteScorer
[nightlane.proposers]
first_move = their_parts:open_first_move
[nightlane.runners]
their_runner = their_parts:open_simulated
[nightlane.landscapes]
warm = their_parts:warm
[nightlane.policies]
patient = their_parts:Patient
"""


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of somebody else, as pip leaves one."""
    site = tmp_path / "site"
    metadata = site / "their_parts-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "their_parts.py").write_text(MODULE, encoding="utf-8")
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: their-parts\nVersion: 1.0\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS, encoding="utf-8")
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, "their_parts", raising=False)
    importlib.invalidate_caches()


def test_a_study_uses_an_installed_scorer(tmp_path: Path) -> None:
    settings = scorer_settings({"kind": "polite", "word": "thanks"})
    scorer = scorer_class("polite")(settings, tmp_path)
    assert scorer.score([Answer(Prompt("p", "probe", "c", 1, "?", {}), "thanks")]) == [Mark(10.0)]


def test_a_study_uses_an_installed_proposer() -> None:
    chain = choose(ProposerSettings(kind="first_move"), {}, print)
    assert chain.is_turn_of_first(1)
    found = chain.ask_first(situations.situation())
    assert isinstance(found, Suggestion)
    assert (found.proposer, chain.description) == ("first_move", "proposer: first_move, then optuna")


def test_a_study_uses_an_installed_runner(tmp_path: Path) -> None:
    simulated_study.write_data(tmp_path)
    with open_runner(tiny.material(tmp_path), RunnerSettings(kind="their_runner"), tmp_path, "none") as runner:
        assert runner.environment == "simulated"


def test_the_benchmark_plays_installed_landscapes_and_policies() -> None:
    assert "warm" in families()
    assert "patient" in policies()


def test_an_unknown_kind_is_refused_with_the_nearest_installed_one() -> None:
    with pytest.raises(BadInput, match="kind='polit' is not a scorer; did you mean 'polite'"):
        scorer_class("polit")
    with pytest.raises(ValueError, match="kind='first_mov' is not a proposer; did you mean 'first_move'"):
        ProposerSettings(kind="first_mov")
    with pytest.raises(ValueError, match="kind='optunna' is not a proposer; did you mean 'optuna'"):
        ProposerSettings(kind="optunna")
    with pytest.raises(ValueError, match="kind='their_runer' is not a runner; did you mean 'their_runner'"):
        RunnerSettings(kind="their_runer")
