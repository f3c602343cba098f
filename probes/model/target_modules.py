"""Finds the linear layers that ``lora_targets`` select in a model, and targets that PEFT would not train.

Only layers of the language model count: not its head, a vision or audio tower, or a projector. Imports torch,
transformers and peft.
"""

import re
from collections.abc import Collection, Sequence
from typing import Any

import torch
from peft.utils.transformers_weight_conversion import _MODEL_TO_CONVERSION_PATTERN, _MOE_TARGET_MODULE_MAPPING
from transformers.pytorch_utils import Conv1D

ALL = ("all-linear",)
LINEAR = (torch.nn.Linear, Conv1D)  # those of bitsandbytes are torch.nn.Linear, too


def resolved(model: Any, names: Sequence[str]) -> list[str]:
    """``lora_targets`` for PEFT: short names that no other layer has, else full names.

    The name of an expert's layer stays unchanged: since transformers 5, experts are parameters, which PEFT finds by
    their old names. In a mixture of experts, PEFT does not adapt a dense layer with such a name.
    """
    experts = expert_names(model)
    names_or_all = [*last_names(model), *experts] if tuple(names) == ALL else names
    layers = linear_layers(model)
    chosen = {layer for layer in layers for name in names_or_all if name not in experts and _matches(layer, name)}
    return sorted({*shortened(model, chosen), *(experts & set(names_or_all))})


def shortened(model: Any, layers: Collection[str]) -> list[str]:
    """Names by which PEFT finds exactly these layers: short ones that no other module has, else full ones."""
    others = {_last(name) for name, _ in model.named_modules() if name not in layers}
    return sorted({_last(layer) if _last(layer) not in others else layer for layer in layers})


def problem(model: Any, names: Sequence[str], dropout: float) -> str:
    """The reason why this model cannot be trained with these targets, in one sentence; "" if it can."""
    experts, layers, own = expert_names(model), linear_layers(model), tuple(names) != ALL
    setting = f"lora_targets={'+'.join(names)}"
    unknown = [
        name for name in names if own and name not in experts and not any(_matches(layer, name) for layer in layers)
    ]
    if unknown:
        has = ", ".join(sorted({*last_names(model), *experts}))
        return (
            f"{setting} names {', '.join(unknown)}, and this model ({_kind(model)}) has no such linear layer: it has "
            f'{has}; name some of these, or use ["all-linear"]'
        )
    if not own and (parts := _unknown_experts(model)):
        return (
            f'lora_targets=["all-linear"] takes the experts of a model too, and PEFT does not know those of this one '
            f"({_kind(model)}: {', '.join(parts)}); name linear layers to train without its experts: "
            f"{', '.join(last_names(model))}"
        )
    if own and (half := sorted({"gate_proj", "up_proj", "w1", "w3"} & experts & set(names))) and len(half) == 1:
        other = {"gate_proj": "up_proj", "up_proj": "gate_proj", "w1": "w3", "w3": "w1"}[half[0]]
        return f"{setting} names {half[0]} without {other}, and the experts of this model hold both in one; name both"
    if experts and dropout and (not own or experts & set(names)):
        return (
            f"{setting} takes in the experts of this model, which are trained without dropout, and lora_dropout can be "
            f"{dropout:g}; set lora_dropout = 0 under [recipe] and take that knob out of [lanes.hyperparameters], or "
            f"name {', '.join(sorted(set(last_names(model)) - experts))}"
        )
    return ""


def linear_layers(model: Any) -> list[str]:
    """The full names of the language model's linear layers, without its head, in the model's order."""
    decoder, head = model.get_decoder(), model.get_output_embeddings()
    inside = {id(module) for module in decoder.modules()}
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, LINEAR) and id(module) in inside and module is not head
    ]


def last_names(model: Any) -> list[str]:
    return sorted({_last(layer) for layer in linear_layers(model)})


def expert_names(model: Any) -> set[str]:
    """The names that the experts' layers had before transformers 5, if the model has experts that PEFT knows."""
    kind = _MODEL_TO_CONVERSION_PATTERN.get(model.config.model_type, "")
    parameters = [name for name, _ in model.named_parameters()]
    return {
        old
        for old, new in _MOE_TARGET_MODULE_MAPPING.get(kind, {}).items()
        if any(_matches(name, new) for name in parameters)
    }


def _unknown_experts(model: Any) -> list[str]:
    """Short names of experts' and routers' matrices that are not linear layers, if PEFT has no names for them."""
    if expert_names(model):
        return []
    parameters = list(model.get_decoder().named_parameters())
    stacked = {name for name, parameter in parameters if parameter.dim() == 3 and "experts" in name}
    routers = {name for name, _ in parameters if stacked and re.search(r"\brouter\.weight$", name)}
    return sorted({_last(name) if name in stacked else "router" for name in stacked | routers})


def _kind(model: Any) -> str:
    return str(model.config.get_text_config().model_type)


def _matches(layer: str, name: str) -> bool:
    return layer == name or layer.endswith(f".{name}")


def _last(name: str) -> str:
    return name.rpartition(".")[2]
