"""Which linear layers a recipe's ``lora_targets`` name in a model, and what of it PEFT would not train.

The layers are those of the language model: never its head, a vision or audio tower, or a projector between them.
Imports torch, transformers and peft.
"""

import re
from collections.abc import Collection, Sequence
from typing import Any

import torch
from peft.utils.transformers_weight_conversion import _MODEL_TO_CONVERSION_PATTERN, _MOE_TARGET_MODULE_MAPPING
from transformers.pytorch_utils import Conv1D

ALL = ("all-linear",)
LINEAR = (torch.nn.Linear, Conv1D)  # bitsandbytes' own are torch.nn.Linear too


def resolved(model: Any, names: Sequence[str]) -> list[str]:
    """``lora_targets`` as PEFT is to be given them: last names where no other layer has them, else whole names.

    A name of an expert's layer stays as it is: since transformers 5, experts are parameters, and PEFT knows by their
    old names which. Of a mixture of experts it does not adapt a dense layer that has such a name, too.
    """
    experts = expert_names(model)
    wanted = [*last_names(model), *experts] if tuple(names) == ALL else names
    layers = linear_layers(model)
    chosen = {layer for layer in layers for name in wanted if name not in experts and _matches(layer, name)}
    return sorted({*shortened(model, chosen), *(experts & set(wanted))})


def shortened(model: Any, layers: Collection[str]) -> list[str]:
    """Names that PEFT finds these layers by and no other: last names where no other has them, else whole names."""
    others = {_last(name) for name, _ in model.named_modules() if name not in layers}
    return sorted({_last(layer) if _last(layer) not in others else layer for layer in layers})


def problem(model: Any, names: Sequence[str], dropout: float) -> str:
    """Why this model cannot be trained with these targets, as one sentence; "" where it can."""
    experts, layers, own = expert_names(model), linear_layers(model), tuple(names) != ALL
    said = f"lora_targets={'+'.join(names)}"
    unknown = [name for name in names if own and name not in experts and not any(_matches(one, name) for one in layers)]
    if unknown:
        has = ", ".join(sorted({*last_names(model), *experts}))
        return (
            f"{said} names {', '.join(unknown)}, and this model ({_kind(model)}) has no such linear layer: it has "
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
        return f"{said} names {half[0]} without {other}, and the experts of this model hold both in one; name both"
    if experts and dropout and (not own or experts & set(names)):
        return (
            f"{said} takes in the experts of this model, which are trained without dropout, and lora_dropout can be "
            f"{dropout:g}; set lora_dropout = 0 under [recipe] and take that knob out of [lanes.hyperparameters], or "
            f"name {', '.join(sorted(set(last_names(model)) - experts))}"
        )
    return ""


def linear_layers(model: Any) -> list[str]:
    """The whole names of the language model's linear layers, without its head, in the model's order."""
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
    """What the layers of the experts were called when they were layers, where the model has experts that PEFT knows."""
    kind = _MODEL_TO_CONVERSION_PATTERN.get(model.config.model_type, "")
    parameters = [name for name, _ in model.named_parameters()]
    return {
        old
        for old, new in _MOE_TARGET_MODULE_MAPPING.get(kind, {}).items()
        if any(_matches(name, new) for name in parameters)
    }


def _unknown_experts(model: Any) -> list[str]:
    """Last names of the matrices of experts and routers that are no linear layers, where PEFT has no names for them."""
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
