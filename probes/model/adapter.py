"""Adds LoRA adapters to a shared base model and removes them without a trace. Imports torch and peft."""

import warnings
from collections.abc import Collection, Iterator, Sequence
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

# PEFT 0.21 warns because it looks for patterns of experts' parameters among modules only, but it applies them.
warnings.filterwarnings("ignore", "The following (rank|alpha)_pattern keys did not match", RuntimeWarning)


@contextmanager
def adapted(base: Base, adapter: Path) -> Iterator[Any]:
    """The base with a saved adapter, in the base's data type. The adapter is always removed, also if loading fails."""
    try:
        model = PeftModel.from_pretrained(base.model, str(adapter), autocast_adapter_dtype=False)
        cast_adapter(model, base.model.dtype)
        model.eval()
        yield model
    finally:
        take_off_adapter(base.model)


def lora_config(model: Any, recipe: Recipe) -> LoraConfig:
    """PEFT's configuration of a recipe's adapter; ``target_modules.problem`` has the reasons why one is impossible."""
    return LoraConfig(
        r=recipe.lora_rank,
        lora_alpha=recipe.lora_alpha,
        use_rslora=recipe.lora_scaling == "rslora",
        use_dora=recipe.lora_variant == "dora",
        init_lora_weights=True if recipe.lora_init == "kaiming" else recipe.lora_init,
        lora_dropout=recipe.lora_dropout,
        target_modules=resolved(model, recipe.lora_targets),
        fan_in_fan_out=_has_conv1d(model),
        task_type="CAUSAL_LM",
    )


def peft_refusal(model: Any, names: Sequence[str], dropout: float, dora: bool = False) -> str:
    """The reason why PEFT refuses an adapter on these targets, in one sentence; "" if it accepts.

    The model may be on the meta device, and is unchanged afterwards.
    """
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    config = LoraConfig(
        r=1,
        lora_dropout=dropout,
        use_dora=dora,
        target_modules=resolved(model, names),
        fan_in_fan_out=_has_conv1d(model),
        task_type="CAUSAL_LM",
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            get_peft_model(model, config, low_cpu_mem_usage=True, autocast_adapter_dtype=False)
    except Exception as error:  # PEFT raises many kinds
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
    """A PeftModel with a new adapter in the base's data type, for training."""
    model = get_peft_model(base.model, lora_config(base.model, recipe), autocast_adapter_dtype=False)
    # DoRA's magnitudes change by steps that bfloat16 cannot resolve.
    cast_adapter(model, base.model.dtype, but=("lora_magnitude_vector",))
    return model


def cast_adapter(model: Any, dtype: torch.dtype, but: Collection[str] = ()) -> None:
    """Cast the adapter's weights, which PEFT creates in float32 on quantised layers."""
    for module in model.modules():
        if isinstance(module, BaseTunerLayer):
            for name in module.adapter_layer_names:
                if name not in but:
                    getattr(module, name).to(dtype)


class _Unloader(LoraModel):  # type: ignore[misc]
    """PEFT's unloading for a model without its PeftModel, such as after a failed start."""

    def __init__(self, model: Any) -> None:
        torch.nn.Module.__init__(self)
        self.model = model


def take_off_adapter(model: Any) -> None:
    """Put back the original of each layer that PEFT has wrapped, also if PEFT failed halfway."""
    _Unloader(model).unload()
    model.__dict__.pop("peft_config", None)
    model.__dict__.pop("_hf_peft_config_loaded", None)
