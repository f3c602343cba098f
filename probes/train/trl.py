"""Trains LoRA adapters with TRL's DPOTrainer and ORPOTrainer, one per job, and leaves the base unchanged.

Imports torch, trl and peft, so import it only where a model is trained.
"""

import gc
import itertools
import json
import math
import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from accelerate.state import AcceleratorState, GradientState, PartialState
from datasets import Dataset, disable_progress_bars
from transformers import TrainerCallback, set_seed
from trl import DPOConfig, DPOTrainer

from common.files import write_durably
from lanes import Recipe
from lanes.rules import losses, sees_whole_batch
from probes.inputs.settings import MemorySettings
from probes.inputs.training_rows import TrainingRow
from probes.model.adapter import lora_config, put_on_new_adapter, take_off_adapter
from probes.model.adapter_files import note_base_adapter
from probes.model.load import Base
from probes.model.target_modules import problem
from probes.rendering.renderer import Unrenderable
from probes.train.curve import LOGGED, NAME, read_curve
from probes.train.orpo import ORPOConfig, TokenORPOTrainer
from probes.train.reference_store import Logps, ReferenceStore
from probes.train.shared import OwnTypes, TokenWeights, WarmStart

disable_progress_bars()
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
warnings.filterwarnings("ignore", module=r"(trl|transformers|peft|torch|accelerate|bitsandbytes|datasets)(\..*)?")

OnStep = Callable[[int, float], None]


class Diverged(Exception):
    """The loss or the gradient norm is NaN or infinite."""


