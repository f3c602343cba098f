"""Compares the estimate of a probe's peak memory with the peak that a worker's process measures.

    python -m bench.memory MODEL [--only 1,4]     a row per setting; MODEL is a folder, its weights may be random

Each setting runs in a process of its own: two optimizer steps, then answers. Figures are GiB, as in peak_gb.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from lanes import Recipe
from probes.inputs.settings import MemorySettings, ModelSettings
from probes.inputs.training_rows import TrainingRow

if TYPE_CHECKING:
    from probes.model.load import Base
    from probes.rendering.renderer import RenderedPrompt

ANSWERS, NEW_TOKENS, SEED = 16, 16, 1


@dataclass(frozen=True)
class Setting:
    objective: str
    rows: int
    words: int
    quantization: str = "none"
    dtype: str = "float32"
    checkpointing: bool = False

    @property
    def recipe(self) -> Recipe:
        return Recipe.model_validate(
            {
                "objective": self.objective,
                "effective_batch": self.rows,
                "quantization": self.quantization,
                "mixture": {"rows": 1.0},
            }
        )


SETTINGS = (
    Setting("orpo", 1, 100),
    Setting("orpo", 4, 100),
    Setting("dpo", 4, 100),
    Setting("orpo", 4, 100, checkpointing=True),
    Setting("dpo", 2, 200),
    Setting("dpo", 4, 100, dtype="bfloat16"),
    Setting("orpo", 2, 100, quantization="nf4"),
    Setting("dpo", 2, 100, quantization="nf4"),
)


def measured(model: Path, setting: Setting) -> dict[str, Any]:
    """GiB, measured in this process: the estimate, the peak, and the memory in use before the model is loaded."""
    import torch  # noqa: F401, part of the process before the model
    from transformers import AutoConfig

    from probes.memory.estimate import estimate
    from probes.memory.workload import Workload
    from probes.model.load import load_base
    from probes.run.devices import use_devices
    from probes.run.peak_memory import peak_gb, reset_peak

    device = use_devices(1)
    reset_peak(device)
    process = peak_gb(device)
    settings = ModelSettings(path=str(model), dtype=setting.dtype, chat="never")  # type: ignore[arg-type]
    base = load_base(settings, model, setting.quantization, device)
    half = " the" * (setting.words // 2)
    pair = TrainingRow("Say" + half, half + " end", half + " stop", "rows", 1)
    question, row = base.renderer.question(pair.prompt), base.renderer.row(pair)
    reset_peak(device)
    loaded = peak_gb(device)
    _train_and_answer(base, setting, pair, question)
    peak = peak_gb(device)
    work = Workload(
        recipe=setting.recipe,
        rows=setting.rows,
        length=row.length,
        answers=ANSWERS,
        prompt=len(question.ids),
        new_tokens=NEW_TOKENS,
        samples=ANSWERS,
        dtype=setting.dtype,
        checkpointing=setting.checkpointing,
        device=device,
    )
    parts = estimate(AutoConfig.from_pretrained(model), work)
    return {"before": process, "loaded": loaded, "measured": peak, "estimate": parts.peak, **vars(parts)}


def _train_and_answer(base: "Base", setting: Setting, pair: TrainingRow, question: "RenderedPrompt") -> None:
    """What a probe does: two optimizer steps on copies of the pair, then answers with the adapter."""
    from probes.generate.random_keys import Sampling
    from probes.generate.sampler import generate
    from probes.model.adapter import adapted
    from probes.train.trl import Trained, TrainingJob, train

    sampling = Sampling(
        samples=ANSWERS,
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        max_new_tokens=NEW_TOKENS,
        seed=SEED,
        batch_size=ANSWERS,
    )
    memory = MemorySettings(micro_batch=setting.rows, gradient_checkpointing=setting.checkpointing)
    with TemporaryDirectory() as folder:
        job = TrainingJob(setting.recipe, [pair] * (2 * setting.rows), SEED, Path(folder), lambda step, loss: None)
        (trained,) = train(base, [job], memory)
        if not isinstance(trained, Trained):
            raise trained
        with adapted(base, trained.adapter) as model_with_adapter:
            generate(model_with_adapter, base.renderer, [question], sampling)


def _row(model: Path, number: int, setting: Setting) -> str:
    command = [sys.executable, "-m", "bench.memory", str(model), "--one", str(number)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    asked = f"{number} | {setting.objective} | {setting.rows} | {setting.words}"
    kind = f"{setting.quantization if setting.quantization != 'none' else setting.dtype}"
    kind += ", recomputed activations" if setting.checkpointing else ""
    if done.returncode:
        return f"| {asked} | {kind} | failed: {done.stderr.strip().splitlines()[-1]} |"
    found = json.loads(done.stdout.splitlines()[-1])
    error = found["estimate"] / found["measured"] - 1
    return f"| {asked} | {kind} | {found['estimate']:.2f} | {found['measured']:.2f} | {error:+.0%} |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--only", default=",".join(str(number + 1) for number in range(len(SETTINGS))))
    parser.add_argument("--one", type=int)
    asked = parser.parse_args(arguments)
    model = asked.model.resolve()
    if asked.one:
        print(json.dumps(measured(model, SETTINGS[asked.one - 1])))
        return
    print("| | objective | rows | words | base | estimate | measured | error |\n|---|---|---|---|---|---|---|---|")
    for number in map(int, asked.only.split(",")):
        print(_row(model, number, SETTINGS[number - 1]), flush=True)


if __name__ == "__main__":
    main()
