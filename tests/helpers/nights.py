"""Sessions of the simulated study, about a second each, for the tests of view."""

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

from numpy.random import Generator

from agent.ledger.tables import DecisionRow
from agent.loop.start_or_resume.session import Overrides, begin
from agent.policy.knob_effects import Place
from agent.policy.night import FEWEST_PAIRS, ConfirmStack, MeasureWave, NightState, Stop
from agent.policy.night_plan import NightPlan
from agent.policy.search_parts import SearchParts
from agent.policy.stack import Stack
from agent.study.load import Study, load_study
from agent.workspace.folder import Workspace
from lanes import Recipe
from probes.inputs.prompts import Prompt
from probes.inputs.training_rows import unit
from probes.result.reading import Probe, Score
from probes.run.protocol import Progress
from probes.run.store import ProbeStore
from testing import simulated_study
from testing.simulated_runner import AnsweringRunner, SimulatedRunner, World
from view.report.report import write_report

KNOBS = """learning_rate = { low = 1e-6, high = 0.9, factor = 2.0, reach = 4 }
beta = true
warmup = true
[lanes.mixture]
[lanes.curriculum]
"""


def variant(knobs: str = KNOBS, learning_rate: str = "1e-4", **budget: str) -> str:
    """The simulated study with these knobs and this start, and probes that pretend to take 10 ms."""
    text = simulated_study.STUDY.replace(KNOBS, knobs).replace(
        "learning_rate = 1e-4", f"learning_rate = {learning_rate}"
    )
    text = text.replace("[budget]\n", "[budget]\n" + "".join(f"{name} = {value}\n" for name, value in budget.items()))
    return f"{text}simulated_seconds = 0.01\n".replace("holdout_seeds = 0\n", "")


UPWARD = "learning_rate = { low = 1e-6, high = 1e-3, factor = 10.0, reach = 1 }\n"
STUDY = variant()
CLIMBING = variant(UPWARD, "1e-6")  # every move is a KEEP, whoever proposes


PLAIN = {
    "disguised": "0.0",
    "night_error": "0.05",
    "later_error": "0.2",
    "confirming_seeds": "8",
}


def governed(knobs: str, **policy: str) -> str:
    """The simulated study with these knobs and thresholds."""
    own = "".join(f"{name} = {value}\n" for name, value in {**PLAIN, **policy}.items())
    return variant(knobs).replace("[policy]\ndisguised = 0.0\n", f"[policy]\n{own}")


@dataclass(frozen=True)
class MeanWorld:
    """A world in which a function gives the mean score of a recipe by category and split."""

    mean: Callable[[Recipe, str, str], float]
    seed_noise: float = 0.1
    answer_noise: float = 0.5

    @property
    def identity(self) -> str:
        return "told"

    def scores(self, probe: Probe, prompts: Sequence[Prompt]) -> list[list[float]]:
        found = []
        for prompt in prompts:
            value = self.mean(probe.recipe, prompt.category, probe.key.split)
            value += self.seed_noise * _normal(probe.recipe.digest, probe.seed, prompt.category)
            answer = (probe.recipe.digest, probe.seed, probe.key.split, prompt.id)
            answers = range(probe.key.samples)
            found.append([value + self.answer_noise * _normal(*answer, sample) for sample in answers])
        return found


def _normal(*parts: object) -> float:
    return NormalDist().inv_cdf(min(max(unit(*parts), 1e-12), 1 - 1e-12))


TWO_KNOBS = """learning_rate = { choices = [1e-4, 4e-4] }
beta = { choices = [0.1, 0.2] }
"""


def moved(recipe: Recipe) -> tuple[bool, bool]:
    """Whether each of the two knobs has moved from its start."""
    return recipe.learning_rate > 1e-4, recipe.beta > 0.1


def _lying(recipe: Recipe, category: str, split: str) -> float:
    return 5.0 + sum(moved(recipe)) * (1.0 if split == "probe" else -1.0)


def _trap(recipe: Recipe, category: str, split: str) -> float:
    return 5.0 + sum(moved(recipe)) * (1.0 if category == "lists" else -2.0)


def _flat(recipe: Recipe, category: str, split: str) -> float:
    return 5.0


