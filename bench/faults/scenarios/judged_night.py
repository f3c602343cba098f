"""A night under faults with a judge: a scripted endpoint answers over HTTP, in the process of the command."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.faults.injection.supervisor import ProcessResult
from bench.faults.scenarios.nights import by_order, night
from bench.faults.scenarios.scenario import Command, Run
from testing.scripted_endpoint.server import MODEL, ScriptedEndpoint
from testing.simulated_study import write_jsonl

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
_NIGHT = night("night with a judge", by_order, 16, more=SCORER, weight=2)


def _prepare(root: Path, run: Run) -> None:
    _NIGHT.prepare(root, run)
    (root / "study" / "rubric.toml").write_text(RUBRIC, encoding="utf-8")
    write_jsonl(root / "study" / "calibration.jsonl", CALIBRATION)


def _with_judge(root: Path, command: Command) -> Command:
    def judged() -> int:
        script = {"judge": "words", "known": str(root / "study" / "calibration.jsonl")}
        with ScriptedEndpoint([script]) as endpoint:
            for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_MODEL"):
                os.environ.pop(name, None)
            os.environ |= {"OPENAI_JUDGE_BASE_URL": endpoint.base_url, "OPENAI_JUDGE_MODEL": MODEL}
            return command()

    return judged


def _recover(root: Path, run: Run) -> Sequence[ProcessResult]:
    return _NIGHT.recover(root, lambda command, *more, **named: run(_with_judge(root, command), *more, **named))


JUDGED_NIGHT = replace(
    _NIGHT, prepare=_prepare, command=lambda root: _with_judge(root, _NIGHT.command(root)), recover=_recover
)
