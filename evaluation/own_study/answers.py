"""The sides of an evaluation, and the scored answers of one side and one sampling seed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from probes.endpoint.spending import SpendingMeter
from probes.generate.random_keys import Sampling, sampling_seed
from probes.generate.sampled_text import SampledText
from probes.inputs.prompts import Prompt
from probes.rendering.renderer import RenderedPrompt, Renderer
from probes.run.answers import require_enough, scored_text, split_scored, write_answers
from probes.run.workbench import Workbench
from probes.scoring import Answer, Context, Mark, Missing

SEEDS_OF_EVALUATIONS = 2**32
"""Added to the sampling seeds. Training seeds are smaller, so no probe of a session has drawn these random numbers."""

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class AnsweringSide:
    """The base, or an adapter on it. ``digest``: of the adapter; "" for the base. ``form``: "" for the adapter on the
    base, "merged" for the merged model, or the llama.cpp type (Q4_K_M) to which the merged model is quantised."""

    name: str
    adapter: Path | None
    digest: str
    form: str = ""


Sampler = Callable[[Sequence[RenderedPrompt], Sampling], list[list[SampledText]]]
"""Answers to questions, indexed [question][sample]."""


@dataclass(frozen=True)
class ModelInMemory:
    """A Sampler: a model in this process."""

    model: object
    renderer: Renderer

    def __call__(self, questions: Sequence[RenderedPrompt], sampling: Sampling) -> list[list[SampledText]]:
        from probes.generate.sampler import sample

        return sample(self.model, self.renderer, questions, sampling)


@dataclass(frozen=True)
class ScoredAnswers:
    """Answers prompt by prompt, each with its whole text and its mark."""

    answers: Sequence[Answer]
    sampled: Sequence[SampledText]
    judged: Sequence[Mark | Missing]


def write_scored_answers(
    bench: Workbench,
    renderer: Renderer,
    sampler: Sampler,
    prompts: Sequence[Prompt],
    seed: int,
    path: Path,
    *,
    meter: SpendingMeter,
    note: Note,
) -> None:
    """Generate, score and write the answers to all prompts, one row each.

    ScorerBroken if the scorer fails, or if more answers than the study allows stay without a score.
    """
    found = scored_answers(bench, renderer, sampler, prompts, sampling_of(bench, seed), Context(note, meter))
    samples = bench.material.probe.samples
    missing = split_scored(found.answers, found.judged, samples)[1]
    require_enough(missing, len(found.answers), bench.material.scorer.most_missing)
    write_answers(path, found.answers, found.sampled, found.judged, samples)


def scored_answers(
    bench: Workbench,
    renderer: Renderer,
    sampler: Sampler,
    prompts: Sequence[Prompt],
    sampling: Sampling,
    context: Context,
) -> ScoredAnswers:
    """The answers to prompts, with their marks. ScorerBroken if the scorer fails."""
    questions = [renderer.question(prompt.asked) for prompt in prompts]
    sampled = sampler(questions, sampling)
    asked = [(p, q, one) for p, q, own in zip(prompts, questions, sampled, strict=True) for one in own]
    answers = [Answer(p, scored_text(bench.material.scorer, q.text, one.text)) for p, q, one in asked]
    return ScoredAnswers(answers, [one for *_, one in asked], bench.open_scorer().score(answers, context))


def sampling_of(bench: Workbench, seed: int) -> Sampling:
    """How a study is answered with a sampling seed of an evaluation."""
    settings = bench.material.probe
    return Sampling(
        samples=settings.samples,
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        max_new_tokens=settings.max_new_tokens,
        seed=sampling_seed(settings.sampling_seed, SEEDS_OF_EVALUATIONS + seed),
        batch_size=bench.memory.generation_batch,
    )
