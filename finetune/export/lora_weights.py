"""The matrices of a plain LoRA adapter, as PEFT saved them, checked against the layers of its base. Imports torch.

A GGUF file holds no other adapter: llama.cpp adds scale * B(A(x)) to a linear layer, with one alpha for the whole file.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import load_file

from common.errors import BadInput
from finetune.export.trained import TrainedAdapter
from probes.model.load import ADAPTER_WEIGHTS
from probes.model.sft_adapter import KEEP_BASE_WEIGHTS
from probes.model.target_modules import linear_layers

Config = Mapping[str, Any]
MERGE = "merge it with --to merged, or serve PEFT's own files with --to adapter and vLLM or transformers"
SAVE_PLAIN = "save it as plain LoRA with PEFT's save_pretrained(path_initial_model_for_weight_conversion=...)"


def _per_module(key: str, usual: str) -> Callable[[Config], bool]:
    """Whether a pattern gives some module another value than the usual one."""
    return lambda config: any(value != config.get(usual) for value in (config.get(key) or {}).values())


def _set(key: str) -> Callable[[Config], bool]:
    return lambda config: bool(config.get(key))


def _changes_base(config: Config) -> bool:
    start = config.get("init_lora_weights", True)
    return not any(start is known or start == known for known in KEEP_BASE_WEIGHTS)


REFUSALS: tuple[tuple[Callable[[Config], bool], str, str], ...] = (
    (lambda config: config.get("peft_type") != "LORA", "is not LoRA (peft_type={peft_type!r})", MERGE),
    (_set("use_dora"), "is DoRA, which rescales the outputs of a layer (use_dora)", MERGE),
    (_set("modules_to_save"), "holds whole modules that were trained (modules_to_save={modules_to_save})", MERGE),
    (_per_module("rank_pattern", "r"), "has ranks of its own for some modules (rank_pattern={rank_pattern})", MERGE),
    (
        _per_module("alpha_pattern", "lora_alpha"),
        "has alphas of its own for some modules (alpha_pattern={alpha_pattern})",
        MERGE,
    ),
    (lambda config: config.get("bias", "none") != "none", "holds trained biases (bias={bias!r})", MERGE),
    (_set("lora_bias"), "has a bias in its matrices (lora_bias)", MERGE),
    (_set("target_parameters"), "adapts parameters of experts (target_parameters={target_parameters})", MERGE),
    (_set("trainable_token_indices"), "holds trained tokens (trainable_token_indices)", MERGE),
    (_set("layer_replication"), "repeats layers of the base (layer_replication)", MERGE),
    (_set("fan_in_fan_out"), "is for transposed weights (fan_in_fan_out)", MERGE),
    (_changes_base, "changed the base's own weights (init_lora_weights={init_lora_weights!r})", SAVE_PLAIN),
    (_set("alora_invocation_tokens"), "acts only after certain tokens (alora_invocation_tokens)", MERGE),
    (_set("arrow_config"), "routes between adapters (arrow_config)", MERGE),
    (_set("use_qalora"), "pools the inputs of a layer (use_qalora)", MERGE),
    (lambda config: not config.get("lora_alpha"), "has lora_alpha={lora_alpha!r}, which llama.cpp reads as 1", MERGE),
)
"""When an adapter is refused, why, and what to do."""


def refusal(config: Config) -> tuple[str, str] | None:
    """The reason and the remedy; None for an adapter that a GGUF file can hold."""
    for applies, reason, remedy in REFUSALS:
        if applies(config):
            return reason.format_map(_Shown(config)), remedy
    return None


class _Shown(dict[str, Any]):
    """The values of a configuration; None for a missing one."""

    def __missing__(self, key: str) -> None:
        return None


PREFIX = "base_model.model."
A, B = ".lora_A.weight", ".lora_B.weight"
OTHER_BASE = "give the base that it was trained on with --base"


@dataclass(frozen=True)
class LoraWeights:
    """``pairs``: A [rank, inputs] and B [outputs, rank] in float32, by the name of the layer in the decoder
    (layers.0.self_attn.q_proj). The layer adds alpha / rank * B(A(x)), or alpha / sqrt(rank) with rsLoRA."""

    rank: int
    alpha: float
    rslora: bool
    pairs: Mapping[str, tuple[torch.Tensor, torch.Tensor]]

    @property
    def gguf_alpha(self) -> float:
        """The alpha to write for llama.cpp, which always divides it by the rank."""
        return self.alpha * math.sqrt(self.rank) if self.rslora else self.alpha


def require_plain(trained: TrainedAdapter) -> None:
    """BadInput for an adapter that is more than plain LoRA, by its configuration."""
    if found := refusal(trained.config):
        reason, remedy = found
        raise BadInput(f"a GGUF adapter is plain LoRA, and {trained.adapter} {reason}; {remedy}")


def lora_weights(trained: TrainedAdapter, model: Any) -> LoraWeights:
    """BadInput for an adapter that has another layer than the linear ones of the model's decoder, or does not fit."""
    layers, weights = _decoder_layers(model), load_file(trained.adapter / ADAPTER_WEIGHTS)
    names = {key: key.removeprefix(PREFIX).removesuffix(A).removesuffix(B) for key in weights}
    odd = [key for key, name in names.items() if not key.endswith((A, B)) or name not in layers]
    if odd:
        raise BadInput(
            f"a GGUF adapter is LoRA on linear layers of the base's decoder, and {trained.adapter} has {odd[0]}, which "
            f"is none of these; {OTHER_BASE}, or {MERGE}"
        )
    pairs = {layers[name].name: _pair(weights, name, layers[name], trained) for name in dict.fromkeys(names.values())}
    if not any(b.any() for _, b in pairs.values()):
        raise BadInput(f"{trained.adapter} changes nothing, since all of its B are zero; train it longer")
    config = trained.config
    return LoraWeights(int(config["r"]), float(config["lora_alpha"]), bool(config.get("use_rslora")), pairs)


@dataclass(frozen=True)
class _LoraLayer:
    """``name``: in the decoder."""

    name: str
    inputs: int
    outputs: int


def _decoder_layers(model: Any) -> dict[str, _LoraLayer]:
    """The linear layers of a model's decoder by their names in the whole model."""
    decoder = model.get_decoder()
    start = next(name for name, module in model.named_modules() if module is decoder)
    layers = {name: model.get_submodule(name) for name in linear_layers(model)}
    return {
        name: _LoraLayer(name.removeprefix(f"{start}."), layer.in_features, layer.out_features)
        for name, layer in layers.items()
    }


def _pair(
    weights: Mapping[str, torch.Tensor], name: str, layer: _LoraLayer, trained: TrainedAdapter
) -> tuple[torch.Tensor, torch.Tensor]:
    a, b = weights.get(f"{PREFIX}{name}{A}"), weights.get(f"{PREFIX}{name}{B}")
    rank = int(trained.config["r"])
    has = [None if one is None else tuple(one.shape) for one in (a, b)]
    wanted = [(rank, layer.inputs), (layer.outputs, rank)]
    if a is None or b is None or has != wanted:
        raise BadInput(
            f"{trained.adapter} does not fit the base: of {name} it has matrices of {has}, and the base takes "
            f"{wanted}; {OTHER_BASE}"
        )
    if not (a.isfinite().all() and b.isfinite().all()):
        raise BadInput(f"{trained.adapter} holds numbers that are not finite, in {name}; restore it, or train again")
    return a.float(), b.float()
