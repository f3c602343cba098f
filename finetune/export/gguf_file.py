"""Writes a LoRA adapter as a GGUF file with the ``gguf`` package, as llama.cpp reads one.

Matrices are in float32, which holds every type that PEFT saves exactly.
"""

from pathlib import Path
from typing import IO, Any

import gguf
import numpy

from common.errors import BadInput
from finetune.export.base import ExportBase
from finetune.export.gguf_names import TensorNames
from finetune.export.lora_weights import LoraWeights

NAME = "adapter.gguf"


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
    """A matrix, C-contiguous, whose write tells every error of the disk: numpy's own loses those of its last bytes."""

    def tofile(self, fid: IO[bytes], *_: object) -> None:  # type: ignore[override]
        fid.write(self.data)


def _add_base(writer: gguf.GGUFWriter, base: ExportBase) -> None:
    """Name the unquantised base; the path of a folder on this machine would tell nobody."""
    writer.add_base_model_count(1)
    writer.add_base_model_name(0, base.hub_id.rpartition("/")[2] or Path(base.where).name)
    if base.hub_id:
        writer.add_base_model_organization(0, base.hub_id.partition("/")[0])
        writer.add_base_model_repo_url(0, f"https://huggingface.co/{base.hub_id}")
