"""LoRA adapters of several probes on one base: each row of a forward pass uses its own. Imports torch and peft."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import torch
from peft import LoraConfig
from safetensors.torch import load_file

from probes.model.load import ADAPTER_WEIGHTS

PREFIX = "base_model.model."
"""The beginning of the names of weights in PEFT's files."""


class JoinedAdapters:
    """Saved LoRA adapters of linear layers, without DoRA. An adapter's number is its index in ``folders``.

    Each layer has one A [all ranks, inputs] and one B [outputs, all ranks] with the ranks of all adapters side by side,
    and adds B(share * A(x)). A row's share is its adapter's scale at that adapter's ranks and 0 at all others. So a
    layer needs three matrix products for any number of adapters. On float32 weights, a single adapter is merged into a
    copy of them, which leaves one product.
    """

    def __init__(self, model: Any, folders: Sequence[Path]) -> None:
        configs = [LoraConfig.from_pretrained(str(folder)) for folder in folders]
        ends = torch.tensor([config.r for config in configs]).cumsum(0).tolist()
        places = [slice(end - config.r, end) for end, config in zip(ends, configs, strict=True)]
        like = {"dtype": model.dtype, "device": model.device}
        self._shares = torch.zeros(len(folders), ends[-1], **like)
        for number, (config, place) in enumerate(zip(configs, places, strict=True)):
            root = config.r**0.5 if config.use_rslora else config.r
            self._shares[number, place] = config.lora_alpha / root
        self._share = self._shares[:1, None]
        self._matrices: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        for folder, place in zip(folders, places, strict=True):
            weights = load_file(folder / ADAPTER_WEIGHTS)
            for name in {key.removeprefix(PREFIX).rpartition(".lora_")[0] for key in weights}:
                a, b = (weights[f"{PREFIX}{name}.lora_{side}.weight"] for side in "AB")
                if name not in self._matrices:
                    self._matrices[name] = (
                        torch.zeros(ends[-1], a.shape[1], **like),
                        torch.zeros(b.shape[0], ends[-1], **like),
                    )
                self._matrices[name][0][place] = a
                self._matrices[name][1][:, place] = b
        self._layers = {name: model.get_submodule(name) for name in self._matrices}

    @classmethod
    @contextmanager
    def on(cls, model: Any, folders: Sequence[Path]) -> Iterator[Self]:
        """Use the adapters on the model's layers inside the block; the model is unchanged afterwards."""
        joined = cls(model, folders)
        try:
            for name, layer in joined._layers.items():
                layer.forward = joined._forward_of(layer, *joined._matrices[name])
            yield joined
        finally:
            for layer in joined._layers.values():
                layer.__dict__.pop("forward", None)

    def carry(self, adapters: torch.Tensor) -> None:
        """Set the adapter of each row for the next passes: int64 [rows], the adapters' numbers."""
        self._share = self._shares[adapters, None]

    def _forward_of(self, layer: Any, a: torch.Tensor, b: torch.Tensor) -> Callable[..., Any]:
        if len(self._shares) == 1 and type(layer) is torch.nn.Linear and layer.weight.dtype == torch.float32:
            whole = torch.addmm(layer.weight.detach(), b * self._shares, a)
            return lambda x: torch.nn.functional.linear(x, whole, layer.bias)
        original = layer.forward

        def forward(x: torch.Tensor) -> Any:
            return original(x) + ((x.to(a.dtype) @ a.T) * self._share) @ b.T

        return forward
