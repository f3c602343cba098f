"""The matrices of a plain LoRA adapter, as PEFT saved them, held against the layers of its base. Imports torch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import load_file

from common.errors import BadInput
from finetune.export.refusals import MERGE, refusal
from finetune.export.trained import TrainedAdapter
from probes.model.load import ADAPTER_WEIGHTS
from probes.model.target_modules import linear_layers

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
        """The alpha of llama.cpp, which always divides it by the rank."""
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
