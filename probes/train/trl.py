"""Trains LoRA adapters with TRL's DPOTrainer and ORPOTrainer, one per job, and leaves the base unchanged.

Imports torch, trl and peft, so import it only where a model is trained.
"""

import gc
import itertools
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from accelerate.state import AcceleratorState, GradientState, PartialState
from datasets import Dataset, disable_progress_bars
from torch.distributed.tensor import DTensor
from transformers import TrainerCallback, set_seed
from trl import DPOConfig, DPOTrainer

from lanes import Recipe
from lanes.rules import losses
from probes.inputs.settings import MemorySettings
from probes.model.adapter import lora_config, put_on_new_adapter, take_off_adapter
from probes.model.adapter_files import note_base_adapter
from probes.model.load import Base
from probes.model.target_modules import problem
from probes.train.curve import NAME
from probes.train.curve_writer import CurveWriter
from probes.train.job import (
    Diverged,
    LongRun,
    Trained,
    TrainingJob,
    Untrainable,
    rows_at_once,
    tokenised,
    tokens_of,
)
from probes.train.orpo import ORPOConfig, TokenORPOTrainer
from probes.train.reference_store import Logps, ReferenceStore
from probes.train.shared import OwnTypes, TokenWeights, WarmStart

disable_progress_bars()
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
warnings.filterwarnings("ignore", module=r"(trl|transformers|peft|torch|accelerate|bitsandbytes|datasets)(\..*)?")

__all__ = ["Diverged", "LongRun", "Trained", "TrainingJob", "Untrainable", "train"]


class TokenDPOTrainer(TokenWeights, WarmStart, OwnTypes, DPOTrainer):  # type: ignore[misc]
    """DPOTrainer on rows of token ids: prompt_ids, chosen_ids, rejected_ids."""

    loss_weights: list[float]
    train_dataset: Any

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Weight the sft term, so that it is a mean over the chosen answers' tokens of the whole effective batch."""
        weights = self.loss_weights
        share = self.token_share(inputs)
        both = zip(self.loss_types, weights, strict=True)
        self.loss_weights = [weight * share if kind == "sft" else weight for kind, weight in both]
        try:
            return super().compute_loss(model, inputs, *args, **kwargs)
        finally:
            self.loss_weights = weights

    def take_references(self, store: ReferenceStore) -> None:
        """Take the reference log probabilities from this store, instead of a second forward pass at each step."""
        was_training = self.model.training
        self.model.eval()
        rows = list(self.train_dataset)
        chosen, rejected = zip(*store.logps(rows, self._reference), strict=True)
        self.model.train(was_training)
        whole = self.train_dataset.add_column("ref_chosen_logps", list(chosen))
        self.train_dataset = whole.add_column("ref_rejected_logps", list(rejected))
        self.precompute_ref_logps = True

    def _reference(self, row: Mapping[str, Any]) -> Logps:
        """The reference log probabilities of one row, computed alone, so that they depend on no other row."""
        batch = self._prepare_inputs(self.data_collator([row]))
        chosen, rejected = self.compute_ref_log_probs(self.model, batch)
        return chosen.item(), rejected.item()

    def mean_tokens(self, batch: Any) -> int:
        chosen, _ = batch["completion_mask"][:, 1:].chunk(2, dim=0)
        return int(chosen.sum())

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset


def train(base: Base, jobs: Sequence[TrainingJob], memory: MemorySettings) -> list[Trained | Exception]:
    """Train every job on one base. An exception in the list concerns that job alone.

    The jobs run one after the other, and none changes the result of another.
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
    ids = tokenised(base, job)
    rows, tokens = Dataset.from_list(ids), tokens_of(ids, job.recipe.max_length)
    seen = [0, *itertools.accumulate(tokens)][:: job.recipe.effective_batch]
    curve = CurveWriter(job.directory / NAME, job.on_step, job.long, seen)
    kept = _BaseState.of(base.model)
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
        trainer.model.save_pretrained(str(adapter), state_dict=_whole_adapter(trainer.model))
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


def _whole_adapter(model: Any) -> dict[str, torch.Tensor] | None:
    """The trained weights of a model that is sharded over processes, gathered; all processes must call this. None for a
    model that is not sharded."""
    trained = {name: weight.detach() for name, weight in model.named_parameters() if weight.requires_grad}
    parts = {name: weight for name, weight in trained.items() if isinstance(weight, DTensor)}
    return {**trained, **{name: weight.full_tensor() for name, weight in parts.items()}} if parts else None


def _trainer(base: Base, job: TrainingJob, memory: MemorySettings, rows: Dataset, curve: CurveWriter) -> Any:
    recipe = job.recipe
    micro = rows_at_once(base.model, recipe, memory, job.long.processes)
    device = job.long.device or base.model.device.type
    common: dict[str, Any] = {
        "output_dir": str(job.directory),
        "max_steps": job.steps,
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
        "callbacks": [_Log(curve), *job.long.callbacks],
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


class _Log(TrainerCallback):  # type: ignore[misc]
    """Hands the trainer's figures of each step to the curve."""

    def __init__(self, curve: CurveWriter) -> None:
        self.curve = curve

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        if logs and "loss" in logs:
            self.curve.add(state.global_step, logs)


@dataclass(frozen=True)
class _BaseState:
    """The state of a base that training changes, besides its weights. It is restored, since a worker trains many probes
    on one base.

    ``configs``: of the model, of its language model if it is multimodal, and of generation.
    """

    requires_grad: dict[str, bool]
    configs: tuple[dict[str, Any], ...]

    @classmethod
    def of(cls, model: Any) -> "_BaseState":
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
