"""Answers from base plus adapter, sampled so that both sides of a comparison draw the same random numbers.

A token is drawn by the Gumbel-max trick (Gumbel 1954; Maddison, Tarlow & Minka 2014): argmax(logits / T + g) is a
sample from the softmax. The noise g comes from a counter-based generator (Salmon et al. 2011) keyed by (sampling seed,
prompt, sample) and counted by (position, token), so it depends neither on the batch nor on the other prompts, and two
recipes with similar logits draw mostly the same tokens: common random numbers, which narrow a paired difference.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList
from transformers.generation import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from probes.sampling import Sampling as Sampling
from probes.sampling import row_key as row_key

_MASK_34 = (1 << 34) - 1
_MASK_37 = (1 << 37) - 1
_MASK_33 = (1 << 33) - 1


class CounterGumbel(LogitsProcessor):  # type: ignore[misc]
    """Adds Gumbel noise that depends on (row key, position, token) alone; greedy decoding after it is sampling."""

    def __init__(self, keys: torch.Tensor, prompt_length: int) -> None:
        self.keys = keys
        self.prompt_length = prompt_length

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        position = input_ids.shape[1] - self.prompt_length
        tokens = torch.arange(scores.shape[1], device=scores.device)
        uniform = counter_uniform(self.keys.to(scores.device), position, tokens)
        return scores.double() - torch.log(-torch.log(uniform))


def counter_uniform(keys: torch.Tensor, position: int, tokens: torch.Tensor) -> torch.Tensor:
    """Uniforms in (0, 1), float64, shape [rows, vocabulary], from int64 keys [rows]: two rounds of splitmix64."""
    state = _mix(keys + _signed(0x9E3779B97F4A7C15 * (position + 1)))[:, None]
    bits = _mix(state + tokens[None, :] * _signed(0xD1B54A32D192ED03))
    return (((bits >> 11) & ((1 << 53) - 1)).double() + 0.5) * 2.0**-53


def _mix(x: torch.Tensor) -> torch.Tensor:
    """splitmix64's finaliser (Steele, Lea & Flood 2014) on int64, whose products wrap; shifts are logical."""
    x = (x ^ ((x >> 30) & _MASK_34)) * _signed(0xBF58476D1CE4E5B9)
    x = (x ^ ((x >> 27) & _MASK_37)) * _signed(0x94D049BB133111EB)
    return x ^ ((x >> 31) & _MASK_33)


def _signed(value: int) -> int:
    """The int64 with the low 64 bits of ``value``."""
    value %= 1 << 64
    return value - (1 << 64) if value >= 1 << 63 else value


@torch.inference_mode()
def generate(model: Any, tokenizer: Any, prompts: Sequence[str], sampling: Sampling) -> list[list[str]]:
    """``sampling.samples`` answers for each prompt, indexed [prompt][sample], decoded without special tokens.

    Rows are batched by length, so a batch pads little; the answers come back in the order of ``prompts``.
    """
    rows = [(place, sample) for place in range(len(prompts)) for sample in range(sampling.samples)]
    lengths = [len(ids) for ids in tokenizer(list(prompts), add_special_tokens=False)["input_ids"]]
    rows.sort(key=lambda row: (lengths[row[0]], row))
    answers = [[""] * sampling.samples for _ in prompts]
    for start in range(0, len(rows), sampling.batch_size):
        batch = rows[start : start + sampling.batch_size]
        texts = _generate_batch(model, tokenizer, [prompts[place] for place, _ in batch], batch, sampling)
        for (place, sample), text in zip(batch, texts, strict=True):
            answers[place][sample] = text
    return answers


def _generate_batch(
    model: Any, tokenizer: Any, texts: list[str], rows: list[tuple[int, int]], sampling: Sampling
) -> list[str]:
    encoded = tokenizer(texts, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=False)
    encoded = {name: encoded[name].to(model.device) for name in ("input_ids", "attention_mask")}
    width = encoded["input_ids"].shape[1]
    keys = [row_key(sampling.seed, text, sample) for text, (_, sample) in zip(texts, rows, strict=True)]
    warpers: list[LogitsProcessor] = [TemperatureLogitsWarper(sampling.temperature)]
    if sampling.top_k:
        warpers.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        warpers.append(TopPLogitsWarper(sampling.top_p))
    warpers.append(CounterGumbel(torch.tensor(keys, dtype=torch.int64), width))
    config = GenerationConfig(
        do_sample=False,
        max_new_tokens=sampling.max_new_tokens,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=_stop_tokens(model, tokenizer),
        use_cache=True,
    )
    output = model.generate(**encoded, generation_config=config, logits_processor=LogitsProcessorList(warpers))
    texts_out: list[str] = tokenizer.batch_decode(output[:, width:], skip_special_tokens=True)
    return texts_out


def _stop_tokens(model: Any, tokenizer: Any) -> list[int]:
    """The tokenizer's end token and those of the model's own generation config (chat models have several)."""
    own = model.generation_config.eos_token_id
    listed = own if isinstance(own, list) else [own]
    return sorted({token for token in [tokenizer.eos_token_id, *listed] if token is not None})
