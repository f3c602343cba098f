"""The speed of the packed engine on the bundled study, as ratios of processor time that are measured side by side.

    python -m bench.speed.engine [--adapters 8] [--steps 20] [--samples 4] [--turns 5] [--fresh 2]

It is compared with TRL, PEFT and transformers' generate (plain_probe.py) in two ways: a new process for each probe, as
most people would write it, and a warm process that already has the base and DPO's reference log probabilities. All use
one thread and the same scorer. A probe of the study has 60 steps; with 20, the fixed cost of a training weighs three
times as much. ``--fresh``: how many new processes are measured in all; their mean stands for each probe of the wave,
and 0 leaves them out. With the defaults, a turn takes about five minutes on one core.
"""

import argparse
import gc
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import torch

from agent.study.load import Study, load_study
from bench.speed import plain_probe
from common.parallel import one_thread
from labs.microcoder import build
from lanes import Recipe
from probes.generate.sampler import sample
from probes.inputs.rows.turns import plain
from probes.inputs.settings import MemorySettings
from probes.inputs.training_rows import order
from probes.model.adapter import adapted
from probes.model.joined_adapters import JoinedAdapters
from probes.model.load import Base, load_base
from probes.result.reading import Probe, Reading
from probes.run.execute import measure
from probes.run.workbench import Workbench
from probes.scoring import Answer
from probes.train import trl
from probes.train.job import Trained, TrainingJob
from probes.train.packed import engine
from probes.train.reference_store import NAME, ReferenceStore

STUDY = Path(__file__).parents[2] / "labs" / "microcoder" / "study.toml"
SEED = 42
WAVE: tuple[dict[str, object], ...] = (
    {},
    {"objective": "dpo"},
    {"learning_rate": 4e-4},
    {"lora_rank": 32},
    {"objective": "dpo", "learning_rate": 5e-5, "lora_dropout": 0.0},
    {"lora_dropout": 0.0},
    {"effective_batch": 16},
    {"beta": 0.25, "scheduler": "linear"},
)
"""The recipes of the wave: their changes to the study's starting recipe."""
Train = Callable[[Base, Sequence[TrainingJob], MemorySettings], Sequence[Trained | Exception]]


@dataclass(frozen=True, kw_only=True)
class SpeedRow:
    """A line of the table: processor seconds, or shares, of each turn. ``goal``: the goal of the ratio."""

    what: str
    against: str
    goal: str
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    faster: bool = True

    @property
    def ratio(self) -> float:
        """The median over turns: how many times as fast, or a share if ``faster`` is False."""
        pairs = zip(self.ours, self.theirs, strict=True)
        return statistics.median(b / a if self.faster else a / b for a, b in pairs)

    def text(self) -> str:
        mine, other = (statistics.median(each) for each in (self.ours, self.theirs))
        shown = f"{self.ratio:.2f}" if self.faster else f"{self.ratio:.1%}"
        return f"{self.what:<48}{mine:>10.3f}  {self.against:<46}{other:>10.3f}  {shown:>7}  {self.goal}"