class TokenDPOTrainer(TokenWeights, WarmStart, OwnTypes, DPOTrainer):  # type: ignore[misc]
    """DPOTrainer on rows of token ids: prompt_ids, chosen_ids, rejected_ids."""

    loss_weights: list[float]
    train_dataset: Any

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Its sft term is a mean over the tokens of the chosen answers, those of the whole effective batch."""
        weights = self.loss_weights
        share = self.token_share(inputs)
        both = zip(self.loss_types, weights, strict=True)
        self.loss_weights = [weight * share if kind == "sft" else weight for kind, weight in both]
        try:
            return super().compute_loss(model, inputs, *args, **kwargs)
        finally:
            self.loss_weights = weights

    def take_references(self, store: ReferenceStore) -> None:
        """Take the log probabilities of the base from this store, in place of a second forward pass at each step."""
        was_training = self.model.training
        self.model.eval()
        rows = list(self.train_dataset)
        chosen, rejected = zip(*store.logps(rows, self._reference), strict=True)
        self.model.train(was_training)
        whole = self.train_dataset.add_column("ref_chosen_logps", list(chosen))
        self.train_dataset = whole.add_column("ref_rejected_logps", list(rejected))
        self.precompute_ref_logps = True

    def _reference(self, row: Mapping[str, Any]) -> Logps:
        """Of one row, computed alone, so that it depends on no other row."""
        batch = self._prepare_inputs(self.data_collator([row]))
        chosen, rejected = self.compute_ref_log_probs(self.model, batch)
        return chosen.item(), rejected.item()

    def mean_tokens(self, batch: Any) -> int:
        chosen, _ = batch["completion_mask"][:, 1:].chunk(2, dim=0)
        return int(chosen.sum())

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset


class Untrainable(Exception):
    """The trainer would drop or damage rows of the recipe."""


@dataclass(frozen=True)
class LongRun:
    """What a full-length run adds to the training of a probe.

    ``trainer``: makes another trainer than that of the recipe's objective, of rows, configuration and arguments.
    ``arguments``: of the trainer's configuration. ``callbacks``: of the trainer. ``checkpoint``: the folder of the
    trainer's checkpoint that training goes on from, at ``step``. ``figures``: more figures of a step, from its number,
    the seconds of training so far and the tokens so far. ``on_line``: called with each line of the curve.
    ``processes``: how many train it together, of which this is one.
    """

    trainer: Callable[[Dataset, Mapping[str, Any], Mapping[str, Any]], Any] | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    callbacks: tuple[Any, ...] = ()
    checkpoint: Path | None = None
    step: int = 0
    figures: Callable[[int, float, int], Mapping[str, float]] = lambda *_: {}
    on_line: Callable[[Mapping[str, Any]], None] = lambda _: None
    processes: int = 1


SHORT = LongRun()


@dataclass(frozen=True)
class TrainingJob:
    """One adapter to train: a recipe, its rows in order, a seed, and the folder for train.jsonl and adapter/.
    ``references``: keeps what DPO's reference model, the base, says of the rows; without it each step computes that.
    """

    recipe: Recipe
    rows: Sequence[TrainingRow]
    seed: int
    directory: Path
    on_step: OnStep
    long: LongRun = SHORT
    references: ReferenceStore | None = None


@dataclass(frozen=True)
class Trained:
    """``seconds`` in the training loop alone, ``tokens`` it saw, and the last line of the curve."""

    adapter: Path
    seconds: float
    tokens: int
    final: dict[str, float]


def train(base: Base, jobs: Sequence[TrainingJob], memory: MemorySettings) -> list[Trained | Exception]:
    """Train every job on one base. An exception in the list concerns that job alone.

    The jobs run one after the other. Each gives what it would give alone.
    """
    results: list[Trained | Exception] = []
    for job in jobs:
        try:
            results.append(_train_one(base, job, memory))
        except (Diverged, Untrainable, RuntimeError, ValueError, MemoryError, OSError) as error:
            results.append(error)
    return results


def _train_one(base: Base, job: TrainingJob, memory: MemorySettings) -> Trained:
    set_seed(job.seed)
    rows = _tokenised(base, job)
    tokens = _tokens(rows, job.recipe.max_length)
    seen = [0, *itertools.accumulate(tokens)][:: job.recipe.effective_batch]
    curve = _Curve(job.directory / NAME, job.on_step, job.long, seen)
    kept = _State.of(base.model)
    trainer: Any = None
    try:
        trainer = _trainer(base, job, memory, rows, curve)
        curve.start()
        if job.references is not None and isinstance(trainer, TokenDPOTrainer):
            trainer.take_references(job.references)
        trainer.train(resume_from_checkpoint=str(job.long.checkpoint) if job.long.checkpoint else None)
        seconds = curve.seconds
        examples = len(rows) * trainer.examples_of_a_row
        if len(trainer.train_dataset) != examples or trainer.state.global_step != trainer.args.max_steps:
            raise Untrainable(f"the trainer kept {len(trainer.train_dataset)} of {examples} rows")
        adapter = job.directory / "adapter"
        trainer.model.save_pretrained(str(adapter))
        if base.adapter is not None:
            note_base_adapter(adapter, base.adapter.digest, held=False)
    finally:
        curve.close()
        kept.restore(base)
        del trainer
        gc.collect()
        if base.model.device.type == "cuda":
            torch.cuda.empty_cache()
    return Trained(adapter, seconds, sum(tokens), curve.last)


def _tokenised(base: Base, job: TrainingJob) -> Dataset:
    """The rows as token ids, in order. Untrainable for a row that cannot be rendered or has no room for an answer:
    DPOTrainer would drop it, and ORPOTrainer would compute NaN."""
    found = []
    for pair, row in zip(job.rows, base.renderer.rows(job.rows), strict=True):
        where = f"source {pair.source}, line {pair.line}"
        if isinstance(row, Unrenderable):
            raise Untrainable(f"{where}: {row}")
        if len(row.prompt) >= job.recipe.max_length:
            raise Untrainable(
                f"{where}: a prompt of {len(row.prompt)} tokens leaves no room for an answer in "
                f"max_length={job.recipe.max_length}; raise max_length or take the row out"
            )
        found.append({"prompt_ids": row.prompt, "chosen_ids": row.chosen, "rejected_ids": row.rejected})
    return Dataset.from_list(found)


def _trainer(base: Base, job: TrainingJob, memory: MemorySettings, rows: Dataset, curve: "_Curve") -> Any:
    recipe = job.recipe
    micro = _rows_at_once(base.model, recipe, memory, job.long.processes)
    device = base.model.device.type
    common: dict[str, Any] = {
        "output_dir": str(job.directory),
        "max_steps": len(rows) // recipe.effective_batch,
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": recipe.effective_batch // (micro * job.long.processes),
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": recipe.scheduler,
        "warmup_steps": recipe.warmup,
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
        "optim": recipe.optimizer,
        "beta": recipe.beta,
        "max_length": recipe.max_length,
        "seed": job.seed,
        "data_seed": job.seed,
        "train_sampling_strategy": "sequential",
        "disable_dropout": False,
        "gradient_checkpointing": memory.gradient_checkpointing,
        "bf16": device != "cpu" and base.model.dtype == torch.bfloat16 and not base.quantised,
        "fp16": device != "cpu" and base.model.dtype == torch.float16,
        "use_cpu": device == "cpu",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": device != "cpu",
        **job.long.arguments,
    }
    arguments = {
        **_model(base, recipe),
        "train_dataset": rows,
        "processing_class": base.renderer.tokenizer,
        "callbacks": [curve, *job.long.callbacks],
    }
    if job.long.trainer is not None:
        trainer = job.long.trainer(rows, common, arguments)
    elif recipe.objective == "orpo":
        trainer = TokenORPOTrainer(args=ORPOConfig(remove_unused_columns=False, **common), **arguments)
    else:
        kinds = losses(recipe)
        loss: dict[str, Any] = {"loss_type": [*kinds], "label_smoothing": recipe.label_smoothing}
        if len(kinds) > 1:
            loss["loss_weights"] = [1.0, recipe.second_weight, recipe.third_weight][: len(kinds)]
        if recipe.ld_alpha < 1:
            loss["ld_alpha"] = recipe.ld_alpha
        trainer = TokenDPOTrainer(args=DPOConfig(**loss, **common), **arguments)
    trainer.remove_callback(transformers.trainer_callback.PrinterCallback)
    return trainer


def _rows_at_once(model: Any, recipe: Recipe, memory: MemorySettings, processes: int) -> int:
    """Rows per forward pass of each process; the whole effective batch where the loss would depend on how it is
    divided: the losses that sort the pairs of a pass, and a mixture of experts' loss for the balance of its router."""
    balanced = bool(getattr(model.config.get_text_config(), "output_router_logits", False))
    if not sees_whole_batch(recipe) and not balanced:
        return memory.rows_at_once(recipe.effective_batch // processes)
    if processes > 1:
        raise Untrainable(
            "a loss that sorts the pairs of a batch, or balances a mixture of experts, needs the batch in one process, "
            f"and {processes} processes train; leave --processes out"
        )
    return recipe.effective_batch


def _model(base: Base, recipe: Recipe) -> dict[str, Any]:
    """The model arguments of the trainer.

    The trainer adds the adapter, except for ORPO on a quantised base, where ORPOTrainer would first cast everything
    that is not quantised to float32. DPOTrainer would take an existing adapter for the reference model and copy it.
    """
    if reason := problem(base.model, recipe.lora_targets, recipe.lora_dropout):
        raise Untrainable(reason)
    if base.quantised and recipe.objective == "orpo":
        return {"model": put_on_new_adapter(base, recipe)}
    return {"model": base.model, "peft_config": lora_config(base.model, recipe)}


def _tokens(rows: Dataset, max_length: int) -> list[int]:
    """Training tokens of each row: chosen and rejected sequences with their prompts, cut at max_length."""
    columns = (rows[name] for name in ("prompt_ids", "chosen_ids", "rejected_ids"))
    return [sum(min(len(p) + len(side), max_length) for side in (c, r)) for p, c, r in zip(*columns, strict=True)]


class _Curve(TrainerCallback):  # type: ignore[misc]
    """Writes one JSON line per step, calls the listeners, and stops a run that diverged. A run that goes on from a
    checkpoint keeps the lines of the steps before it."""

    def __init__(self, path: Path, on_step: OnStep, long: LongRun = SHORT, seen: Sequence[int] = ()) -> None:
        """``seen``: the tokens up to each step."""
        self.on_step, self.long, self.seen = on_step, long, seen
        kept = read_curve(path, long.step)
        last = kept[-1] if kept else {}
        self.last = {name: float(last[name]) for name in LOGGED if last.get(name) is not None}
        self.before = float(last.get("seconds", 0))
        write_durably(path, "".join(json.dumps(line) + "\n" for line in kept))  # a checkpoint vouches for them
        self.file = path.open("a", encoding="utf-8")
        self.start()

    def start(self) -> None:
        """Training begins now."""
        self.started = time.perf_counter() - self.before

    @property
    def seconds(self) -> float:
        """Seconds of training, also before the checkpoint."""
        return time.perf_counter() - self.started

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        logs = logs or {}
        if "loss" not in logs:
            return
        line = {name: float(logs[key]) for name, key in LOGGED.items() if key in logs}
        finite = {name: value for name, value in line.items() if math.isfinite(value)}
        step, seconds = state.global_step, self.seconds
        stamp = {"step": step, "seconds": round(seconds, 3)}
        more = self.long.figures(step, seconds, self.seen[step]) if self.seen else {}
        whole = {**stamp, **{name: finite.get(name) for name in line}, **more}
        self.file.write(json.dumps(whole) + "\n")
        self.file.flush()
        self.on_step(step, line["loss"])
        for name in ("loss", "grad_norm"):
            if name in line and name not in finite:
                raise Diverged(f"{name} is {line[name]} at step {step}")
        self.last = finite
        self.long.on_line(whole)

    def close(self) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()


@dataclass(frozen=True)
class _State:
    """The state of a base that training changes, besides its weights. It is restored, since a worker trains many
    probes.

    ``configs``: of the model, of its language model if it is multimodal, and of generation.
    """

    requires_grad: dict[str, bool]
    configs: tuple[dict[str, Any], ...]

    @classmethod
    def of(cls, model: Any) -> "_State":
        grads = {name: p.requires_grad for name, p in model.named_parameters()}
        return cls(grads, tuple(dict(vars(config)) for config in _configs(model)))

    def restore(self, base: Base) -> None:
        model = base.model
        take_off_adapter(model)
        model.__dict__.pop("forward", None)  # DPOTrainer replaces it by one with a fused language-model head
        model.activation_checkpointing_disable()
        model.disable_input_require_grads()
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(self.requires_grad[name])
            parameter.grad = None
        for config, saved in zip(_configs(model), self.configs, strict=True):
            vars(config).clear()
            vars(config).update(saved)
        model.eval()
        _forget_accelerator()


def _configs(model: Any) -> tuple[Any, ...]:
    return model.config, model.config.get_text_config(), model.generation_config


def _forget_accelerator() -> None:
    """Reset the process-wide state of accelerate (mixed precision, plugins), which must not reach the next probe."""
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    PartialState._reset_state()
