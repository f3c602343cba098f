"""The full-length run: one recipe trained on its whole data, in this process.

DIR/   run.json, recipe.toml (what it began with)   train.jsonl (a line per step)   spot_checks.jsonl
       checkpoints/ (until it is complete)   adapter/   finetune.json, written last

If the study names [model] adapter, adapter/ is applied on top of it, and combined/ holds both for the bare model.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from common.errors import WorkspaceBusy
from common.files import failed_write, locked
from finetune.checkpoints import last_complete, remove_all, remove_later
from finetune.failure import as_error, unfinished
from finetune.manifest import (
    COMBINED,
    NAME,
    Manifest,
    manifest_of,
    saved,
    write_manifest,
)
from finetune.plan import TrainingPlan
from finetune.processes import Others, other_processes
from finetune.start import FSDP, RunStart, read_start, require_same, start_of, write_start
from finetune.training import arguments_of, base_device, other_trainer, trained
from finetune.watch.rules import explosion, reward_collapse
from finetune.watch.spot_check import NAME as SPOT_CHECKS
from finetune.watch.spot_check import Collapsed, SpotChecks, spot_prompts
from probes.inputs.material import code_digest
from probes.model.adapter_files import note_base_adapter, note_prompt_format
from probes.model.load import Base, base_digest, load_base, load_quietly, use_few_threads
from probes.run.devices import use_devices
from probes.run.peak_memory import peak_gb, reset_peak
from probes.run.workbench import Workbench
from probes.train.curve import NAME as CURVE
from probes.train.curve import read_curve

if TYPE_CHECKING:
    from probes.train.trl import LongRun

COMPARED_PROMPTS = 4  # on which the logits of the combined adapter are compared with those of both
RECENT = 20
"""Steps by which the time that is left is estimated."""
OnLine = Callable[[Mapping[str, Any]], None]
Note = Callable[[str], None]


def run(plan: TrainingPlan, threads: int, on_line: OnLine, note: Note = lambda _: None) -> Manifest:
    """Train and write the folder. ``threads`` 0: one for a small model on a CPU, else torch's own choice. ``on_line``:
    called with each line of the curve.

    A failure raises the error of its kind (probes/run/failures.py); NightlaneError means that the combined adapter
    gives other logits than the two adapters together. The manifest of a run that failed or was stopped says so.
    """
    folder, began = plan.request.folder, monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    with _held(folder), redirect_stdout(sys.stderr):  # what libraries and trackers print is no result
        os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(folder / "tensorboard"))
        device = prepare_device(threads, plan.request.runner.gpus_per_worker)
        begun = _begin(plan, start_here(plan, device, threads))
        try:
            with other_processes(plan, begun.checkpoint, begun.step, threads) as others:
                done = _BegunRun(plan, begun, device, others, on_line, note).complete(threads, began)
        except (Exception, KeyboardInterrupt) as raised:
            error = failed_write(raised, folder) or raised
            with suppress(OSError):  # the disk may be full, and the first error is the one to report
                write_manifest(folder, unfinished(plan, begun.start, begun.step, error, monotonic() - began))
            told = as_error(error, plan) if isinstance(error, Exception) else error
            if told is raised:
                raise
            raise told from None
        write_manifest(folder, done)
        remove_all(folder)
        return done


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    try:
        with locked(folder):
            yield
    except BlockingIOError:
        raise WorkspaceBusy(
            f"one process trains a full-length run, and another one trains in {folder}; wait for it, or name a new "
            "--output"
        ) from None


def start_here(plan: TrainingPlan, device: str, threads: int) -> RunStart:
    """The settings and digests that a run of this plan starts with on this machine."""
    from probes.run.worker import environment

    material = plan.request.material
    here = f"{environment(device, threads)} nightlane={code_digest()}{f' {FSDP}' if plan.request.fsdp else ''}"
    return start_of(plan, base_digest(material.model, material.folder), here)


@dataclass(frozen=True)
class _StartingPoint:
    """``step``: of the checkpoint to go on from, 0 for none."""

    start: RunStart
    checkpoint: Path | None
    step: int


def _begin(plan: TrainingPlan, start: RunStart) -> _StartingPoint:
    """Write what a new run starts with; for a resumed run, check that nothing of it has changed."""
    request, folder = plan.request, plan.request.folder
    if not request.resume:
        write_start(folder, start, request.recipe)
        return _StartingPoint(start, None, 0)
    require_same(read_start(folder)[0], start, folder)
    checkpoint = last_complete(folder)
    step = checkpoint.step if checkpoint else 0
    remove_later(folder, step)
    for name in ("adapter", COMBINED):  # what is there may be cut off, and the libraries would write beside it
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / NAME).unlink(missing_ok=True)  # it describes the run as it ended before
    return _StartingPoint(start, checkpoint.folder if checkpoint else None, step)


@dataclass
class _BegunRun:
    """A run whose starting point is settled, with what it needs to train."""

    plan: TrainingPlan
    begun: _StartingPoint
    device: str
    others: Others
    on_line: OnLine
    note: Note

    def complete(self, threads: int, began: float) -> Manifest:
        """Train to the end, and return the manifest of a complete run."""
        plan, request, begun = self.plan, self.plan.request, self.begun
        load_quietly()
        device = base_device(request, self.device)
        base = load_base(request.material.model, request.material.folder, request.recipe.quantization, device)
        if not threads:
            use_few_threads(base)
        bench = Workbench(request.material, self.device, {request.recipe.quantization: base}, request.runner)
        try:
            checks = self._spot_checks(bench, base)
            reset_peak(self.device)
            long = self._long_run(base, checks)
            with self.others.joined():
                done = trained(base, plan, request.folder, long)
        finally:
            bench.close()
        note_prompt_format(done.adapter, base.renderer)
        return manifest_of(
            plan,
            base=begun.start.base,
            versions=begun.start.environment,
            resumed=begun.step,
            wall_seconds=monotonic() - began,
            final=done.final,
            seconds=done.seconds,
            tokens=done.tokens,
            files=saved(done.adapter),
            combined=_combined(base, done.adapter, plan),
            done=plan.steps,
            epochs=plan.epochs,
            spot_checks=checks.means if checks else {},
        )

    def _spot_checks(self, bench: Workbench, base: Base) -> SpotChecks | None:
        """The spot checks, after checking the base; None if no prompt is to be answered."""
        request = self.plan.request
        prompts = spot_prompts(request.material, request.spot_check)
        if not prompts or request.objective == "reward":
            return None
        checks = SpotChecks(bench, base, prompts, request.folder / SPOT_CHECKS, self.note)
        checks.begin(self.begun.step)
        return checks

    def _long_run(self, base: Base, checks: SpotChecks | None) -> "LongRun":
        """The checkpoints, the figures and the watch of this run."""
        from finetune.watch.callback import CheckpointCallback
        from finetune.watch.trackers import trackers
        from probes.train.trl import LongRun

        plan, folder = self.plan, self.plan.request.folder
        curve = read_curve(folder / CURVE, self.begun.step)

        def on_line(line: Mapping[str, Any]) -> None:
            curve.append(dict(line))
            self.on_line(line)
            if why := explosion(curve) or reward_collapse(curve):
                raise Collapsed(f"{why} at step {line['step']}")

        def figures(step: int, seconds: float, tokens: int) -> dict[str, float]:
            then = curve[-RECENT:][0] if curve else {"step": self.begun.step, "seconds": 0.0, "tokens": 0}
            pace = (seconds - then["seconds"]) / max(1, step - then["step"])
            return {
                "tokens": tokens,
                "tokens_per_second": round((tokens - then["tokens"]) / max(1e-9, seconds - then["seconds"]), 1),
                "memory_gb": peak_gb(self.device),
                "seconds_left": round(pace * (plan.steps - step), 1),
            }

        return LongRun(
            trainer=other_trainer(base, plan),
            arguments=arguments_of(plan),
            callbacks=(
                CheckpointCallback(folder, checks, lambda adapter: _note_study(adapter, base)),
                *trackers(plan.request.report_to, self.note),
            ),
            checkpoint=self.begun.checkpoint,
            step=self.begun.step,
            processes=plan.request.processes,
            device=self.device,
            figures=figures,
            on_line=on_line,
        )


def _note_study(adapter: Path, base: Base) -> None:
    """Note beside a checkpoint's adapter how prompts are rendered for it, and which adapter it is on top of."""
    note_prompt_format(adapter, base.renderer)
    if base.adapter is not None:
        note_base_adapter(adapter, base.adapter.digest, held=False)


def _combined(base: Base, adapter: Path, plan: TrainingPlan) -> dict[str, str]:
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


def prepare_device(threads: int, gpus: int) -> str:
    """Set environment variables that torch reads when it is imported, and return the device. Only the ``gpus`` that
    hold one base are made visible, since the trainer would spread a batch over all GPUs that it sees."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if threads:
        os.environ |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    return use_devices(gpus)
