"""A random two-layer model with a byte-level tokenizer; material and recipes for it and the simulated study's data."""

from pathlib import Path
from typing import Any

from lanes import Recipe
from probes.inputs.material import Material
from probes.inputs.settings import DataSettings, ModelSettings, ProbeSettings, PromptSettings
from probes.scoring.execution.scorer import ExecutionSettings
from testing.simulated_study import pairs


def write_model(folder: Path, hidden: int = 64) -> None:
    """A Qwen3-shaped model of about 60,000 parameters with a byte-level BPE of 300 tokens."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["<eos>", "<pad>"], initial_alphabet=alphabet)
    tokenizer.train_from_iterator([pair["chosen"] for pair in pairs("good")], trainer)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<pad>")
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(wrapped),
        hidden_size=hidden,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        eos_token_id=wrapped.eos_token_id,
        pad_token_id=wrapped.pad_token_id,
        bos_token_id=None,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    wrapped.save_pretrained(folder)


def material(folder: Path, **probe: Any) -> Material:
    settings = {"steps": 4, "samples": 2, "max_new_tokens": 12, "seeds": (42, 123), **probe}
    return Material(
        folder,
        ModelSettings(path="model"),
        DataSettings(
            sources={"good": "good.jsonl", "broken": "broken.jsonl"},
            manifests={"even": {"good": 1, "broken": 1}, "good_only": {"good": 1}},
        ),
        PromptSettings(file="prompts.jsonl"),
        ExecutionSettings(),
        ProbeSettings(**settings),
    )


def recipe(**changes: Any) -> Recipe:
    base = {
        "learning_rate": 1e-3,
        "lora_rank": 4,
        "lora_alpha": 8,
        "lora_dropout": 0.1,
        "effective_batch": 4,
        "max_length": 128,
        "mixture": {"good": 1, "broken": 1},
    }
    return Recipe.model_validate({**base, **changes})


def write_adapter(model: Path, folder: Path) -> None:
    """LoRA weights that change what the model says."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    config = LoraConfig(r=4, lora_alpha=64, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    get_peft_model(AutoModelForCausalLM.from_pretrained(model), config).save_pretrained(folder)
