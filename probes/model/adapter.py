"""A LoRA adapter on a base model that serves others too: put on, taken off without a trace. Imports torch and peft."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, LoraModel, PeftModel, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from transformers.pytorch_utils import Conv1D

from lanes import Recipe
from probes.model.load import Base
from probes.model.target_modules import resolved

# PEFT 0.21 looks for a pattern of an expert's parameter among the modules alone; it does apply it.
warnings.filterwarnings("ignore", "The following (rank|alpha)_pattern keys did not match", RuntimeWarning)


@contextmanager
def adapted(base: Base, adapter: Path) -> Iterator[Any]:
    """The base with a saved adapter on it, in the base's own type; the bare base afterwards, also when the adapter
    cannot be loaded."""
    try:
        model = PeftModel.from_pretrained(base.model, str(adapter), autocast_adapter_dtype=False)
        cast_adapter(model, base.model.dtype)
        model.eval()
        yield model
    finally:
        take_off_adapter(base.model)


def lora_config(model: Any, recipe: Recipe) -> LoraConfig:
    """The adapter that a recipe trains on this model; ``target_modules.problem`` says whether it can be."""
    return LoraConfig(
        r=recipe.lora_rank,
        lora_alpha=recipe.lora_alpha,
        lora_dropout=recipe.lora_dropout,
        target_modules=resolved(model, recipe.lora_targets),
        fan_in_fan_out=_has_conv1d(model),
        task_type="CAUSAL_LM",
    )


def peft_refusal(model: Any, names: Sequence[str], dropout: float) -> str:
    """Why PEFT would put no adapter on these targets, as one sentence; "" where it would. The model may be on the meta
    device; it is left as it was."""
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    config = LoraConfig(
        r=1,
        lora_dropout=dropout,
        target_modules=resolved(model, names),
        fan_in_fan_out=_has_conv1d(model),
        task_type="CAUSAL_LM",
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            get_peft_model(model, config, low_cpu_mem_usage=True, autocast_adapter_dtype=False)
    except Exception as error:  # PEFT's own, of many kinds
        why = " ".join(str(error).split())[:300]
        return f"PEFT puts no adapter on lora_targets={'+'.join(names)} of this model ({why}); name other layers"
    finally:
        take_off_adapter(model)
        for parameter in trainable:
            parameter.requires_grad_(True)
    return ""


def _has_conv1d(model: Any) -> bool:
    return any(isinstance(module, Conv1D) for module in model.modules())


def put_on_new_adapter(base: Base, recipe: Recipe) -> Any:
    """A PeftModel with a fresh adapter in the base's own type, to be trained."""
    model = get_peft_model(base.model, lora_config(base.model, recipe), autocast_adapter_dtype=False)
    cast_adapter(model, base.model.dtype)
    return model


def cast_adapter(model: Any, dtype: torch.dtype) -> None:
    """PEFT makes the weights on a quantised layer in float32, since the layer's own type holds no fractions."""
    for module in model.modules():
        if isinstance(module, BaseTunerLayer):
            for name in module.adapter_layer_names:
                getattr(module, name).to(dtype)


class _Unloader(LoraModel):  # type: ignore[misc]
    """PEFT's own unloading for a model whose PeftModel nobody holds: after a start that failed, say."""

    def __init__(self, model: Any) -> None:
        torch.nn.Module.__init__(self)
        self.model = model


def take_off_adapter(model: Any) -> None:
    """Put each wrapped layer's own layer back in its place, however far the wrapping came."""
    _Unloader(model).unload()
    model.__dict__.pop("peft_config", None)
    model.__dict__.pop("_hf_peft_config_loaded", None)
