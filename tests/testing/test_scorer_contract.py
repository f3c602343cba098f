"""nightlane's own scorers keep the contract that is shipped for those of others."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import judging
import pytest

from probes.inputs.prompts import Prompt
from probes.inputs.settings import ScorerSettings
from probes.scoring import Answer, Scorer
from probes.scoring.execution.scorer import ExecutionScorer, ExecutionSettings
from probes.scoring.function import FunctionScorer, FunctionSettings
from probes.scoring.judge.scorer import JudgeScorer
from probes.scoring.judge.settings import JudgeSettings
from probes.scoring.rules import ruleset
from probes.scoring.rules.scorer import RulesScorer, RulesSettings
from testing.contracts import ScorerContract
from testing.scripted_endpoint.server import MODEL, ScriptedEndpoint

PROMPT = Prompt("p", "probe", "voice", 1, "Who are you?", {})
WORDS = '[[rule]]\nname = "short"\nkind = "words"\nweight = 1\nhigh = 3\n'
ENDLESS = '[[rule]]\nname = "endless"\nkind = "pattern"\nweight = 1\nat_most = 0\npattern = "^(a|aa)+$"\n'


class TestExecution(ScorerContract):
    scorer = ExecutionScorer
    checks: dict[str, object] = {"entry_point": "double", "cases": [{"args": [2], "expected": 4}]}  # noqa: RUF012

    def settings(self, folder: Path) -> ScorerSettings:
        return ExecutionSettings(seconds=0.5)

    def other_settings(self, folder: Path) -> ScorerSettings:
        return ExecutionSettings(seconds=1.0)

    def answers(self) -> Sequence[Answer]:
        texts = ("def double(x): return 2 * x", "def double(x): return x", "def double(x): return x[0]")
        return [Answer(Prompt("p", "probe", "a", 1, "", self.checks), text) for text in texts]

    def broken(self, folder: Path) -> tuple[Scorer, Sequence[Answer]]:
        tests = {"entry_point": "double", "setup": "import no_such_module", "tests": ["assert double(2) == 4"]}
        answer = Answer(Prompt("q", "probe", "a", 1, "", tests), "def double(x): return 2 * x")
        return ExecutionScorer(ExecutionSettings(seconds=0.5)), [answer]


class TestRules(ScorerContract):
    scorer = RulesScorer

    def settings(self, folder: Path) -> ScorerSettings:
        (folder / "rules.toml").write_text(WORDS, encoding="utf-8")
        return RulesSettings()

    def other_settings(self, folder: Path) -> ScorerSettings:
        (folder / "other.toml").write_text(WORDS.replace("3", "4"), encoding="utf-8")
        return RulesSettings(rules="other.toml")

    def answers(self) -> Sequence[Answer]:
        return [Answer(PROMPT, text) for text in ("the light", "the light is mine and yours")]

    @pytest.fixture(autouse=True)
    def _short_wait(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ruleset, "MATCH_SECONDS", 0.2)

    def broken(self, folder: Path) -> tuple[Scorer, Sequence[Answer]]:
        (folder / "endless.toml").write_text(ENDLESS, encoding="utf-8")
        return RulesScorer(RulesSettings(rules="endless.toml"), folder), [Answer(PROMPT, "a" * 60 + "b")]


class TestFunction(ScorerContract):
    scorer = FunctionScorer

    def settings(self, folder: Path) -> ScorerSettings:
        text = "def words(prompt, answer, category, checks): return min(10, len(answer.split()))\n"
        (folder / "own.py").write_text(text, encoding="utf-8")
        return FunctionSettings(function="own.py:words")

    def other_settings(self, folder: Path) -> ScorerSettings:
        (folder / "other.py").write_text("def letters(prompt, answer, category, checks): return 1\n", encoding="utf-8")
        return FunctionSettings(function="other.py:letters")

    def answers(self) -> Sequence[Answer]:
        return [Answer(PROMPT, text) for text in ("the light", "the light is mine")]

    def broken(self, folder: Path) -> tuple[Scorer, Sequence[Answer]]:
        text = "def words(prompt, answer, category, checks): raise KeyError(answer)\n"
        (folder / "raising.py").write_text(text, encoding="utf-8")
        return FunctionScorer(FunctionSettings(function="raising.py:words"), folder), self.answers()


class TestJudge(ScorerContract):
    """At an endpoint that computes its judgements from what it is asked."""

    scorer = JudgeScorer

    @pytest.fixture(autouse=True)
    def _endpoint(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        with ScriptedEndpoint([{"judge": "words"}]) as endpoint:
            for name, value in endpoint.environment.items():
                monkeypatch.setenv(name, value)
            yield

    def settings(self, folder: Path) -> ScorerSettings:
        judging.write_rubric(folder)
        return JudgeSettings(model=MODEL)

    def other_settings(self, folder: Path) -> ScorerSettings:
        return JudgeSettings(model=MODEL, passes=2)

    def answers(self) -> Sequence[Answer]:
        return judging.answers("the light", "the light is mine, and the sea around it is nobody's but the wind's")

    def broken(self, folder: Path) -> tuple[Scorer, Sequence[Answer]]:
        judging.write_rubric(folder)
        with ScriptedEndpoint([{"content": "I would give this an eight."}] * 9) as endpoint:
            settings = JudgeSettings(model=MODEL, patience=0.1, cache="broken")
            return JudgeScorer(settings, folder, endpoint.environment), self.answers()
