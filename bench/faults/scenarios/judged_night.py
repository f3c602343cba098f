"""Nights under faults with a judge: a scripted endpoint answers over HTTP, in the process of the command."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.faults.injection.supervisor import ProcessResult
from bench.faults.scenarios.nights import PLAIN, by_order, night
from bench.faults.scenarios.nights import observe as observe_night
from bench.faults.scenarios.observe import Observed, lines_of
from bench.faults.scenarios.scenario import Command, Run, Scenario
from probes.result.reading import Probe, Score
from testing.scripted_endpoint.server import MODEL, ScriptedEndpoint
from testing.simulated_runner import AnsweringRunner, SimulatedRunner
from testing.simulated_study import write_jsonl

NO_HARVEST = "[harvest]\nprompts = 0\n"
SCORER = '[scorer]\nkind = "judge"\ncalibration = "calibration.jsonl"\n'
RUBRIC = """
component = [{ name = "voice", weight = 3, definition = "v" }, { name = "sense", weight = 1, definition = "s" }]
critical = [{ name = "empty", definition = "nothing", cap = 0 }]
"""
CALIBRATION: list[dict[str, Any]] = [
    {"id": "good", "category": "arithmetic", "prompt": "Why?", "answer": "Since it is so.", "low": 7, "high": 10},
    {"id": "bad", "category": "arithmetic", "prompt": "Why?", "answer": "Dunno.", "low": 0, "high": 4},
    {"id": "middling", "category": "lists", "prompt": "How?", "answer": "Somehow, I think.", "low": 3, "high": 7},
]


class WordyRunner(AnsweringRunner):
    """Answers with a higher score have more distinct words, because the scripted judge prefers many words."""

    def answer(self, probe: Probe, score: Score) -> dict[str, object]:
        name = probe.recipe.digest[:4]
        words = " ".join(f"{name}word{number}" for number in range(round(4 * score.value)))
        return {**super().answer(probe, score), "text": words}


def _judged(name: str, probes: int, scorer: str, runner: type[SimulatedRunner], weight: int) -> Scenario:
    """A night of the simulated runner with a real judge, which a study with ``kind = "simulated"`` would not have."""
    scenario = night(
        name,
        by_order,
        probes=probes,
        policy=f"{PLAIN}must_see = 10.0\n",
        more=scorer + NO_HARVEST,
        runner=runner,
        weight=weight,
    )

    def prepare(root: Path, run: Run) -> None:
        scenario.prepare(root, run)
        study = root / "study" / "study.toml"
        text = study.read_text(encoding="utf-8").replace('kind = "simulated"', 'kind = "resident"\nworkers = 1')
        text = text.replace('path = "none"', 'path = "nobody/model"').replace("samples = 2", "samples = 1")
        study.write_text(text, encoding="utf-8")
        (root / "study" / "rubric.toml").write_text(RUBRIC, encoding="utf-8")
        write_jsonl(root / "study" / "calibration.jsonl", CALIBRATION)

    def recover(root: Path, run: Run) -> Sequence[ProcessResult]:
        return scenario.recover(root, lambda command, *more, **named: run(_with_judge(root, command), *more, **named))

    return replace(
        scenario,
        prepare=prepare,
        command=lambda root: _with_judge(root, scenario.command(root)),
        recover=recover,
        observe=_observe,
    )


def _with_judge(root: Path, command: Command) -> Command:
    def judged() -> int:
        script = {"judge": "words", "known": str(root / "study" / "calibration.jsonl")}
        with ScriptedEndpoint([script]) as endpoint:
            for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_MODEL"):
                os.environ.pop(name, None)
            os.environ |= {"OPENAI_JUDGE_BASE_URL": endpoint.base_url, "OPENAI_JUDGE_MODEL": MODEL}
            return command()

    return judged


def _observe(root: Path) -> Observed:
    """What a night leaves, and what its judge chose."""
    choices = {
        f"choices {path.name}": lines_of(path) for path in sorted((root / "runs").glob("session-*/choices-*.json"))
    }
    return {**observe_night(root), **choices}


JUDGED_NIGHTS = (
    _judged("night with a judge", 16, SCORER, SimulatedRunner, weight=2),
    _judged("night of choices", 18, f"{SCORER}pairwise = true\n", WordyRunner, weight=4),
)
