"""The full-length run: one recipe trained on its whole data, in this process.

DIR/   recipe.toml   train.jsonl (a line per step)   adapter/   finetune.json, written last

If the study names [model] adapter, adapter/ is applied on top of it, and combined/ holds both for the bare model.
"""

import os
from collections.abc import Callable
from pathlib import Path

from common.files import write_durably
from common.wording import one_line
from finetune.manifest import COMBINED, Manifest, saved, trained_on, write_manifest
from finetune.plan import Plan
from probes.inputs.training_rows import order
from probes.model.adapter_files import note_prompt_format
from probes.model.load import Base, base_digest, load_base, load_quietly, use_few_threads
from probes.run.devices import visible_devices
from probes.run.execute import classify
from probes.run.failures import MEANINGS

COMPARED_PROMPTS = 4  # on which the logits of the combined adapter are compared with those of both
OnStep = Callable[[int, float], None]


def run(plan: Plan, threads: int, on_step: OnStep) -> Manifest:
    """Train and write the folder. ``threads`` 0: one for a small model on a CPU, else torch's own choice.

    A failure raises the error of its kind (probes/run/failures.py), and NightlaneError means that the combined adapter
    does not answer as both adapters do. A run that failed has no manifest.
    """
    request = plan.request
    material, recipe, folder = request.material, request.recipe, request.folder
    folder.mkdir(parents=True, exist_ok=True)
    device = _prepare_device(threads)
    load_quietly()
    digest = base_digest(material.model, material.folder)
    base = load_base(material.model, material.folder, recipe.quantization, device)
    if not threads:
        use_few_threads(base)
    from probes.train.trl import TrainingJob, train

    write_durably(folder / "recipe.toml", recipe.to_toml())
    rows = order(recipe, plan.pairs, plan.rows, request.seed)
    trained = train(base, [TrainingJob(recipe, rows, request.seed, folder, on_step)], request.memory)[0]
    if isinstance(trained, Exception):
        raise _as_error(trained, plan)
    note_prompt_format(trained.adapter, base.renderer)
    manifest = Manifest(
        study=request.study,
        recipe=recipe.digest,
        origin=request.origin,
        seed=request.seed,
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
    """Write one adapter that combines [model] adapter with the trained one; returns the digest of each of its files.
    Does nothing if the study has no [model] adapter."""
    if base.adapter is None:
        return {}
    from probes.model.merged_adapter import combine, require_alike

    folder = plan.request.folder / COMBINED
    combine(base, adapter, folder)
    note_prompt_format(folder, base.renderer)
    require_alike(
        base, adapter, folder, [prompt.text for prompt in plan.request.material.all_prompts[:COMPARED_PROMPTS]]
    )
    return saved(folder)


def _prepare_device(threads: int) -> str:
    """Set environment variables that torch reads when it is imported, and return the device. One GPU is made visible,
    since the trainer would spread a batch over all GPUs that it sees."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if threads:
        os.environ |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    devices = visible_devices()
    if devices:
        os.environ["CUDA_VISIBLE_DEVICES"] = devices[0]
    return "cuda" if devices else "cpu"


def _as_error(error: Exception, plan: Plan) -> Exception:
    """A failure of the run in one sentence, with its exit code. A defect of ours stays as it is."""
    meaning, folder = MEANINGS[classify(error)], plan.request.folder
    if meaning.error is None:
        return error
    return meaning.error(
        f"{meaning.words} ({one_line(str(error), 300)}); {folder / 'train.jsonl'} has the curve: {meaning.remedy}, and "
        "train again with a new --output"
    )
