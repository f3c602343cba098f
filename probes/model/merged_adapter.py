"""Merges an SFT adapter and one trained on top of it into one adapter for the bare base.

The ranks add up: both A are stacked, and both B are put side by side with their scaling. A layer that only one of them
adapts has zeros for the other, because servers need one rank for all layers. Imports torch, peft and safetensors.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft.tuners.lora import LoraLayer, ParamWrapper
from safetensors.torch import load_file, save_file

from common.errors import NightlaneError
from probes.model.adapter import adapted
from probes.model.adapter_files import note_base_adapter
from probes.model.load import ADAPTER_CONFIG, ADAPTER_WEIGHTS, Base
from probes.model.sft_adapter import NAME, FrozenAdapter, LowRankMatrices
from probes.model.target_modules import shortened

PREFIX = "base_model.model."
CLOSE = {torch.float32: 1e-4}
CLOSE_IN_HALF = 2e-2
"""The largest relative error of the logits (root mean square) in float32, and in 16-bit types."""


def combine(base: Base, adapter: Path, folder: Path) -> None:
    """Write the base's SFT adapter and the ``adapter`` on top of it to ``folder`` as one adapter."""
    sft: FrozenAdapter = base.adapter
    above = _pairs(base, adapter)
    config = json.loads((adapter / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    ranks = [max((pair.a.shape[0] for pair in pairs.values()), default=0) for pairs in (sft.pairs, above)]
    layers = sorted({*sft.pairs, *above})
    weights: dict[str, torch.Tensor] = {}
    for layer in layers:
        pair = _side_by_side([sft.pairs.get(layer), above.get(layer)], ranks)
        weights |= {f"{PREFIX}{layer}.lora_A.weight": pair.a, f"{PREFIX}{layer}.lora_B.weight": pair.b}
    own = load_file(adapter / ADAPTER_WEIGHTS)
    experts = {key: value for key, value in own.items() if key not in weights}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {key: value.cpu().contiguous() for key, value in (weights | experts).items()},
        folder / ADAPTER_WEIGHTS,
        metadata={"format": "pt"},
    )
    changed = {
        "r": sum(ranks),
        "lora_alpha": sum(ranks),
        "use_rslora": False,
        "lora_dropout": 0.0,
        "inference_mode": True,
        "target_modules": shortened(base.model, layers),
        **_patterns(config),
    }
    (folder / ADAPTER_CONFIG).write_text(json.dumps({**config, **changed}, indent=2) + "\n", encoding="utf-8")
    note_base_adapter(folder, sft.digest, held=True)


def _pairs(base: Base, adapter: Path) -> dict[str, LowRankMatrices]:
    """The matrices of an adapter by the names of the linear layers."""
    with adapted(base, adapter):
        return {
            name: LowRankMatrices(
                layer.lora_A[NAME].weight.detach().float(), layer.lora_B[NAME].weight.detach().float() * scaling
            )
            for name, layer in base.model.named_modules()
            if isinstance(layer, LoraLayer) and not isinstance(layer, ParamWrapper)
            for scaling in [layer.scaling[NAME]]
        }


def _side_by_side(pairs: Sequence[LowRankMatrices | None], ranks: Sequence[int]) -> LowRankMatrices:
    """Both pairs as one; zeros fill up a missing pair and lower ranks."""
    present = next(pair for pair in pairs if pair is not None)
    a = torch.zeros(sum(ranks), present.a.shape[1])
    b = torch.zeros(present.b.shape[0], sum(ranks))
    start = 0
    for pair, rank in zip(pairs, ranks, strict=True):
        if pair is not None:
            end = start + pair.a.shape[0]
            a[start:end], b[:, start:end] = pair.a.cpu(), pair.b.cpu()
        start += rank
    return LowRankMatrices(a, b)


def _patterns(config: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """PEFT's patterns that keep the rank and scaling of experts' parameters."""
    ranks, alphas = dict(config.get("rank_pattern") or {}), dict(config.get("alpha_pattern") or {})
    for parameter in config.get("target_parameters") or ():
        pattern = rf".*\.{re.escape(parameter)}"
        ranks.setdefault(pattern, config["r"])
        alphas.setdefault(pattern, config["lora_alpha"])
    return {"rank_pattern": ranks, "alpha_pattern": alphas}


@torch.inference_mode()
def distance(base: Base, adapter: Path, combined: Path, texts: Sequence[str]) -> float:
    """The relative error of the logits with the combined adapter on the bare base, compared with both adapters."""
    with adapted(base, adapter) as model:
        both = [_logits(base, model, text) for text in texts]
    with base.adapter.disabled(), adapted(base, combined) as model:
        one = [_logits(base, model, text) for text in texts]
    apart = torch.cat([(x - y).flatten() for x, y in zip(one, both, strict=True)])
    size = torch.cat([x.flatten() for x in both])
    return float(apart.square().mean().sqrt() / size.square().mean().sqrt())


def _logits(base: Base, model: Any, text: str) -> torch.Tensor:
    ids = base.renderer.tokenizer(text, return_tensors="pt")["input_ids"].to(base.model.device)
    logits: torch.Tensor = model(input_ids=ids).logits.double().cpu()
    return logits


def require_alike(base: Base, adapter: Path, combined: Path, texts: Sequence[str]) -> None:
    """NightlaneError if the combined adapter differs from both by more than rounding."""
    error, limit = distance(base, adapter, combined, texts), CLOSE.get(base.model.dtype, CLOSE_IN_HALF)
    if not error <= limit:
        raise NightlaneError(
            f"an adapter that holds both answers as both do, and its logits are {error:.2g} of their size away (at "
            f"most {limit:g}); use {adapter} on top of [model] adapter"
        )
