"""An adapter in training: its matrices, their gradients, the optimizer and the schedule. Imports torch and peft."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from transformers import get_scheduler, set_seed

from lanes import Recipe
from probes.model.adapter import lora_config, put_on_new_adapter, take_off_adapter
from probes.model.adapter_files import note_base_adapter
from probes.model.load import ADAPTER_WEIGHTS, Base
from probes.model.target_modules import problem
from probes.train.job import Untrainable
from probes.train.packed.blocks import Block
from probes.train.packed.layers import Matrices
from probes.train.packed.masks import MaskStream
from probes.train.shared import warm_start


class Adapter:
    """A new LoRA adapter of a recipe, with PEFT's initial values for a seed. Untrainable if the base has no such
    layers.

    All its matrices lie in one vector, and their gradients in another.
    """

    def __init__(self, base: Base, recipe: Recipe, seed: int, steps: int) -> None:
        if reason := problem(base.model, recipe.lora_targets, recipe.lora_dropout):
            raise Untrainable(reason)
        self.recipe, self._base = recipe, base
        self._config, started, self._scales = _initial(base, recipe, seed)
        flat = torch.cat([matrix.flatten() for matrix in started.values()])
        self._flat, self._gradient = flat, torch.zeros_like(flat)
        sizes = [matrix.numel() for matrix in started.values()]
        self._matrices = _views(flat, sizes, started)
        self._gradients = _views(self._gradient, sizes, started)
        self._optimizer = _optimizer(recipe, flat, self._gradient, self._matrices, self._gradients)
        warmup = math.ceil(steps * recipe.warmup)
        schedule = get_scheduler(recipe.scheduler, self._optimizer, warmup, steps)
        self._schedule = warm_start(schedule, recipe.scheduler, warmup)
        self.masks, self._blocks = MaskStream(base.model.device, seed, recipe.lora_dropout), 0

    @property
    def layers(self) -> list[str]:
        return list(self._scales)

    def matrices(self, block: Block) -> dict[str, Matrices]:
        """The matrices by layer name, for a pass over the next block."""
        dropout = self.recipe.lora_dropout
        self._blocks += 1
        mask = self.masks.of_block(self._blocks, block) if dropout else None
        return {
            name: Matrices(
                self._matrices[name, "A"],
                self._matrices[name, "B"],
                self._gradients[name, "A"],
                self._gradients[name, "B"],
                scale / (1 - dropout),
                mask,
            )
            for name, scale in self._scales.items()
        }

    def step(self) -> dict[str, float]:
        """Clip the gradient, update the matrices, and clear the gradient. Returns the gradient norm before clipping and
        the learning rate that was used. There is no update if the norm is not finite."""
        norm = self._gradient.norm().item()
        rate = float(self._schedule.get_last_lr()[0])
        if math.isfinite(norm):
            self._gradient.mul_(min(1.0, self.recipe.max_grad_norm / (norm + 1e-6)))
            self._optimizer.step()
            self._schedule.step()
        self._gradient.zero_()
        return {"grad_norm": norm, "learning_rate": rate}

    def save(self, folder: Path) -> None:
        """As PEFT does."""
        folder.mkdir(parents=True, exist_ok=True)
        self._config.inference_mode = True
        self._config.save_pretrained(str(folder))
        weights = {
            f"base_model.model.{name}.lora_{side}.weight": matrix.detach().contiguous().cpu().clone()
            for (name, side), matrix in self._matrices.items()
        }
        save_file(weights, str(folder / ADAPTER_WEIGHTS), metadata={"format": "pt"})
        if self._base.adapter is not None:
            note_base_adapter(folder, self._base.adapter.digest, held=False)


Key = tuple[str, str]
"""A layer's full name, and "A" or "B"."""


def _initial(base: Base, recipe: Recipe, seed: int) -> tuple[Any, dict[Key, torch.Tensor], dict[str, float]]:
    """PEFT's configuration, the initial matrices, and the scale of each layer. The base is unchanged afterwards."""
    set_seed(seed)
    model = base.model
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        if base.quantised:
            adapted = put_on_new_adapter(base, recipe)
        else:
            adapted = get_peft_model(model, lora_config(model, recipe))
        config = adapted.peft_config["default"]
        layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, LoraLayer)}
        started = {}
        for name, layer in layers.items():
            started[name, "A"] = layer.lora_A["default"].weight.detach()
            started[name, "B"] = layer.lora_B["default"].weight.detach()
        return config, started, {name: float(layer.scaling["default"]) for name, layer in layers.items()}
    finally:
        take_off_adapter(model)
        for parameter in trainable:
            parameter.requires_grad_(True)


def _views(flat: torch.Tensor, sizes: list[int], shapes: Mapping[Key, torch.Tensor]) -> dict[Key, torch.Tensor]:
    parts = torch.split(flat, sizes)
    return {key: part.view(shapes[key].shape) for key, part in zip(shapes, parts, strict=True)}


def _optimizer(
    recipe: Recipe,
    flat: torch.Tensor,
    gradient: torch.Tensor,
    matrices: Mapping[Key, torch.Tensor],
    gradients: Mapping[Key, torch.Tensor],
) -> Any:
    """AdamW as transformers configures it. With 32-bit states it updates the whole vector at once; with 8-bit states
    each matrix is a parameter, because states are quantised in blocks of one parameter."""
    settings: dict[str, Any] = {
        "lr": recipe.learning_rate,
        "betas": (0.9, 0.999),
        "eps": 1e-8,
        "weight_decay": recipe.weight_decay,
    }
    if recipe.optimizer == "adamw_torch":
        return torch.optim.AdamW([_parameter(flat, gradient)], fused=flat.dtype == torch.float32, **settings)
    from bitsandbytes.optim import AdamW

    parameters = [_parameter(matrix, gradients[key]) for key, matrix in matrices.items()]
    paged = recipe.optimizer.startswith("paged") and flat.device.type != "cpu"  # there are no pages on a CPU
    return AdamW(parameters, optim_bits=8, is_paged=paged, **settings)


def _parameter(values: torch.Tensor, gradient: torch.Tensor) -> torch.nn.Parameter:
    """A parameter that shares the memory of these values and this gradient."""
    parameter = torch.nn.Parameter(values)
    parameter.grad = gradient
    return parameter
