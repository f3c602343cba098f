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

from probes.generate.random_keys import Sampling as Sampling
from probes.generate.random_keys import row_key as row_key
from probes.generate.sampled_text import SampledText
from probes.rendering.renderer import Question, Renderer

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


def generate(model: Any, renderer: Renderer, questions: Sequence[Question], sampling: Sampling) -> list[list[str]]:
    """The texts of ``sample`` alone."""
    return [[one.text for one in own] for own in sample(model, renderer, questions, sampling)]


@torch.inference_mode()
def sample(
    model: Any, renderer: Renderer, questions: Sequence[Question], sampling: Sampling
) -> list[list[SampledText]]:
    """``sampling.samples`` answers for each question, indexed [question][sample], as the text that continues it.

    Rows are batched by length, so a batch pads little; the answers come back in the order of ``questions``.
    """
    rows = [(place, sample) for place in range(len(questions)) for sample in range(sampling.samples)]
    rows.sort(key=lambda row: (len(questions[row[0]].ids), row))
    answers: dict[tuple[int, int], SampledText] = {}
    ends = _end_tokens(model, renderer)
    for start in range(0, len(rows), sampling.batch_size):
        batch = rows[start : start + sampling.batch_size]
        drawn = _generate_batch(model, renderer, [(questions[place], sample) for place, sample in batch], sampling)
        for row, ids in zip(batch, drawn, strict=True):
            answers[row] = _sampled(renderer, questions[row[0]], ids, ends)
    return [[answers[place, sample] for sample in range(sampling.samples)] for place in range(len(questions))]


def _sampled(renderer: Renderer, question: Question, ids: Sequence[int], ends: frozenset[int]) -> SampledText:
    """The answer in the ids that were drawn behind a question. Behind its end, the batch may have padded it."""
    ended = not ends.isdisjoint(ids) or renderer.holds_stop_text(question, ids)
    return SampledText(renderer.answer(question, ids), "stop" if ended else "length", _drawn(renderer, ids, ends))


def _drawn(renderer: Renderer, ids: Sequence[int], ends: frozenset[int]) -> int:
    """How many of the ids were drawn, to the end token; those behind it, or behind a stop text, are padding."""
    for place, token in enumerate(ids, 1):
        if token in ends:
            return place
    fill = _fill(renderer)
    return next((place for place in range(len(ids), 0, -1) if ids[place - 1] != fill), 0)


def _fill(renderer: Renderer) -> int:
    """The token that pads a batch."""
    known = renderer.tokenizer.pad_token_id
    return 0 if known is None else int(known)


def _generate_batch(
    model: Any, renderer: Renderer, rows: Sequence[tuple[Question, int]], sampling: Sampling
) -> list[list[int]]:
    """The ids that were drawn behind each question."""
    tokenizer, width = renderer.tokenizer, max(len(question.ids) for question, _ in rows)
    padding = [width - len(question.ids) for question, _ in rows]
    fill = _fill(renderer)
    ids = [[fill] * pad + list(question.ids) for pad, (question, _) in zip(padding, rows, strict=True)]
    mask = [[0] * pad + [1] * (width - pad) for pad in padding]
    encoded = {
        name: torch.tensor(values, device=model.device)
        for name, values in (("input_ids", ids), ("attention_mask", mask))
    }
    keys = [row_key(sampling.seed, question.text, sample) for question, sample in rows]
    warpers: list[LogitsProcessor] = [TemperatureLogitsWarper(sampling.temperature)]
    if sampling.top_k:
        warpers.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        warpers.append(TopPLogitsWarper(sampling.top_p))
    warpers.append(CounterGumbel(torch.tensor(keys, dtype=torch.int64), width))
    stop = renderer.stop
    config = GenerationConfig(
        do_sample=False,
        max_new_tokens=sampling.max_new_tokens,
        pad_token_id=fill,
        eos_token_id=sorted(_end_tokens(model, renderer)) or None,
        use_cache=True,
    )
    texts = {"stop_strings": list(stop.texts), "tokenizer": tokenizer} if stop.texts else {}
    output = model.generate(**encoded, generation_config=config, logits_processor=LogitsProcessorList(warpers), **texts)
    found: list[list[int]] = output[:, width:].tolist()
    return found


def _end_tokens(model: Any, renderer: Renderer) -> frozenset[int]:
    """Those of the rendering, and those of the model's own generation config (chat models have several)."""
    own = model.generation_config.eos_token_id
    own = own if isinstance(own, list) else [own]
    return frozenset([*renderer.stop.ids, *(token for token in own if token is not None)])