LOOSE = governed(KNOBS, member_chance="0.51", night_error="0.49", spend="0.5", disguised="0.5", holdout_seeds="0")
LYING = MeanWorld(_lying)  # effects on the holdout have the opposite sign
TRAP = MeanWorld(_trap)  # each change lowers the guard by more than its margin
FLAT = MeanWorld(_flat, seed_noise=0.6)  # nothing has an effect


def _overlapping(recipe: Recipe, category: str, split: str) -> float:
    return {(False, False): 4.0, (True, False): 5.4, (False, True): 6.5, (True, True): 5.9}[moved(recipe)]


def _helping(recipe: Recipe, category: str, split: str) -> float:
    return 5.0 + sum(moved(recipe)) * (1.0 if category == "lists" else -0.3)


@dataclass(frozen=True)
class Diverging:
    """A world in which some probes diverge."""

    world: World
    diverges: Callable[[Probe], bool]

    @property
    def identity(self) -> str:
        return self.world.identity

    def scores(self, probe: Probe, prompts: Sequence[Prompt]) -> Sequence[Sequence[float]] | None:
        return None if self.diverges(probe) else self.world.scores(probe, prompts)


OVERLAPPING = MeanWorld(_overlapping)  # the effects do not add up: one alone helps more than both
ADDING = MeanWorld(_helping)  # each knob helps, and the effects add up
HELPING = Diverging(ADDING, lambda probe: probe.recipe.learning_rate > 0.5)
FRAGILE = Diverging(ADDING, lambda probe: all(moved(probe.recipe)) and probe.seed not in (42, 123, 7))
MANY_KNOBS = """learning_rate = { choices = [1e-4, 4e-4, 6e-1] }
beta = { choices = [0.1, 0.2] }
warmup = { choices = [0.1, 0.2] }
[lanes.curriculum]
"""


Step = Callable[[NightState, Generator], MeasureWave | ConfirmStack | Stop]


