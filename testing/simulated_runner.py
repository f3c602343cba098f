"""The simulated runner makes readings from a world with known effects, so that a session takes seconds.

``[runner] kind = "simulated"`` uses the world below; bench/decisions has others.
"""

import json
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import NormalDist
from typing import Protocol, Self

from common.digests import digest_of
from lanes import Recipe
from probes.endpoint.spending import Allowance
from probes.inputs.material import Material
from probes.inputs.prompts import Prompt
from probes.inputs.settings import RunnerSettings
from probes.inputs.training_rows import unit
from probes.result.reading import Failure, Outcome, Probe, Reading, Score, Timing
from probes.run.protocol import Listener, OnOutcome, Progress, WorkerStatus, ignore_outcome
from probes.run.store import ProbeStore

CLIFF = 0.5


class World(Protocol):
    """The true scores of recipes, with noise."""

    @property
    def identity(self) -> str:
        """The digest of the world, in place of the base model's in the probe key."""

    def scores(self, probe: Probe, prompts: Sequence[Prompt]) -> Sequence[Sequence[float]] | None:
        """Scores from 0 to 10, [prompts][samples]; None if training diverges."""


@dataclass(frozen=True, kw_only=True)
class Hills:
    """A world with effects of the learning rate, beta, the share of the bad source and the order of the rows.

    ``prompt_noise``, ``seed_noise`` and ``sample_noise`` are standard deviations on the 0 to 10 scale; the noise is
    computed from hashes. ``sources``: the last one is the bad one.
    """

    sources: tuple[str, ...]
    best_log_rate: float = -3.0
    rate_curvature: float = 1.5
    beta_slope: float = 0.4
    bad_source: float = 2.0
    seed_noise: float = 0.15
    prompt_noise: float = 2.0
    sample_noise: float = 1.0

    @property
    def identity(self) -> str:
        return digest_of(["hills", str(self)])

    def true_effect(self, recipe: Recipe, category: str) -> float:
        """The expected score of a recipe in a category, before clipping to [0, 10]."""
        distance = math.log10(recipe.learning_rate) - self.best_log_rate
        effect = 8.0 - self.rate_curvature * distance**2
        effect += self.beta_slope * math.log2(recipe.beta / 0.1)
        effect -= self.bad_source * recipe.shares.get(self.sources[-1], 0.0) if len(self.sources) > 1 else 0.0
        effect += {"easy_first": 0.3, "hard_first": -0.3}.get(recipe.curriculum, 0.0)
        return effect + 1.5 * (unit("category", category) - 0.5)

    def scores(self, probe: Probe, prompts: Sequence[Prompt]) -> list[list[float]] | None:
        if probe.recipe.learning_rate > CLIFF:
            return None
        recipe, samples = probe.recipe, range(probe.key.samples)
        expected = {prompt.category: self.true_effect(recipe, prompt.category) for prompt in prompts}
        of_seed = self.seed_noise * _normal("seed", recipe.digest, probe.seed)
        answers = (recipe.digest, probe.seed, probe.key.steps, probe.key.split)  # not the id: any edit changes it

        def scores_of(prompt: Prompt) -> list[float]:
            level = expected[prompt.category] + self.prompt_noise * _normal("prompt", prompt.id) + of_seed
            noise = (self.sample_noise * _normal("sample", *answers, prompt.id, sample) for sample in samples)
            return [min(10.0, max(0.0, level + one)) for one in noise]

        return [scores_of(prompt) for prompt in prompts]


@dataclass(frozen=True)
class EffectWorld:
    """A world in which ``effect(recipe, split)`` is a recipe's effect on the score; None if its training diverges.

    The noise is normal with the same standard deviation for each seed and for each answer.
    """

    effect: Callable[[Recipe, str], float | None]
    noise: float = 0.1
    identity: str = "made for a test"

    def scores(self, probe: Probe, prompts: Sequence[Prompt]) -> list[list[float]] | None:
        effect = self.effect(probe.recipe, probe.key.split)
        if effect is None:
            return None
        chance = random.Random(f"{probe.recipe.digest} {probe.seed}")
        level = 5 + effect + chance.gauss(0, self.noise)
        return [[level + chance.gauss(0, self.noise) for _ in range(probe.key.samples)] for _ in prompts]


