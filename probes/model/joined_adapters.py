"""LoRA adapters of several probes on one base: each row of a forward pass sees its own. Imports torch and peft."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import torch
from peft import LoraConfig
from safetensors.torch import load_file

from probes.model.load import ADAPTER_WEIGHTS

PREFIX = "base_model.model."
"""What the names in PEFT's files begin with."""


class JoinedAdapters:
    """Saved adapters of linear layers without DoRA, by their place in ``folders``.

    The ranks of all of them lie side by side in two matrices per layer: B(share * A(x)), where a row's share is the
    scale of its own adapter at the ranks of that, and 0 at the others. So a layer has three products, however many
    adapters there are. A single adapter in float32 is added to a copy of the layer's weights, which leaves one product.
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
        """On the layers of a model, which is as before afterwards."""
        joined = cls(model, folders)
        try:
            for name, layer in joined._layers.items():
                layer.forward = joined._forward_of(layer, *joined._matrices[name])
            yield joined
        finally:
            for layer in joined._layers.values():
                layer.__dict__.pop("forward", None)

    def carry(self, adapters: torch.Tensor) -> None:
        """The number of the adapter of each row [rows] of the passes that follow."""
        self._share = self._shares[adapters, None]

    def _forward_of(self, layer: Any, a: torch.Tensor, b: torch.Tensor) -> Callable[..., Any]:
        if len(self._shares) == 1 and type(layer) is torch.nn.Linear and layer.weight.dtype == torch.float32:
            whole = torch.addmm(layer.weight.detach(), b * self._shares, a)
            return lambda x: torch.nn.functional.linear(x, whole, layer.bias)
        original = layer.forward

        def forward(x: torch.Tensor) -> Any:
            return original(x) + ((x.to(a.dtype) @ a.T) * self._share) @ b.T

        return forward
