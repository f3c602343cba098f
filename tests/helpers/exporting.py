"""Tiny models of each architecture with an adapter, for tests of the export."""

import json
from pathlib import Path
from typing import Any

import architectures

LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LANGUAGE_LAYERS = rf".*language_model.*\.({'|'.join(LAYERS)})"
"""The modules of the language model alone: those of the vision tower have the same names."""


def write(folder: Path, architecture: str = "llama", **lora: Any) -> Path:
    """Write a base to ``model``, and a random adapter on all of its linear layers to ``adapter``; returns the
    latter."""
    architectures.write(architecture, folder / "model", architectures.byte_tokenizer())
    return write_adapter(folder / "model", folder / "adapter", **lora)


def write_adapter(model: Path, folder: Path, **lora: Any) -> Path:
    """``lora``: fields of PEFT's configuration."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    base = AutoModelForCausalLM.from_pretrained(model)
    targets = LANGUAGE_LAYERS if hasattr(base.config, "vision_config") else LAYERS
    values = {"r": 4, "lora_alpha": 6, "target_modules": targets, "init_lora_weights": False, "task_type": "CAUSAL_LM"}
    get_peft_model(base, LoraConfig(**{**values, **lora})).save_pretrained(folder)
    return folder


def change_config(adapter: Path, **changes: Any) -> None:
    """Change fields of adapter_config.json."""
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


def weaken(adapter: Path, factor: float) -> None:
    """Scale all B matrices, so that a random adapter changes a real model about as much as a trained one does."""
    from safetensors.torch import load_file, save_file

    path = adapter / "adapter_model.safetensors"
    weights = {name: value * (factor if "lora_B" in name else 1.0) for name, value in load_file(path).items()}
    save_file(weights, path, {"format": "pt"})