class EngineTrial:
    """A smaller version of the study, its base, and a folder for output files."""

    def __init__(self, study: Study, folder: Path, adapters: int, steps: int, samples: int) -> None:
        settings = study.material.probe.model_copy(update={"steps": steps, "samples": samples})
        self.material = replace(study.material, probe=settings)
        self.recipes = [study.start.model_copy(update=changes) for changes in WAVE[:adapters]]
        self.folder, self._numbers = folder, count()
        self.base = load_base(self.material.model, self.material.folder, "none", "cpu")
        self.bench = Workbench(self.material, "cpu", {"none": self.base}, engine="packed")
        self.prompts = self.material.prompts_of("probe")
        self.store = ReferenceStore(folder / NAME, "bench")

    def new_folder(self) -> Path:
        found = self.folder / str(next(self._numbers))
        found.mkdir()
        return found

    def job(self, recipe: Recipe, references: ReferenceStore | None) -> TrainingJob:
        rows = order(recipe, self.material.sources, self.material.probe.steps * recipe.effective_batch, SEED)
        return TrainingJob(recipe, rows, SEED, self.new_folder(), lambda *_: None, references=references)

    def trained(self, train: Train, recipes: Sequence[Recipe], stored: bool = True) -> tuple[float, list[Trained]]:
        """Train these recipes: the seconds, and the trained adapters."""
        jobs = [self.job(recipe, self.store if stored else None) for recipe in recipes]
        with seconds() as spent:
            results = train(self.base, jobs, MemorySettings())
        done = [one for one in results if isinstance(one, Trained)]
        if failed := [one for one in results if not isinstance(one, Trained)]:
            raise SystemExit(f"the training failed: {failed[0]}")
        return spent[0], done

    def wave(self) -> tuple[float, list[Reading]]:
        """Seconds of a wave with the packed engine, everything included, and its readings."""
        number, key = next(self._numbers), self.material.key("bench")
        probes = [Probe(recipe, key, SEED) for recipe in self.recipes]
        with seconds() as spent:
            found = measure(self.bench, probes, lambda name: self.folder / f"{number}-{name}", lambda _: None)
            self.bench.close()
            self.bench.scorer = None
        if failed := [one for one in found if not isinstance(one, Reading)]:
            raise SystemExit(f"a probe failed: {failed[0]}")
        return spent[0], [one for one in found if isinstance(one, Reading)]

    def answered(self, adapters: Sequence[Path]) -> tuple[float, int]:
        """Seconds and tokens of the answers of all adapters, generated by nightlane."""
        questions = [self.base.renderer.question(prompt.asked) for prompt in self.prompts]
        sampling, tokens = self.bench.sampling(Probe(self.recipes[0], self.material.key("bench"), SEED)), 0
        with seconds() as spent:
            for adapter in adapters:
                with JoinedAdapters.on(self.base.model, [adapter]):
                    found = sample(self.base.model, self.base.renderer, questions, sampling)
                tokens += sum(one.tokens or 0 for own in found for one in own)
        return spent[0], tokens

    def generated(self, adapters: Sequence[Path]) -> tuple[float, int, list[list[list[str]]]]:
        """Seconds, tokens and texts of the answers of all adapters, generated by transformers' generate."""
        tokenizer, tokens, texts = self.base.renderer.tokenizer, 0, []
        prompts, job = [prompt.text for prompt in self.prompts], self.plain(self.recipes[0])
        side = tokenizer.padding_side
        with seconds() as spent:
            for adapter in adapters:
                with adapted(self.base, adapter) as model:
                    answers, number = plain_probe.answer(model, tokenizer, prompts, job)
                texts.append(answers)
                tokens += number
        tokenizer.padding_side = side
        return spent[0], tokens, texts

    def scored(self, answers: Sequence[Sequence[Sequence[str]]]) -> float:
        """Seconds to score the answers of all adapters."""
        with seconds() as spent:
            for each in answers:
                both = zip(self.prompts, each, strict=True)
                self.bench.open_scorer().score([Answer(prompt, text) for prompt, own in both for text in own])
            self.bench.close()
            self.bench.scorer = None
        return spent[0]

    def plain(self, recipe: Recipe) -> dict[str, Any]:
        """The job of plain_probe.py."""
        rows = order(recipe, self.material.sources, self.material.probe.steps * recipe.effective_batch, SEED)
        settings = self.material.probe
        return {
            **recipe.model_dump(mode="json"),
            "model": str(self.material.folder / self.material.model.path),
            "seed": SEED,
            "steps": settings.steps,
            "samples": settings.samples,
            "temperature": settings.temperature,
            "max_new_tokens": settings.max_new_tokens,
            "prompts": [prompt.text for prompt in self.prompts],
            "rows": [
                {"prompt": plain(row.prompt), "chosen": plain(row.chosen), "rejected": plain(row.rejected)}
                for row in rows
            ],
        }

    def fresh(self, recipe: Recipe) -> float:
        """Seconds of a probe by plain_probe.py in a new process, including the scoring of its answers."""
        path = self.new_folder() / "job.json"
        path.write_text(json.dumps(self.plain(recipe)), encoding="utf-8")
        command = [sys.executable, "-m", "bench.speed.plain_probe", str(path)]
        with seconds() as spent:
            subprocess.run(command, check=True, capture_output=True)
        return spent[0] + self.scored([json.loads((path.parent / "answers.json").read_text(encoding="utf-8"))])


@contextmanager
def seconds() -> Iterator[list[float]]:
    """The processor seconds of the block: of this process, and of child processes that end in it."""
    spent, began = [0.0], _spent()
    try:
        yield spent
    finally:
        spent[0] = _spent() - began


