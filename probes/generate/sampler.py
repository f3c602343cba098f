"""Answers from base plus adapter, sampled so that both sides of a comparison draw the same random numbers.

A token is drawn by the Gumbel-max trick (Gumbel 1954; Maddison, Tarlow & Minka 2014): argmax(logits / T + g) is a
sample from the softmax. The noise g comes from a counter-based generator (Salmon et al. 2011) keyed by (sampling seed,
prompt, sample) and counted by (position, token), so it depends neither on the batch nor on the other prompts, and two
recipes with similar logits draw mostly the same tokens: common random numbers, which narrow a paired difference.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import LogitsProcessor
from transformers.generation import (
    StopStringCriteria,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from probes.generate.decoding import Choose, IsOver, decode
from probes.generate.random_keys import Sampling as Sampling
from probes.generate.random_keys import row_key as row_key
from probes.generate.sampled_text import SampledText
from probes.rendering.renderer import RenderedPrompt, Renderer

_MASK_34 = (1 << 34) - 1
_MASK_37 = (1 << 37) - 1
_MASK_33 = (1 << 33) - 1


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


def generate(
    model: Any, renderer: Renderer, questions: Sequence[RenderedPrompt], sampling: Sampling
) -> list[list[str]]:
    """The texts of ``sample`` alone."""
    return [[one.text for one in own] for own in sample(model, renderer, questions, sampling)]


def sample(
    model: Any, renderer: Renderer, questions: Sequence[RenderedPrompt], sampling: Sampling
) -> list[list[SampledText]]:
    """``sampling.samples`` answers for each question, indexed [question][sample], as the text that continues it.

    Prompts are batched by length, so a batch pads little; the answers come back in the order of ``questions``.
    """
    places = sorted(range(len(questions)), key=lambda place: (len(questions[place].ids), place))
    at_once = max(1, sampling.batch_size // sampling.samples)
    ends = _end_tokens(model, renderer)
    answers: dict[int, list[SampledText]] = {}
    for start in range(0, len(places), at_once):
        batch = places[start : start + at_once]
        asked = [questions[place] for place in batch]
        for place, question, own in zip(batch, asked, _drawn(model, renderer, asked, sampling, ends), strict=True):
            answers[place] = [_sampled(renderer, question, ids, ends) for ids in own]
    return [answers[place] for place in range(len(questions))]


def _sampled(renderer: Renderer, question: RenderedPrompt, ids: Sequence[int], ends: frozenset[int]) -> SampledText:
    ended = not ends.isdisjoint(ids) or renderer.holds_stop_text(question, ids)
    return SampledText(renderer.answer(question, ids), "stop" if ended else "length", len(ids))


def _drawn(
    model: Any, renderer: Renderer, questions: Sequence[RenderedPrompt], sampling: Sampling, ends: frozenset[int]
) -> list[list[list[int]]]:
    """The ids that were drawn behind each question, indexed [question][sample]. More samples than a batch may have rows
    are drawn in several turns."""
    samples = range(sampling.samples)
    turns = [samples[start : start + sampling.batch_size] for start in samples[:: sampling.batch_size]]
    found: list[list[list[int]]] = [[] for _ in questions]
    for turn in turns:
        keys = [row_key(sampling.seed, question.text, number) for question in questions for number in turn]
        ids = decode(
            model,
            [question.ids for question in questions],
            len(turn),
            _choice(sampling, torch.tensor(keys, dtype=torch.int64, device=model.device)),
            _ending(renderer, ends, model.device),
            sampling.max_new_tokens,
        )
        for place, own in enumerate(found):
            own += ids[place * len(turn) : (place + 1) * len(turn)]
    return found


def _choice(sampling: Sampling, keys: torch.Tensor) -> Choose:
    """Draws with the random numbers of these keys, one for each row."""
    warpers: list[LogitsProcessor] = [TemperatureLogitsWarper(sampling.temperature)]
    if sampling.top_k:
        warpers.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        warpers.append(TopPLogitsWarper(sampling.top_p))

    def choose(logits: torch.Tensor, rows: torch.Tensor, position: int) -> torch.Tensor:
        scores = logits.float()
        for warper in warpers:
            scores = warper(None, scores)
        return add_gumbel(scores, keys[rows.to(keys.device)], position).argmax(-1)

    return choose


def add_gumbel(scores: torch.Tensor, keys: torch.Tensor, position: int) -> torch.Tensor:
    """Scores [rows, vocabulary] with noise that depends on (row key, position, token) alone: the argmax is a sample."""
    tokens = torch.arange(scores.shape[1], device=scores.device)
    return scores.double() - torch.log(-torch.log(counter_uniform(keys, position, tokens)))


def _ending(renderer: Renderer, ends: frozenset[int], device: Any) -> IsOver:
    """Whether the last token is one of ``ends``, or completes a text that ends an answer."""
    last = torch.tensor(sorted(ends), dtype=torch.int64, device=device)
    texts = list(renderer.stop.texts)
    criterion = StopStringCriteria(renderer.tokenizer, texts) if texts else None

    def is_over(ids: torch.Tensor) -> torch.Tensor:
        over = torch.isin(ids[:, -1], last)
        return over if criterion is None else over | criterion(ids, None)

    return is_over


def _end_tokens(model: Any, renderer: Renderer) -> frozenset[int]:
    """Those of the rendering, and those of the model's own generation config (chat models have several)."""
    own = model.generation_config.eos_token_id
    own = own if isinstance(own, list) else [own]
    return frozenset([*renderer.stop.ids, *(token for token in own if token is not None)])
