"""Measures the packed engine on the bundled study: eight adapters, against the same eight one after the other with TRL
in a warm process. Ratios of processor time, medians of five.

    python -m bench.speed.packed

Each trains for 20 steps, so that a turn takes a minute; a probe of the study has 60.

It also compares what training computes in a second with what torch's matrix products of the same shapes do alone.
"""

import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import torch

from agent.study.load import Study, load_study
from common.parallel import one_thread
from labs.microcoder import build
from lanes import Recipe
from probes.inputs.settings import MemorySettings
from probes.inputs.training_rows import order
from probes.model.load import Base, load_base
from probes.train import trl
from probes.train.job import Trained, TrainingJob
from probes.train.packed import engine
from probes.train.reference_store import NAME, ReferenceStore

STUDY = Path(__file__).parents[2] / "labs" / "microcoder" / "study.toml"
STEPS, TURNS = 20, 5
WAVE: tuple[dict[str, object], ...] = (
    {},
    {"learning_rate": 4e-4},
    {"lora_rank": 32},
    {"lora_dropout": 0.0},
    {"objective": "dpo"},
    {"objective": "dpo", "learning_rate": 5e-5, "lora_dropout": 0.0},
    {"effective_batch": 16},
    {"beta": 0.25, "scheduler": "linear"},
)
"""What the recipes of the wave change in the study's."""
Engine = Callable[[Base, Sequence[TrainingJob], MemorySettings], Sequence[Trained | Exception]]


def main() -> None:
    one_thread()
    torch.set_num_threads(1)
    build(STUDY.parent / "build", lambda what, share: None)
    study = load_study(STUDY)
    gc.freeze()  # as a worker does
    base = load_base(study.material.model, study.material.folder, "none", "cpu")
    with tempfile.TemporaryDirectory() as name:
        folder, numbers = Path(name), count()

        def run(engine: Engine, recipes: Sequence[Recipe]) -> tuple[float, int]:
            """Processor seconds and tokens."""
            jobs = [job(study, recipe, folder / str(next(numbers)), folder / NAME) for recipe in recipes]
            began = time.process_time()
            done = engine(base, jobs, MemorySettings())
            seconds = time.process_time() - began
            if failed := [one for one in done if not isinstance(one, Trained)]:
                raise SystemExit(f"the training failed: {failed[0]}")
            return seconds, sum(one.tokens for one in done if isinstance(one, Trained))

        wave = [study.start.model_copy(update=changes) for changes in WAVE]
        for one in (engine.train, trl.train):  # fills the store of references, and warms both up
            run(one, wave)
        packed, alone = [], []
        for _ in range(TURNS):
            packed.append(run(engine.train, wave))
            alone.append(run(trl.train, wave))
    ratios = [slow / fast for (fast, _), (slow, _) in zip(packed, alone, strict=True)]
    ours, theirs = (statistics.median(seconds for seconds, _ in each) for each in (packed, alone))
    tokens = packed[0][1]
    print(f"eight adapters: {ours:.1f} s packed, {theirs:.1f} s by TRL, {statistics.median(ratios):.2f} times as fast")
    print(f"tokens a second: {tokens / ours:,.0f} packed, {tokens / theirs:,.0f} by TRL")
    done, peak = work_per_token(base) * tokens / ours, peak_of_products(base)
    print(f"matrix products: {done / 1e9:.1f} of {peak / 1e9:.1f} GFLOP/s, {done / peak:.0%} of torch's peak")


def job(study: Study, recipe: Recipe, folder: Path, references: Path) -> TrainingJob:
    folder.mkdir()
    rows = order(recipe, study.material.sources, STEPS * recipe.effective_batch, 42)
    store = ReferenceStore(references, "bench")
    return TrainingJob(recipe, rows, 42, folder, lambda *_: None, references=store)


def layers(base: Base) -> list[torch.nn.Linear]:
    return [module for module in base.model.get_decoder().modules() if isinstance(module, torch.nn.Linear)]


def work_per_token(base: Base) -> float:
    """Floating point operations of training: the frozen layers and the head, forward and backward by their inputs, and
    adapters of rank 16 with their gradients. Attention is left out."""
    frozen = sum(layer.weight.numel() for layer in [*layers(base), base.model.get_output_embeddings()])
    adapters = sum(16 * sum(layer.weight.shape) for layer in layers(base))
    return float(4 * frozen + 6 * adapters)


def peak_of_products(base: Base, tokens: int = 1600) -> float:
    """Floating point operations a second of torch's products of the frozen layers' shapes."""
    pairs = [(torch.randn(tokens, layer.weight.shape[1]), layer.weight.detach().T) for layer in layers(base)]
    best, work = float("inf"), sum(2 * tokens * weight.numel() for _, weight in pairs)
    outs = [torch.empty(tokens, weight.shape[1]) for _, weight in pairs]
    for _ in range(20):
        began = time.process_time()
        for (x, weight), out in zip(pairs, outs, strict=True):
            torch.mm(x, weight, out=out)
        best = min(best, time.process_time() - began)
    return work / best


if __name__ == "__main__":
    main()