def _spent() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def rows_of(trial: EngineTrial, turns: int, fresh: int) -> list[SpeedRow]:
    number = len(trial.recipes)
    processes = SpeedRow(what=f"wave of {number} probes, packed", against="a TRL process per probe", goal=">= 12")
    warm = SpeedRow(what="the same", against="TRL in a warm process, generate", goal=">= 4")
    training = SpeedRow(what=f"training {number}, packed", against="TRL in a warm process", goal=">= 4")
    answering = SpeedRow(what="1,000 tokens of answers", against="transformers' generate", goal=">= 4")
    steps = SpeedRow(what="training with DPO, with the store", against="without it", goal="<= 75 %", faster=False)
    beside = SpeedRow(
        what="time outside training, generation, scoring", against="the whole", goal="<= 2 %", faster=False
    )
    products = SpeedRow(what="GFLOP/s of training", against="torch's products", goal=">= 50 %", faster=False)
    dpo = [recipe for recipe in trial.recipes if recipe.objective == "dpo"]
    alone = [trial.fresh(recipe) for recipe in trial.recipes[:fresh]]
    for train in (engine.train, trl.train):  # fills the store of references, and warms both up
        trial.trained(train, dpo[:1])
    for _ in range(turns):
        ours, readings = trial.wave()
        theirs, adapters = trial.trained(trl.train, trial.recipes)
        folders = [each.adapter for each in adapters]
        generating, generated, texts = trial.generated(folders)
        packed, _done = trial.trained(engine.train, trial.recipes)
        sampling, sampled = trial.answered(folders)
        training.ours.append(packed)
        training.theirs.append(theirs)
        answering.ours.append(1000 * sampling / sampled)
        answering.theirs.append(1000 * generating / generated)
        warm.ours.append(ours)
        warm.theirs.append(theirs + generating + trial.scored(texts))
        processes.ours.append(ours)
        processes.theirs.append(number * statistics.fmean(alone or [0.0]))
        steps.ours.append(trial.trained(engine.train, dpo)[0])
        steps.theirs.append(trial.trained(engine.train, dpo, stored=False)[0])
        beside.ours.append(sum(each.timing.other_share * each.timing.total for each in readings))
        beside.theirs.append(sum(each.timing.total for each in readings))
        tokens = sum(each.tokens for each in adapters)
        products.ours.append(work_per_token(trial.base) * tokens / packed / 1e9)
        products.theirs.append(peak_of_products(trial.base) / 1e9)
    return [*([processes] if alone else []), warm, training, answering, steps, beside, products]


def layers(base: Base) -> list[torch.nn.Linear]:
    return [module for module in base.model.get_decoder().modules() if isinstance(module, torch.nn.Linear)]


def work_per_token(base: Base, rank: int = 16) -> float:
    """Floating point operations per training token: forward and backward through the frozen layers and the head
    (without gradients of their weights), and the adapters with their gradients. Attention is left out."""
    frozen = sum(
        layer.in_features * layer.out_features for layer in [*layers(base), base.model.get_output_embeddings()]
    )
    adapters = sum(rank * (layer.in_features + layer.out_features) for layer in layers(base))
    return float(4 * frozen + 6 * adapters)


def peak_of_products(base: Base, tokens: int = 1600) -> float:
    """Floating point operations per second of torch's matrix products in the shapes of the frozen layers."""
    pairs = [(torch.randn(tokens, layer.weight.shape[1]), layer.weight.detach().T) for layer in layers(base)]
    best, work = float("inf"), sum(2 * tokens * weight.numel() for _, weight in pairs)
    outs = [torch.empty(tokens, weight.shape[1]) for _, weight in pairs]
    for _ in range(20):
        began = time.process_time()
        for (x, weight), out in zip(pairs, outs, strict=True):
            torch.mm(x, weight, out=out)
        best = min(best, time.process_time() - began)
    return work / best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("adapters", len(WAVE)), ("steps", 20), ("samples", 4), ("turns", 5), ("fresh", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    one_thread()
    torch.set_num_threads(1)
    build(STUDY.parent / "build", lambda what, share: None)
    study = load_study(STUDY)
    gc.freeze()  # as a worker does
    with tempfile.TemporaryDirectory() as folder:
        trial = EngineTrial(study, Path(folder), asked.adapters, asked.steps, asked.samples)
        rows = rows_of(trial, asked.turns, asked.fresh)
    print(f"processor seconds, medians of {asked.turns}; {asked.steps} steps, {asked.samples} samples")
    for row in rows:
        print(row.text())


if __name__ == "__main__":
    main()
