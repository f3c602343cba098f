"""A LoRA adapter on a base model that serves others too: put on, taken off without a trace. Imports peft."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer

from probes.base import Base


@contextmanager
def adapted(base: Base, adapter: Path) -> Iterator[Any]:
    """The base with a saved adapter on it; the bare base afterwards, also when the adapter cannot be loaded."""
    try:
        model = PeftModel.from_pretrained(base.model, str(adapter))
        model.eval()
        yield model
    finally:
        take_off_adapter(base.model)


def take_off_adapter(model: Any) -> None:
    """Put each wrapped layer's own layer back in its place: what PeftModel.unload does, also after a failed start."""
    for name, module in list(model.named_modules()):
        if isinstance(module, BaseTunerLayer):
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent) if parent else model, child, module.get_base_layer())
    model.__dict__.pop("peft_config", None)
    model.__dict__.pop("_hf_peft_config_loaded", None)
