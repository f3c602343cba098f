"""Writes a LoRA adapter as a GGUF file with the ``gguf`` package, as llama.cpp reads one.

Matrices are in float32, which holds every type that PEFT saves exactly.
"""

from pathlib import Path

import gguf

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
        writer.add_tensor(f"{tensor}.lora_a", a.contiguous().numpy())
        writer.add_tensor(f"{tensor}.lora_b", names.rows(layer, b).numpy())
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def _add_base(writer: gguf.GGUFWriter, base: ExportBase) -> None:
    """Name the unquantised base; the path of a folder on this machine would tell nobody."""
    writer.add_base_model_count(1)
    writer.add_base_model_name(0, base.hub_id.rpartition("/")[2] or Path(base.where).name)
    if base.hub_id:
        writer.add_base_model_organization(0, base.hub_id.partition("/")[0])
        writer.add_base_model_repo_url(0, f"https://huggingface.co/{base.hub_id}")
