"""A LoRA adapter that is part of the base: ``[model] adapter``, for example one from supervised fine-tuning.

PEFT reads it once. Then a forward hook on each adapted layer adds B(A(x)). So it also works on NF4, stays on while PEFT
adds, disables or removes another adapter, and is never trained or saved again. Imports torch, peft and transformers.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PeftModel
from peft.tuners.lora import LoraLayer, ParamWrapper
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import load_peft_weights, set_peft_model_state_dict

from common.errors import BadInput, NightlaneError
from probes.model.adapter import take_off_adapter
from probes.model.target_modules import LINEAR

NAME = "default"  # the name that PEFT gives an adapter without one
REMEDY = "give a LoRA adapter on linear layers, or merge this one into the model and name that under [model] path"
KEEP_BASE_WEIGHTS = (True, False, None, "gaussian", "eva", "orthogonal")
"""Values of init_lora_weights that leave the base's weights unchanged; others subtract something from them."""
PLAIN = frozenset(
    {
        *("task_type", "peft_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision"),
        *("inference_mode", "r", "target_modules", "exclude_modules", "lora_alpha", "lora_dropout", "fan_in_fan_out"),
        *("bias", "use_rslora", "init_lora_weights", "layers_to_transform", "layers_pattern", "rank_pattern"),
        *("alpha_pattern", "megatron_config", "megatron_core", "loftq_config", "eva_config", "corda_config"),
        *("lora_ga_config", "qalora_group_size", "runtime_config", "ensure_weight_tying"),
    }
)
"""PEFT's LoRA settings with which a layer adds only B(A(x)); an adapter with other settings is refused."""


@dataclass(frozen=True)
class LowRankMatrices:
    """The matrices of a layer, which adds B(A(x)): ``a`` [rank, inputs], ``b`` [outputs, rank] with the scaling, both
    float32."""

    a: torch.Tensor
    b: torch.Tensor


class FrozenAdapter:
    """An adapter on a base. ``pairs``: by the full name of the layer. ``digest``: of its files."""

    def __init__(self, model: Any, pairs: Mapping[str, LowRankMatrices], digest: str) -> None:
        self.pairs, self.digest = pairs, digest
        self._on = True
        for name, pair in pairs.items():
            self._hook(model.get_submodule(name), pair, model.dtype, model.device)

    def _hook(self, layer: Any, pair: LowRankMatrices, dtype: torch.dtype, device: Any) -> None:
        a, b = pair.a.to(device, dtype), pair.b.to(device, dtype)

        def add(layer: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
            if not self._on:
                return output
            added = torch.nn.functional.linear(torch.nn.functional.linear(inputs[0].to(dtype), a), b)
            return output + added.to(output.dtype)

        layer.register_forward_hook(add)

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """Disable the adapter within the block."""
        self._on = False
        try:
            yield
        finally:
            self._on = True


def put_on(model: Any, folder: Path, digest: str) -> FrozenAdapter:
    """Put an adapter on the model; BadInput if it is not for this model, or does more than LoRA on linear layers."""
    return FrozenAdapter(model, read(model, folder), digest)


def read(model: Any, folder: Path) -> dict[str, LowRankMatrices]:
    """The matrices of an adapter by layer. The model may be on the meta device, and is unchanged afterwards."""
    trainable = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # all that matters is checked here
            return _read(model, folder)
    except NightlaneError:
        raise
    except Exception as error:  # errors of PEFT, torch and safetensors
        why = " ".join(str(error).split())[:300]
        raise BadInput(
            f"{folder} ([model] adapter) is no adapter of this model ({why}); give the model that it was trained on"
        ) from None
    finally:
        take_off_adapter(model)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(trainable[name])


def _read(model: Any, folder: Path) -> dict[str, LowRankMatrices]:
    config = PeftConfig.from_pretrained(str(folder))
    if extra := _extra_settings(config):
        raise BadInput(f"[model] adapter takes plain LoRA, and {folder} {extra}; {REMEDY}")
    head = model.get_output_embeddings()
    adapted = PeftModel(model, config, autocast_adapter_dtype=False, low_cpu_mem_usage=True)
    weights = load_peft_weights(str(folder), device="cpu")
    loaded = set_peft_model_state_dict(adapted, weights, low_cpu_mem_usage=True)
    odd = [*loaded.unexpected_keys, *(key for key in loaded.missing_keys if "lora_" in key)]
    if odd:
        raise ValueError(f"{odd[0]} and the model do not go together")
    layers = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, BaseTunerLayer)]
    return {name: _pair(name, layer, head, folder) for name, layer in layers}


def _extra_settings(config: Any) -> str:
    """The setting of an adapter that goes beyond LoRA on linear layers; "" if there is none."""
    if config.peft_type != "LORA":
        return f"is of the kind {config.peft_type}"
    if config.bias != "none":
        return f"has bias={config.bias!r}"
    if not any(config.init_lora_weights is known or config.init_lora_weights == known for known in KEEP_BASE_WEIGHTS):
        return f"changed the base's own weights (init_lora_weights={config.init_lora_weights!r})"
    return next((f"has {name}" for name, value in vars(config).items() if value and name not in PLAIN), "")


def _pair(name: str, layer: Any, head: Any, folder: Path) -> LowRankMatrices:
    base = layer.get_base_layer()
    plain = isinstance(layer, LoraLayer) and not isinstance(layer, ParamWrapper) and isinstance(base, LINEAR)
    if not plain or base is head:
        raise BadInput(
            f"[model] adapter is LoRA on linear layers other than the head, and {folder} adapts {name}; {REMEDY}"
        )
    scaling = layer.scaling[NAME]
    return LowRankMatrices(
        layer.lora_A[NAME].weight.detach().float(), layer.lora_B[NAME].weight.detach().float() * scaling
    )
