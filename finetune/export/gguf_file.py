"""Writes a LoRA adapter as a GGUF file with the ``gguf`` package, as llama.cpp reads one.

Matrices are in float32, which holds every type that PEFT saves exactly. The names of tensors come from the tables of
the ``gguf`` package. llama.cpp keeps the rows of q and k of Llama's architecture in another order than transformers
(its rotary embedding pairs neighbours), so B of an adapter on them is reordered.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import gguf
import numpy
import torch

from common.errors import BadInput
from finetune.export.base import ExportBase
from finetune.export.lora_weights import LoraWeights

NAME = "adapter.gguf"
REORDERED = frozenset({gguf.MODEL_TENSOR.ATTN_Q, gguf.MODEL_TENSOR.ATTN_K})


@dataclass(frozen=True)
class Architecture:
    """``model_type``: the name in transformers; ``gguf``: that in llama.cpp; ``reorders``: whether llama.cpp keeps the
    rows of q and k in another order."""

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
    """Names of the tensors of one base model. ``config``: transformers' configuration of its text model."""

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


def write_gguf(path: Path, name: str, lora: LoraWeights, base: ExportBase) -> None:
    """``name``: of the adapter, for people. BadInput for a layer that llama.cpp does not know."""
    names = TensorNames(base.config)
    writer = gguf.GGUFWriter(path, names.architecture_name)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_name(name)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, lora.gguf_alpha)
    _add_base(writer, base)
    for layer, (a, b) in lora.pairs.items():
        tensor = names.name(layer)
        if tensor is None:
            raise BadInput(
                f"llama.cpp has no tensor for the layer {layer} of {names.architecture_name}; train without it, or "
                "merge with --to merged"
            )
        for side, matrix in (("lora_a", a), ("lora_b", names.rows(layer, b))):
            writer.add_tensor(f"{tensor}.{side}", matrix.contiguous().numpy().view(_Tensor))
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


class _Tensor(numpy.ndarray[Any, Any]):
    """A C-contiguous matrix whose ``tofile`` raises every disk error: numpy's own loses errors of the last bytes."""

    def tofile(self, fid: IO[bytes], *_: object) -> None:  # type: ignore[override]
        fid.write(self.data)


def _add_base(writer: gguf.GGUFWriter, base: ExportBase) -> None:
    """Write the name of the unquantised base, without a path, which means nothing on another machine."""
    writer.add_base_model_count(1)
    writer.add_base_model_name(0, base.hub_id.rpartition("/")[2] or Path(base.where).name)
    if base.hub_id:
        writer.add_base_model_organization(0, base.hub_id.partition("/")[0])
        writer.add_base_model_repo_url(0, f"https://huggingface.co/{base.hub_id}")
