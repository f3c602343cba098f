"""Reads a GGUF adapter back, applies it to its base, and compares the logits with those of PEFT's adapter.

The check shares no code with the writer of the file: the ``gguf`` package reads it, and transformers' own loader of
GGUF models finds each tensor's parameter and restores the order of its rows. Imports torch and transformers.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gguf
import torch
from transformers.modeling_gguf_pytorch_utils import TENSOR_PROCESSORS, TensorProcessor, get_gguf_hf_weights_map

from common.errors import NightlaneError
from probes.model.sft_adapter import LowRankMatrices


@contextmanager
def gguf_applied(model: Any, path: Path) -> Iterator[Any]:
    """The model with a GGUF adapter on, as llama.cpp computes it: alpha / rank * B(A(x)) is added to a layer."""
    hooks = [
        model.get_submodule(layer).register_forward_hook(_added(pair)) for layer, pair in read_gguf(model, path).items()
    ]
    try:
        yield model
    finally:
        for hook in hooks:
            hook.remove()


def _added(pair: LowRankMatrices) -> Callable[[Any, tuple[torch.Tensor, ...], torch.Tensor], torch.Tensor]:
    """A forward hook that adds B(A(x)) in float32."""

    def hook(layer: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        a, b = pair.a.to(output.device), pair.b.to(output.device)
        added = torch.nn.functional.linear(torch.nn.functional.linear(inputs[0].float(), a), b)
        return output + added.to(output.dtype)

    return hook


def read_gguf(model: Any, path: Path) -> dict[str, LowRankMatrices]:
    """The matrices of a GGUF adapter by the layer of the model, scaled. NightlaneError for an unknown tensor."""
    reader = gguf.GGUFReader(path)
    alpha = float(reader.fields[gguf.Keys.Adapter.LORA_ALPHA].contents())
    architecture = str(reader.fields[gguf.Keys.General.ARCHITECTURE].contents())
    config = model.config.get_text_config()
    processor = TENSOR_PROCESSORS.get(architecture, TensorProcessor)(config=config.to_dict())
    decoder = model.get_decoder()
    start = next(name for name, module in model.named_modules() if module is decoder)
    parameters = get_gguf_hf_weights_map(
        decoder, TensorProcessor(), architecture, config.num_hidden_layers, qual_name=f"{start}."
    )
    tensors = {one.name: gguf.dequantize(one.data, one.tensor_type) for one in reader.tensors}
    pairs = {}
    for name in tensors:
        tensor, _, side = name.rpartition(".")
        if side != "lora_a":
            continue
        if tensor not in parameters:
            raise NightlaneError(f"{path} holds {tensor}, which is not a tensor of its base; report this as a defect")
        a, b = tensors[name], processor.process(tensors[f"{tensor}.lora_b"], name=tensor).weights
        scaled = torch.from_numpy(b.copy()) * (alpha / a.shape[0])
        pairs[parameters[tensor].removesuffix(".weight")] = LowRankMatrices(torch.from_numpy(a.copy()), scaled)
    return pairs
