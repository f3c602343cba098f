"""Small nights of any study; the simulated runner also writes answers, as for a real model.

Three changes decide the night: ``learning_rate`` to 1e-4 helps, ``beta`` to 0.2 helps and is contradicted when it is
left out at the end, and ``learning_rate`` to 0.6 diverges. The orders of the curriculum do nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import judged
from nights import Silent as Silent

from agent.loop.seeds import Seeds
from agent.study.load import Study, load_study
from lanes import Recipe
from probes.inputs.prompts import Prompt
from probes.inputs.training_rows import unit
from probes.result.reading import Outcome, Probe, Reading, Score, Timing
from probes.run.protocol import Listener
from probes.run.store import ProbeStore
from testing import simulated_study
from testing.simulated_runner import AnsweringRunner

Sections = Mapping[str, Mapping[str, str | None] | None]
"""Sections of a study file that replace the usual ones: key -> value in TOML; None omits the section, or the key."""
USUAL: Sections = {
    "model": {"path": '"nobody/model"'},
    "recipe": {"learning_rate": "4e-4", "effective_batch": "4", "mixture": '"even"'},
    "data.sources": {"good": '"good.jsonl"'},
    "data.manifests.even": {"good": "1.0"},
    "prompts": {"file": '"prompts.jsonl"'},
    "target": {"category": '"lists"'},
    "guards": {"arithmetic": "1.5"},
    "probe": {"steps": "20", "seeds": "[42, 123]", "samples": "2"},
    "harvest": {"prompts": "2", "samples": "2", "margin": "0.5"},
    "lanes.hyperparameters": {
        "share": "3.0",
        "learning_rate": "{ choices = [1e-4, 4e-4, 0.6] }",
        "beta": "{ choices = [0.1, 0.2] }",
    },
    "lanes.curriculum": {},
    "policy": {"disguised": "0.0", "must_see": "10.0", "confirming_seeds": "4", "holdout_seeds": "2"},
    "budget": {"probes": "60", "disk_gb": "0"},
    "runner": {"kind": '"simulated"'},
}


def toml(changes: Sections) -> str:
    lines = ['name = "settings"']
    for name in {**USUAL, **changes}:
        own = changes.get(name, {})
        if own is not None:
            keys = {**(USUAL.get(name) or {}), **own}
            lines += [f"[{name}]", *(f"{key} = {value}" for key, value in keys.items() if value is not None)]
    return "\n".join(lines) + "\n"


def study(folder: Path, changes: Sections, prompts: Sequence[dict[str, Any]] | None = None) -> Study:
    """Write a study with the files that any scorer needs."""
    simulated_study.write_data(folder)
    if prompts is not None:
        simulated_study.write_jsonl(folder / "prompts.jsonl", list(prompts))
    simulated_study.write_jsonl(folder / "calibration.jsonl", judged.CALIBRATION)
    (folder / "rubric.toml").write_text(judged.RUBRIC, encoding="utf-8")
    (folder / "rules.toml").write_text(
        '[[rule]]\nname = "short"\nweight = 1\nkind = "words"\nlow = 1\nhigh = 90\n', encoding="utf-8"
    )
    (folder / "own.py").write_text("def score(prompt, answer, category, checks):\n    return 5.0\n", encoding="utf-8")
    (folder / "study.toml").write_text(toml(changes), encoding="utf-8")
    return load_study(folder / "study.toml")


@dataclass(frozen=True)
class World:
    """A world in which the re-tests at the end, which have the seeds ``again``, show that a change of the knob
    ``denied`` is harmful."""

    again: frozenset[int]
    denied: str
    gain: float = 1.5
    identity = "of settings"

    def scores(self, probe: Probe, prompts: Sequence[Prompt]) -> list[list[float]] | None:
        if probe.recipe.learning_rate > 0.5:
            return None
        level = 3.5 + sum(self._worth(probe, name) for name in ("learning_rate", "beta") if _moved(probe.recipe, name))
        luck = (probe.recipe.learning_rate, probe.recipe.beta, probe.recipe.curriculum, probe.seed, probe.key.split)
        level += 0.2 * unit(*luck)
        return [[level + 0.4 * unit(*luck, p.id, sample) for sample in range(probe.key.samples)] for p in prompts]

    def _worth(self, probe: Probe, knob: str) -> float:
        return -6.0 if probe.seed in self.again and knob == self.denied else self.gain


def _moved(recipe: Recipe, knob: str) -> bool:
    return recipe.learning_rate < 4e-4 if knob == "learning_rate" else recipe.beta > 0.1


class Runner(AnsweringRunner):
    """Writes answers with so many different words that the tests' judge gives them about the simulated score."""

    def __init__(self, asked: Study, runs: Path, width: int = 1, denied: str = "beta") -> None:
        again = frozenset(islice(Seeds(asked.file.probe.seeds, 0, 0).leave_one_out(), 20))
        super().__init__(asked.material, ProbeStore(runs), world=World(again, denied), width=width)

    def _run_one(self, probe: Probe, listener: Listener) -> Outcome:
        outcome = super()._run_one(probe, listener)
        return replace(outcome, timing=Timing(8.0, 1.5, 0.5, 10.0)) if isinstance(outcome, Reading) else outcome

    def answer(self, probe: Probe, score: Score) -> dict[str, object]:
        name = f"{probe.recipe.digest[:4]}{score.sample}"
        words = " ".join(f"{name}word{n}" for n in range(round(4 * score.value)))
        return {**super().answer(probe, score), "components": {}, "text": words}
