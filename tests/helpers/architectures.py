"""Tiny random models of the architectures that people train: two layers, a few ten thousand parameters.

``write`` saves one with its tokenizer as a folder that ``[model] path`` can name.
"""

from pathlib import Path
from typing import Any

VOCABULARY = 320
POSITIONS = 256
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": POSITIONS,
}
EXPERTS: dict[str, Any] = {"num_experts_per_tok": 2, "moe_intermediate_size": 16}
VISION: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 28,
    "patch_size": 14,
}

CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", SIZES),
    "mistral": ("MistralConfig", SIZES),
    "gemma2": ("Gemma2Config", {**SIZES, "head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 64}),
    "gemma3": ("Gemma3TextConfig", {**SIZES, "head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 64}),
    "phi3": ("Phi3Config", SIZES),
    "gpt2": (
        "GPT2Config",
        {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": POSITIONS},
    ),
    "qwen2": ("Qwen2Config", SIZES),
    "qwen3": ("Qwen3Config", {**SIZES, "head_dim": 8}),
    "qwen3_moe": ("Qwen3MoeConfig", {**SIZES, **EXPERTS, "head_dim": 8, "num_experts": 4}),
    "mixtral": ("MixtralConfig", {**SIZES, "num_experts_per_tok": 2, "num_local_experts": 4}),
    "gemma3_vision": ("Gemma3Config", {}),
}
NAMES = tuple(CONFIGS)
MIXTURES_OF_EXPERTS = ("qwen3_moe", "mixtral")


def config(name: str, tokenizer: Any, **changes: Any) -> Any:
    """The configuration of an architecture, with the tokenizer's special tokens in it."""
    import transformers

    kind, sizes = CONFIGS[name]
    special = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    if name == "gemma3_vision":
        text = config("gemma3", tokenizer, **changes)
        vision, rows = transformers.SiglipVisionConfig(**VISION), text.vocab_size
        return transformers.Gemma3Config(
            text_config=text,
            vision_config=vision,
            mm_tokens_per_image=4,
            boi_token_index=rows - 3,
            eoi_token_index=rows - 2,
            image_token_index=rows - 1,
            **special,
        )
    return getattr(transformers, kind)(**{**sizes, **special, **changes})


def write(name: str, folder: Path, tokenizer: Any, **changes: Any) -> None:
    """Save a random model of an architecture and the tokenizer. ``changes``: fields of its text configuration."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config(name, tokenizer, **changes), dtype=torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():  # with the usual initial weights, all logits are nearly equal
            if parameter.dim() > 1:
                parameter.mul_(4)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def byte_tokenizer() -> Any:
    """A byte-level tokenizer of 258 tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=258, special_tokens=["<eos>", "<pad>"], initial_alphabet=alphabet)
    tokenizer.train_from_iterator([], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<pad>")
