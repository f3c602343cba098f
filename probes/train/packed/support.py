"""What the packed engine cannot train, in one sentence each; TRL trains such studies."""

from typing import Any

from lanes import Recipe
from probes.inputs.settings import MemorySettings
from probes.model.load import Base

TOLERANCE = {"float32": 1e-3, "bfloat16": 0.1, "float16": 0.05}
"""How far log probabilities of packed and ordinary passes may differ, by data type. Those of text tokens reach -5 and
below."""


def study_problem(dora: bool, memory: MemorySettings) -> str:
    """Why the engine cannot train what a study may ask for; "" if it can. ``dora``: whether an adapter can be DoRA."""
    if dora:
        return "it trains no magnitudes, and lora_variant may be dora"
    return "it recomputes no activations, and gradient_checkpointing is true" if memory.gradient_checkpointing else ""


def base_problem(base: Base) -> str:
    """Why the engine cannot train on this base, from its modules and from a trial pass; "" if it can."""
    import torch

    if base.on_several_gpus:
        return "it trains on one GPU, and several hold the base"
    model = base.model
    drops = any(isinstance(module, torch.nn.Dropout) and module.p for module in model.modules())
    if drops or _attention_dropout(model):
        return "it draws dropout only before LoRA matrices, and the base has dropout of its own"
    if scaling := _rope_types(model) & {"longrope", "dynamic"}:
        return f"rows of one pass should not change each other, and {scaling.pop()} scales positions by the longest row"
    if any(parameter.dim() > 2 for parameter in model.get_decoder().parameters()):
        return "it trains linear layers, and the base has others, such as a mixture of experts"
    try:
        differ = _difference(model)
    except (RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError, NotImplementedError) as error:
        return f"a pass over rows without padding failed ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
    if not differ < TOLERANCE[str(model.dtype).removeprefix("torch.")]:
        return f"rows without padding gave this base other log probabilities (they differ by {differ:.2g})"
    return ""


def _rope_types(model: Any) -> set[str]:
    """How the base scales rotary positions, in any of its layers."""
    rope = getattr(model.config.get_text_config(), "rope_parameters", None) or {}
    return {str(one.get("rope_type")) for one in (rope, *rope.values()) if isinstance(one, dict)}


def _attention_dropout(model: Any) -> float:
    config = model.config.get_text_config()
    return float(getattr(config, "attention_dropout", 0.0) or 0.0)


def _difference(model: Any) -> float:
    """The largest difference of the log probabilities of two made-up sequences between a pass over both and the
    model's own forward pass over each alone."""
    import torch

    from probes.train.packed.blocks import plain_block
    from probes.train.packed.passes import Passes

    row = {"prompt_ids": [1, 2, 3], "chosen_ids": list(range(4, 11)), "rejected_ids": list(range(4, 16))}
    block = plain_block(row, Recipe(objective="dpo", mixture={"trial": 1.0}), model.device)
    with torch.no_grad():
        with Passes.opened(model, ()) as passes:
            [(found, _)] = passes.logps([(None, block)])
        alone = []
        for side in ("chosen_ids", "rejected_ids"):
            ids = torch.tensor([row["prompt_ids"] + row[side]], device=model.device)
            logits = model(input_ids=ids, use_cache=False).logits[0, :-1].float()
            answer = slice(len(row["prompt_ids"]) - 1, None)
            alone.append(logits.log_softmax(-1).gather(1, ids[0, 1:, None])[answer, 0])
        return float((found - torch.cat(alone)).abs().max())
