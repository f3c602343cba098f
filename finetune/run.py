"""The full-length run: one recipe trained on its whole data, in this process.

DIR/   recipe.toml   train.jsonl (a line per step)   adapter/   finetune.json, written last

Where the study names [model] adapter, adapter/ goes on top of that one, and combined/ holds both for the bare model.
"""

import os
from collections.abc import Callable
from pathlib import Path

from common.errors import BadInput, DiskFull, MissingRequirement
from common.files import write_durably
from finetune.manifest import COMBINED, Manifest, saved, trained_on, write_manifest
from finetune.plan import Plan
from probes.inputs.training_rows import order
from probes.model.adapter_files import note_asking
from probes.model.load import Base, base_digest, load_base, load_quietly, use_few_threads
from probes.run.execute import classify
from probes.run.local_workers import visible_devices

LOOKED_AT = 4  # prompts whose logits the combined adapter is held against
OnStep = Callable[[int, float], None]


def run(plan: Plan, threads: int, on_step: OnStep) -> Manifest:
    """Train and write the folder. ``threads`` 0: one for a small model on a CPU, else torch's own choice.

    BadInput for a run that diverges or whose rows the trainer would drop, MissingRequirement where the model or the
    memory cannot be had, DiskFull; NightlaneError where the combined adapter does not answer as both do. What such a
    run leaves has no manifest.
    """
    asked = plan.asked
    material, recipe, folder = asked.material, asked.recipe, asked.folder
    folder.mkdir(parents=True, exist_ok=True)
    device = _prepared(threads)
    load_quietly()
    digest = base_digest(material.model, material.folder)
    base = load_base(material.model, material.folder, recipe.quantization, device)
    if not threads:
        use_few_threads(base)
    from probes.train.trl import TrainingJob, train

    write_durably(folder / "recipe.toml", recipe.to_toml())
    rows = order(recipe, plan.pairs, plan.rows, asked.seed)
    trained = train(base, [TrainingJob(recipe, rows, asked.seed, folder, on_step)], material.probe)[0]
    if isinstance(trained, Exception):
        raise _as_error(trained, plan)
    note_asking(trained.adapter, base.renderer)
    manifest = Manifest(
        study=asked.study,
        recipe=recipe.digest,
        origin=asked.origin,
        seed=asked.seed,
        steps=plan.steps,
        sources=trained_on(plan),
        base=digest,
        final=trained.final,
        seconds=trained.seconds,
        tokens=trained.tokens,
        files=saved(trained.adapter),
        combined=_combined(base, trained.adapter, plan),
    )
    write_manifest(folder, manifest)
    return manifest


def _combined(base: Base, adapter: Path, plan: Plan) -> dict[str, str]:
    """Write one adapter that holds [model] adapter and the trained one; the digest of each of its files. Nothing where
    the model is bare."""
    if base.adapter is None:
        return {}
    from probes.model.merged_adapter import combine, require_alike

    folder = plan.asked.folder / COMBINED
    combine(base, adapter, folder)
    note_asking(folder, base.renderer)
    require_alike(base, adapter, folder, [prompt.text for prompt in plan.asked.material.all_prompts[:LOOKED_AT]])
    return saved(folder)


def _prepared(threads: int) -> str:
    """The device. What is set here, as for a worker, has to be before torch is imported: the trainer would spread a
    batch over all GPUs that it sees."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if threads:
        os.environ |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    devices = visible_devices()
    if devices:
        os.environ["CUDA_VISIBLE_DEVICES"] = devices[0]
    return "cuda" if devices else "cpu"


def _as_error(error: Exception, plan: Plan) -> Exception:
    """A failure of the run in one sentence with its exit code; what is none of a known kind is a defect of ours."""
    kind, folder = classify(error), plan.asked.folder
    if kind == "diverged":
        return BadInput(
            f"a run ends where its loss is no number, and {error}; {folder / 'train.jsonl'} has the curve: lower "
            "learning_rate in a recipe.toml, and give it with --recipe and a new --output"
        )
    if kind == "untrainable":
        return BadInput(str(error))
    if kind == "oom":
        return MissingRequirement(
            f"the run needs more memory than there is ({' '.join(str(error).split())[:200]}); lower micro_batch or set "
            f"gradient_checkpointing under [probe], and give --recipe {folder / 'recipe.toml'} and a new --output"
        )
    if kind == "device":
        return MissingRequirement(
            f"the device failed in the middle of the run ({' '.join(str(error).split())[:200]}); look at the driver's "
            "log and begin again with a new --output"
        )
    if kind == "disk":
        return DiskFull(f"the disk of {folder} is full; free some space and begin again with a new --output")
    return error
