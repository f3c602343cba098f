"""Answers from base plus adapter, sampled so that both sides of a comparison draw the same random numbers.

A token is drawn by the Gumbel-max trick (Gumbel 1954; Maddison, Tarlow & Minka 2014): argmax(logits / T + g) is a
sample from the softmax. The noise g comes from a counter-based generator (Salmon et al. 2011) keyed by (sampling seed,
prompt, sample) and counted by (position, token), so it depends neither on the batch nor on the other prompts, and two
recipes with similar logits draw mostly the same tokens: common random numbers, which narrow a paired difference.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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
    """Like ``sample``, but only the texts."""
    return [[one.text for one in own] for own in sample(model, renderer, questions, sampling)]


def sample(
    model: Any, renderer: Renderer, questions: Sequence[RenderedPrompt], sampling: Sampling
) -> list[list[SampledText]]:
    """``sampling.samples`` answers for each question, indexed [question][sample], as the text that continues it."""
    [answers] = sample_each(model, renderer, [AdapterQuestions(questions, sampling)])
    return answers


@dataclass(frozen=True, slots=True)
class AdapterQuestions:
    """The questions to one adapter. Adapters that are asked together have equal ``sampling`` except ``samples`` and
    ``seed``."""

    questions: Sequence[RenderedPrompt]
    sampling: Sampling


def sample_each(
    model: Any,
    renderer: Renderer,
    asked: Sequence[AdapterQuestions],
    carry: Callable[[torch.Tensor], None] = lambda _: None,
) -> Iterator[list[list[SampledText]]]:
    """The answers of each adapter, in the order of ``asked``, as soon as they are complete.

    Adapters share forward passes of at most ``batch_size`` rows; before each pass, ``carry`` gets the index in
    ``asked`` of each row's adapter [rows]. Prompts of similar length share a pass, which saves padding.
    """
    ends = _end_tokens(model, renderer)
    answers: list[list[list[SampledText]]] = [[[] for _ in one.questions] for one in asked]
    groups = [group for adapter, one in enumerate(asked) for group in _groups(adapter, one)]
    missing, done = Counter(group.adapter for group in groups), 0
    for together in _passes_of(groups, asked[0].sampling.batch_size):
        drawn = _drawn(model, renderer, asked, together, ends, carry)
        for group, rows in zip(together, drawn, strict=True):
            question = asked[group.adapter].questions[group.question]
            answers[group.adapter][group.question] += [_sampled(renderer, question, ids, ends) for ids in rows]
            missing[group.adapter] -= 1
        while done < len(asked) and not missing[done]:
            yield answers[done]
            done += 1


@dataclass(frozen=True, slots=True)
class _SampleGroup:
    """Samples of one question that are drawn in one pass. ``adapter``, ``question``: their indices."""

    adapter: int
    question: int
    samples: range


def _groups(adapter: int, asked: AdapterQuestions) -> Iterator[_SampleGroup]:
    """Sorted by the length of the prompt: ascending for one adapter and descending for the next, so that prompts of
    similar length are also neighbours where one adapter's questions end. A group has at most ``batch_size`` samples."""
    questions, most = asked.questions, asked.sampling.batch_size
    places = sorted(range(len(questions)), key=lambda place: (len(questions[place].ids), place))
    samples = range(asked.sampling.samples)
    for place in places[::-1] if adapter % 2 else places:
        for start in samples[::most]:
            yield _SampleGroup(adapter, place, samples[start : start + most])


def _passes_of(groups: Sequence[_SampleGroup], most: int) -> Iterator[list[_SampleGroup]]:
    """The groups of each forward pass, in order, with at most ``most`` rows together."""
    together: list[_SampleGroup] = []
    for group in groups:
        if together and sum(len(one.samples) for one in together) + len(group.samples) > most:
            yield together
            together = []
        together.append(group)
    if together:
        yield together


def _sampled(renderer: Renderer, question: RenderedPrompt, ids: Sequence[int], ends: frozenset[int]) -> SampledText:
    ended = not ends.isdisjoint(ids) or renderer.holds_stop_text(question, ids)
    return SampledText(renderer.answer(question, ids), "stop" if ended else "length", len(ids))


def _drawn(
    model: Any,
    renderer: Renderer,
    asked: Sequence[AdapterQuestions],
    groups: Sequence[_SampleGroup],
    ends: frozenset[int],
    carry: Callable[[torch.Tensor], None],
) -> list[list[list[int]]]:
    """The token ids that were drawn, indexed [group][sample][token]."""
    questions = [asked[group.adapter].questions[group.question] for group in groups]
    seeds = [asked[group.adapter].sampling.seed for group in groups]
    keys = [
        row_key(seed, question.text, sample)
        for group, question, seed in zip(groups, questions, seeds, strict=True)
        for sample in group.samples
    ]
    adapters = torch.tensor([group.adapter for group in groups], device=model.device)
    sampling = asked[0].sampling
    rows = iter(
        decode(
            model,
            [question.ids for question in questions],
            [len(group.samples) for group in groups],
            _choice(sampling, torch.tensor(keys, dtype=torch.int64, device=model.device)),
            _ending(renderer, ends, model.device),
            sampling.max_new_tokens,
            lambda prompts: carry(adapters[prompts]),
        )
    )
    return [[next(rows) for _ in group.samples] for group in groups]


def _choice(sampling: Sampling, keys: torch.Tensor) -> Choose:
    """Draws each row's next token with the random numbers of its key; ``keys``: int64 [rows]."""
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
    """The end tokens of the prompt format and of the model's generation config (chat models have several)."""
    own = model.generation_config.eos_token_id
    own = own if isinstance(own, list) else [own]
    return frozenset([*renderer.stop.ids, *(token for token in own if token is not None)])
