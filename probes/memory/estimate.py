"""The parts of a probe's peak memory, and their sum. torch is imported when a model is estimated."""

import warnings
from dataclasses import dataclass
from typing import Any

from probes.memory.workload import Workload
from probes.model.placement import places

GIB = 2**30
PROCESS_GB = 0.59
"""GiB of a CPU worker without its model: 0.52 after the imports, the rest from the first step on
(`python -m bench.memory`)."""
KEPT_BY_ALLOCATOR = {"float32": 1.25, "bfloat16": 1.65, "float16": 1.65}
"""Resident memory of a pass on a CPU, relative to its tensors: the allocator keeps freed blocks for a while, and half
precision is computed with float32 copies (measured by `python -m bench.memory` with SmolLM2-135M)."""
NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
"""Per weight: half a byte, and a quantised scale per block of 64."""
STATE_BYTES = {"adamw_torch": 2.0, "adamw_8bit": 0.5, "paged_adamw_8bit": 0.5}
"""Size of the optimizer's two moments, in units of a float32."""


@dataclass(frozen=True, kw_only=True)
class MemoryEstimate:
    """In GiB; with several GPUs, of the first, which holds most. ``weights``: the base. ``adapter``: its weights and
    the optimizer's states. ``training``: activations, logits and gradients of a forward and backward pass.
    ``answering``: cache, logits and random numbers of a pass. ``process``: the interpreter and its libraries, on a
    CPU."""

    weights: float
    adapter: float
    training: float
    answering: float
    process: float

    @property
    def peak(self) -> float:
        """Comparable to a reading's peak_gb. Training and answering come one after the other, so the larger counts."""
        return self.process + self.weights + self.adapter + max(self.training, self.answering)

    @property
    def largest(self) -> str:
        """The name of the largest part that settings can reduce."""
        parts = {"weights": self.weights, "training": self.training, "answering": self.answering}
        if self.training >= self.answering:
            del parts["answering"]
        else:
            del parts["training"]
        return max(parts, key=lambda name: parts[name])


def estimate(config: Any, work: Workload, trust_remote_code: bool = False) -> MemoryEstimate:
    """The estimate for a model of this configuration; no weights are read. RuntimeError or NotImplementedError if the
    model cannot be computed without data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of the libraries, which workers ignore, too
        return _estimate(config, work, trust_remote_code)


def _estimate(config: Any, work: Workload, trust_remote_code: bool) -> MemoryEstimate:
    from probes.memory.training import adapter_size, answer_peak, build, left_behind, train_peak, with_layers

    model = build(config, work, trust_remote_code)
    if work.gpus > 1:
        first = places(model, work.gpus, work.quantised).count(0)
        model = build(with_layers(config, max(1, first)), work, trust_remote_code)
    weights, dequantised = _weights(model, work)
    trained = adapter_size(model, work)
    item = 4 if work.computes_in == "float32" or (work.device != "cpu" and not work.quantised) else 2
    adapter = trained * (item + STATE_BYTES[work.recipe.optimizer] * item)
    answering = answer_peak(model, work)  # first, since the other passes change the model
    left = left_behind(model, work)
    kept = KEPT_BY_ALLOCATOR[work.computes_in] if work.device == "cpu" else 1.0
    return MemoryEstimate(
        weights=weights / GIB,
        adapter=adapter / GIB,
        training=(left + train_peak(model, work) * kept + dequantised) / GIB,
        answering=(answering * kept + dequantised) / GIB,
        process=PROCESS_GB if work.device == "cpu" else 0.0,
    )


def _weights(model: Any, work: Workload) -> tuple[float, int]:
    """Bytes of the base, and of its largest quantised layer once it is dequantised for a computation."""
    import torch

    from probes.memory.training import bytes_of

    whole = float(bytes_of(model.state_dict(keep_vars=True).values()))
    if not work.quantised:
        return whole, 0
    head = model.get_output_embeddings()
    layers = [m for m in model.modules() if isinstance(m, torch.nn.Linear) and m is not head]
    stored = sum(layer.weight.numel() for layer in layers)
    size = int(layers[0].weight.dtype.itemsize)
    freed = 0 if work.device == "cpu" else stored * size  # on a CPU, memory taken for loading stays resident
    return whole - freed + stored * NF4_BYTES, max(layer.weight.numel() for layer in layers) * size
