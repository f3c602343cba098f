"""Merges an adapter into its unquantised base. Imports torch and peft."""

from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from common.errors import BadInput
from probes.inputs.settings import ModelSettings
from probes.model.load import load_base, locate, options, stored


def write_merged(settings: ModelSettings, folder: Path, adapter: Path, output: Path, device: str) -> torch.dtype:
    """Write the base with the adapter merged in as an ordinary model folder, in the base's own data type; returns it.

    The sum is computed in float32: in bfloat16, an update below 1/256 of a weight would be lost twice. BadInput if the
    adapter does not fit the base, or if the merged weights are not finite.
    """
    base = load_base(settings.model_copy(update={"dtype": "float32", "adapter": None}), folder, "none", device)
    kept = _stored_dtype(settings, folder)
    try:
        model: Any = PeftModel.from_pretrained(base.model, str(adapter)).merge_and_unload(safe_merge=True)
    except (RuntimeError, ValueError, KeyError) as error:
        why = " ".join(str(error).split())[:200]
        raise BadInput(
            f"{adapter} cannot be merged into {settings.path} ({why}); give the base it was trained on"
        ) from None
    model.to(kept).save_pretrained(output)
    base.renderer.tokenizer.save_pretrained(output)
    return kept


def _stored_dtype(settings: ModelSettings, folder: Path) -> torch.dtype:
    """The type of the base's weights on disk; float32 if its configuration does not say."""
    from transformers import AutoConfig

    found = AutoConfig.from_pretrained(**stored(locate(settings, folder)), **options(settings)).dtype
    return found if isinstance(found, torch.dtype) else torch.float32