def open_simulated(material: Material, settings: RunnerSettings, runs: Path, quantization: str) -> "SimulatedRunner":
    """The runner of ``[runner] kind = "simulated"``, an entry point of nightlane.runners."""
    return SimulatedRunner(material, ProbeStore(runs), settings.simulated_seconds, width=settings.workers or 1)


class SimulatedRunner:
    """A Runner without a model. ``seconds`` is how long each probe pretends to take."""

    environment = "simulated"
    about = "scorer: simulated"

    def __init__(
        self, material: Material, store: ProbeStore, seconds: float = 0.0, world: World | None = None, width: int = 1
    ):
        self.material, self.store, self.seconds, self.width = material, store, seconds, width
        self.world = world or Hills(sources=tuple(material.data.sources))
        self._running: tuple[str, ...] = ()

    @property
    def workers(self) -> tuple[WorkerStatus, ...]:
        """The first of them runs the probes."""
        first = WorkerStatus(number=0, state="busy" if self._running else "idle", probes=self._running)
        return (first, *(WorkerStatus(number=number, state="idle") for number in range(1, self.width)))

    @property
    def base(self) -> str:
        return self.world.identity

    def run(
        self,
        batch: Sequence[Probe],
        listener: Listener,
        keep: OnOutcome = ignore_outcome,
        allowance: Allowance | None = None,
    ) -> list[Outcome]:
        outcomes = []
        for probe in batch:
            self._running = (probe.id,)
            outcomes.append(self._run_one(probe, listener))
            self._running = ()
            keep(probe, outcomes[-1])
        return outcomes

    def close(self) -> None:
        """Nothing is held open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run_one(self, probe: Probe, listener: Listener) -> Outcome:
        steps = probe.key.steps
        slices = 5
        for part in range(1, slices + 1):
            if self.seconds:
                time.sleep(self.seconds / slices)
            listener(Progress(probe.id, "training", steps * part // slices, steps, 3.0 / part))
        self.store.directory(probe.id).mkdir(parents=True, exist_ok=True)
        prompts = self.material.prompts_of(probe.key.split)
        found = self.world.scores(probe, prompts)
        if found is None:
            return Failure(probe.id, probe.seed, "diverged", f"loss is nan at step {steps // 2}")
        scores = tuple(
            Score(prompt.id, sample, prompt.category, round(float(value), 3), {}, outcome="SIMULATED")
            for prompt, own in zip(prompts, found, strict=True)
            for sample, value in enumerate(own)
        )
        listener(Progress(probe.id, "done", steps, steps))
        final: Mapping[str, float] = {"loss": 3.0 / slices, "token_accuracy": 0.8, "grad_norm": 1.0}
        timing = Timing(self.seconds * 0.8, self.seconds * 0.15, self.seconds * 0.05, self.seconds)
        tokens = steps * probe.recipe.effective_batch * 100
        return Reading(
            probe=probe.id,
            recipe=probe.recipe.digest,
            key=probe.key,
            seed=probe.seed,
            scores=scores,
            final=final,
            timing=timing,
            tokens=tokens,
            peak_gb=0.0,
        )


class AnsweringRunner(SimulatedRunner):
    """A simulated runner that also writes answers, as a model would, so that a session can harvest them."""

    base = None  # type: ignore[assignment]

    def _run_one(self, probe: Probe, listener: Listener) -> Outcome:
        outcome = super()._run_one(probe, listener)
        if isinstance(outcome, Reading):
            rows = [self.answer(probe, score) for score in outcome.scores]
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (self.store.directory(probe.id) / "answers.jsonl").write_text(text, encoding="utf-8")
            outcome = replace(outcome, cut=sum(row["finish_reason"] == "length" for row in rows))
        return outcome

    def answer(self, probe: Probe, score: Score) -> dict[str, object]:
        """A row of answers.jsonl."""
        return {
            "prompt": score.prompt,
            "sample": score.sample,
            "category": score.category,
            "score": score.value,
            "components": {"pass": score.value / 10},
            "critical": [],
            "outcome": score.outcome,
            "finish_reason": "stop",
            "text": f"{probe.recipe.curriculum} {score.sample} says {score.value}",
        }


def _normal(*parts: object) -> float:
    """A standard normal number that depends only on the arguments."""
    return NormalDist().inv_cdf(min(max(unit(*parts), 1e-12), 1 - 1e-12))
