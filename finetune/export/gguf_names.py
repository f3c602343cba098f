"""The architectures that a GGUF adapter can be for, and the names and row order of their tensors.

Names come from the tables of the ``gguf`` package. llama.cpp keeps the rows of q and k of Llama's architecture in
another order than transformers (its rotary embedding pairs neighbours), so B of an adapter on them is reordered.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import gguf
import torch

from common.errors import BadInput

REORDERED = frozenset({gguf.MODEL_TENSOR.ATTN_Q, gguf.MODEL_TENSOR.ATTN_K})


@dataclass(frozen=True)
class Architecture:
    """``model_type``: as transformers names it; ``gguf``: as llama.cpp does; ``reorders``: whether the rows of q and k
    have another order there."""

    model_type: str
    gguf: gguf.MODEL_ARCH
    reorders: bool = False


ARCHITECTURES = (
    Architecture("llama", gguf.MODEL_ARCH.LLAMA, reorders=True),
    Architecture("mistral", gguf.MODEL_ARCH.LLAMA, reorders=True),
    Architecture("qwen2", gguf.MODEL_ARCH.QWEN2),
    Architecture("qwen3", gguf.MODEL_ARCH.QWEN3),
    Architecture("gemma2", gguf.MODEL_ARCH.GEMMA2),
    Architecture("gemma3_text", gguf.MODEL_ARCH.GEMMA3),
)


class TensorNames:
    """The tensors of one base model. ``config``: of its text model, by transformers."""

    def __init__(self, config: Any) -> None:
        self.architecture = architecture_of(config)
        self._config = config
        self._map = gguf.get_tensor_name_map(self.architecture.gguf, config.num_hidden_layers)

    @property
    def architecture_name(self) -> str:
        return gguf.MODEL_ARCH_NAMES[self.architecture.gguf]

    def name(self, layer: str) -> str | None:
        """The tensor of a linear layer of the decoder (layers.0.self_attn.q_proj); None for an unknown layer."""
        found = self._map.get_name(f"model.{layer}")
        return None if found is None else f"{found}.weight"

    def rows(self, layer: str, b: torch.Tensor) -> torch.Tensor:
        """B [outputs, rank] of a layer with its rows in llama.cpp's order."""
        kind = self._map.get_type(f"model.{layer}")
        if not self.architecture.reorders or kind not in REORDERED:
            return b
        query = kind is gguf.MODEL_TENSOR.ATTN_Q
        heads = self._config.num_attention_heads if query else self._config.num_key_value_heads
        return reordered(b, heads)


def reordered(rows: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows of each head from halves (0 1 2 | 3 4 5) to neighbours (0 3 1 4 2 5)."""
    halves = rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
    return halves.swapaxes(1, 2).reshape(rows.shape).contiguous()


def architecture_of(config: Any) -> Architecture:
    """BadInput for an architecture for which no GGUF adapter is written."""
    found = next((one for one in ARCHITECTURES if one.model_type == config.model_type), None)
    if found is None:
        raise BadInput(
            f"a GGUF adapter is written for {names(ARCHITECTURES)}, and the base is {config.model_type}; serve PEFT's "
            "own files with --to adapter and vLLM, or merge with --to merged"
        )
    return found


def names(architectures: Iterable[Architecture]) -> str:
    return ", ".join(one.model_type for one in architectures)
