"""Places a base on several GPUs: its layers in order over all of them; everything else on the first, with the inputs,
logits and loss, where the trainers and the sampler expect them.

The placement depends on sizes alone, not on free memory, so that all workers place a base alike.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any

QUANTISED = 0.25
"""The size of an NF4 layer relative to half precision."""


def gpus_of_layers(layers: Sequence[float], rest: float, gpus: int) -> list[int]:
    """The GPU of each layer, so that all GPUs hold about as much. ``layers``: their sizes; ``rest``: the size of
    everything else, which is on the first GPU."""
    share = (rest + sum(layers)) / gpus
    ends = accumulate(layers, initial=rest)
    return [min(gpus - 1, int((end + size / 2) / share)) for size, end in zip(layers, ends, strict=False)]


def decoder_layers(model: Any) -> Any:
    """The list of a model's layers."""
    import torch

    return next(part for part in model.get_decoder().children() if isinstance(part, torch.nn.ModuleList))


def places(model: Any, gpus: int, quantised: bool) -> list[int]:
    """The GPU of each layer of this model, which may be on the meta device."""
    layers = [_bytes(layer) for layer in decoder_layers(model)]
    scale = QUANTISED if quantised else 1.0
    return gpus_of_layers([size * scale for size in layers], _bytes(model) - sum(layers), gpus)


def device_map(model: Any, gpus: int, quantised: bool) -> dict[str, int]:
    """transformers' device_map of this model, which may be on the meta device."""
    return dict(_placed(model, decoder_layers(model), places(model, gpus, quantised), ""))


def hand_over(model: Any) -> None:
    """Move each layer's output to the GPU of the next layer before that layer starts: when activations are recomputed,
    torch repeats the random numbers only on the GPU that holds the layer's input."""
    from accelerate.utils import send_to_device

    for layer, after in pairwise(decoder_layers(model)):
        here, there = (next(one.parameters()).device for one in (layer, after))
        if here != there:
            layer.register_forward_hook(lambda *given, there=there: send_to_device(given[-1], there))


def _placed(module: Any, layers: Any, gpus: Sequence[int], prefix: str) -> Iterator[tuple[str, int]]:
    for name, _ in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
        yield f"{prefix}{name}", 0
    for name, part in module.named_children():
        if part is layers:
            yield from ((f"{prefix}{name}.{number}", gpu) for number, gpu in enumerate(gpus))
        elif any(one is layers for one in part.modules()):
            yield from _placed(part, layers, gpus, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", 0


def _bytes(module: Any) -> float:
    sizes = {id(one): one.numel() * one.dtype.itemsize for one in module.parameters()}
    return float(sum(sizes.values()))