def hasty(waves: int = 1, pairs: int = 6) -> Step:
    """A plan that replaces the product's: it confirms the best stack after ``waves`` waves, instead of when that pays
    most."""
    looked = 0

    def step(known: NightState, random: Generator) -> MeasureWave | ConfirmStack | Stop:
        nonlocal looked
        if known.left < 2 * FEWEST_PAIRS or looked > waves + 3:
            return Stop("too few probes are left, or no change is likely")
        stack = known.stack(known.policy.member_chance) if looked >= waves else None
        if stack is None:
            looked += 1
            first, size = not known.explored, min(known.wave, known.left)
            return MeasureWave(size, first, NightPlan(size, 0, 0.0, 0.0))
        looked = 0
        return ConfirmStack(stack, min(pairs, known.left // 2), NightPlan(0, pairs, stack.expected, 0.5))

    return step


def trying(*moves: tuple[str, Place], pairs: int = 4) -> Step:
    """A plan that confirms these changes one after the other after a first wave, whatever their expected effects. It
    depends only on the readings, so a resumed session makes the same plan."""

    def step(known: NightState, random: Generator) -> MeasureWave | ConfirmStack | Stop:
        if not known.explored:
            return MeasureWave(known.wave, True, NightPlan(known.wave, 0, 0.0, 0.0))
        for knob, place in moves:
            places = {**known.incumbent, knob: place}
            measured = sum(one.places == places for one in known.target)
            if places != known.incumbent and measured < FEWEST_PAIRS and known.left >= 2 * FEWEST_PAIRS:
                guards = dict.fromkeys(known.margins, (0.0, 1.0))
                stack = Stack(((knob, place),), places, 1.0, 1.0, guards, 1.0)
                return ConfirmStack(stack, pairs, NightPlan(0, pairs, 1.0, 0.5))
        return Stop("all were tried")

    return step


class Silent:
    """A watcher that prints nothing, and interrupts the session after the decision of a given turn, or before a given
    batch of probes, counted from 1."""

    def __init__(self, stop_after: int | None = None, stop_at: int | None = None) -> None:
        self.stop_after, self.stop_at, self.batches = stop_after, stop_at, 0

    def progress(self, progress: Progress) -> None: ...

    def note(self, text: str) -> None: ...

    def examining(self, done: int, total: int) -> None:
        """Nothing is examined."""

    def measuring(self, title: str, probes: Sequence[Probe]) -> None:
        self.batches += 1
        if self.batches == self.stop_at:
            raise KeyboardInterrupt

    def decided(self, decision: DecisionRow) -> None:
        if decision.turn == self.stop_after:
            raise KeyboardInterrupt


def prompts(per_category: int) -> list[dict[str, Any]]:
    return [
        {**row, "id": f"{row['id']}-{copy}", "prompt": f"{row['prompt']}# {copy}\n"}
        for row in simulated_study.prompts()
        for copy in range(per_category // 4)
    ]


def study(folder: Path, text: str = STUDY, per_category: int = 32) -> Study:
    path = simulated_study.write_study(folder / "study", text)
    simulated_study.write_jsonl(folder / "study" / "prompts.jsonl", prompts(per_category))
    return load_study(path)


def night(
    folder: Path,
    text: str = STUDY,
    per_category: int = 32,
    decisions: int | None = 4,
    stop_after: int | None = None,
    world: World | None = None,
    seed: int = 0,
    probes: int | None = None,
    step: Step | None = None,
) -> Workspace:
    """Run a session in ``folder``, in the default world or another one; returns its workspace. ``probes``: its budget,
    instead of one of decisions. ``step``: its plan, instead of the product's."""
    workspace = Workspace(folder / "workspace")
    if probes is not None:
        text, decisions = text.replace("decisions = 8\n", f"probes = {probes}\n"), None
    asked = study(folder, text, per_category)
    runner = SimulatedRunner(asked.material, ProbeStore(workspace.runs), world=world) if world else None
    try:
        begin(
            asked,
            workspace,
            Overrides(decisions=decisions),
            Silent(stop_after),
            write_report,
            seed=seed,
            runner=runner,
            parts=SearchParts(next_step=step) if step else None,
        )
    except KeyboardInterrupt:
        assert stop_after is not None
    return workspace


class CuttingRunner(AnsweringRunner):
    """If beta has moved, the first answer to each prompt is cut off at max_new_tokens."""

    def answer(self, probe: Probe, score: Score) -> dict[str, object]:
        cut = moved(probe.recipe)[1] and score.sample == 0
        return super().answer(probe, score) | ({"finish_reason": "length"} if cut else {})


def cutting(folder: Path, text: Callable[[Probe, Score], str] | None = None) -> Workspace:
    """A night with a KEEP whose answers are cut off more often than the incumbent's. ``text``: gives an answer's
    text."""

    class Runner(CuttingRunner):
        def answer(self, probe: Probe, score: Score) -> dict[str, object]:
            return super().answer(probe, score) | ({"text": text(probe, score)} if text else {})

    workspace = Workspace(folder / "workspace")
    asked = study(folder, governed(TWO_KNOBS, member_chance="0.52").replace("decisions = 8\n", "probes = 40\n"))
    runner, parts = Runner(asked.material, ProbeStore(workspace.runs), world=ADDING), SearchParts(next_step=hasty())
    begin(asked, workspace, Overrides(), Silent(), write_report, runner=runner, parts=parts)
    return workspace


def older(workspace: Workspace) -> None:
    """Turn the ledger into one of an older version, which lacks the basis of decisions, the proposers' tokens, checks
    and checksums, and whose study has keys that no longer exist."""
    database = sqlite3.connect(workspace.ledger)
    with database:
        database.execute("DROP TABLE row_digests")
        database.execute("ALTER TABLE decisions DROP COLUMN course")
        for name in ("prompt_tokens", "completion_tokens"):
            database.execute(f"ALTER TABLE proposals DROP COLUMN {name}")
        database.execute("DROP TABLE checks")
        policy = json.dumps(
            {"confidence": 0.95, "smallest_effect": 0.0, "target": "lists", "guards": {"arithmetic": 1.5}}
        )
        database.execute("UPDATE decisions SET policy = ?", (policy,))
        database.execute("DELETE FROM decisions WHERE status = 'RETRACT'")
        text = "replace(study_text, '[policy]', '[policy]\nsurvey = 60\nhopeless = 0.25')"
        database.execute(f"UPDATE sessions SET study_text = {text}")
    database.close()
