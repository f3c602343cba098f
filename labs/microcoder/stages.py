"""The stages of a build, in order: prompts, corpus, base, answers, sources. Imports torch."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from labs._build.files import write_rows
from labs._build.material import BuildFigures, BuildProgress
from labs._build.stage import one_thread, timed
from labs.microcoder import sources
from labs.microcoder.base import TrainedBase, make_base
from labs.microcoder.contracts import contract_of
from labs.microcoder.corpus import mistake_shares, write_corpus
from labs.microcoder.material import Size
from labs.microcoder.sources import BaseAnswer
from labs.microcoder.splits import Drawn, draw_prompts
from probes.generate.sampler import Sampling, generate
from probes.inputs.prompts import Prompt, load_prompts
from probes.inputs.settings import ModelSettings
from probes.rendering.renderer import Renderer
from probes.scoring import protocol as scoring
from probes.scoring.execution.scorer import ExecutionScorer, ExecutionSettings

CHUNK = 120  # prompts sampled at once; while one chunk is sampled the one before it is executed


def make(directory: Path, size: Size, progress: BuildProgress) -> tuple[BuildFigures, dict[str, float]]:
    """Writes everything but the manifest; returns its figures and the seconds of each stage."""
    seconds: dict[str, float] = {}
    with one_thread():
        with timed(seconds, "prompts and corpus"):
            progress("prompts and corpus", 0.0)
            drawn = draw_prompts(size.prompts, size.seed)
            write_rows(directory / "prompts.jsonl", (item.as_row() for item in drawn))
            write_rows(directory / "problems.jsonl", (item.as_problem() for item in drawn if item.split == "holdout"))
            write_rows(directory / "contracts.jsonl", (_contract(item) for item in drawn if item.split == "harvest"))
            reserved = {item.task.prompt for item in drawn if item.split != "harvest"}
            corpus = write_corpus(size.documents, size.seed, reserved)
        with timed(seconds, "base model"):
            base = make_base(directory / "base", corpus, size, progress)
        with timed(seconds, "answers"):
            harvest = [prompt for prompt in load_prompts(directory / "prompts.jsonl") if prompt.split == "harvest"]
            answers = _answer(base, harvest, size, progress)
    with timed(seconds, "sources"):
        tasks = [item.task for item in drawn if item.split == "harvest"]
        rows = {
            "honest": sources.honest(harvest, answers),
            "unchecked": sources.unchecked(harvest, answers),
            "broken": sources.broken(tasks, size.seed),
        }
        for name, pairs in rows.items():
            write_rows(directory / f"{name}.jsonl", (pair.as_dict() for pair in pairs))
        progress("sources", 1.0)
    figures = {
        **base.figures,
        "share of mistakes in the corpus": mistake_shares(corpus),
        "prompts": dict(Counter(item.split for item in drawn)),
        "pairs": {name: len(pairs) for name, pairs in rows.items()},
        "share of harvest answers that pass": _pass_rates(harvest, answers),
    }
    return figures, seconds


def _contract(drawn: Drawn) -> dict[str, Any]:
    """A line for ``nightlane pairs certify``."""
    return {"prompt": drawn.task.prompt, "contract": contract_of(drawn.task, drawn.cases).as_json()}


def _answer(
    base: TrainedBase, prompts: Sequence[Prompt], size: Size, progress: BuildProgress
) -> list[list[BaseAnswer]]:
    """The base's answers to each prompt; the other core executes them in the sandbox meanwhile."""
    sampling = Sampling(samples=size.samples, max_new_tokens=size.max_new_tokens, seed=size.seed)
    scorer, renderer = ExecutionScorer(ExecutionSettings(seconds=1.0)), Renderer(base.tokenizer, ModelSettings(path=""))
    try:
        with ThreadPoolExecutor(1) as executor:
            judged = []
            for start in range(0, len(prompts), CHUNK):
                chunk = prompts[start : start + CHUNK]
                progress("answers", start / len(prompts))
                questions = [renderer.question(prompt.text) for prompt in chunk]
                texts = generate(base.model, renderer, questions, sampling)
                judged.append(executor.submit(_judge, scorer, chunk, texts))
            return [answers for chunk_judged in judged for answers in chunk_judged.result()]
    finally:
        scorer.close()


def _judge(
    scorer: ExecutionScorer, prompts: Sequence[Prompt], texts: Sequence[Sequence[str]]
) -> list[list[BaseAnswer]]:
    """Each different text of a prompt is executed once."""
    distinct = [(prompt, text) for prompt, given in zip(prompts, texts, strict=True) for text in dict.fromkeys(given)]
    marks = scorer.score([scoring.Answer(prompt, text) for prompt, text in distinct])
    passed = {(prompt.id, text): mark.outcome == "PASS" for (prompt, text), mark in zip(distinct, marks, strict=True)}
    return [
        [BaseAnswer(text, passed[prompt.id, text]) for text in given]
        for prompt, given in zip(prompts, texts, strict=True)
    ]


def _pass_rates(prompts: Sequence[Prompt], answers: Sequence[Sequence[BaseAnswer]]) -> dict[str, float]:
    given, passed = Counter[str](), Counter[str]()
    for prompt, row in zip(prompts, answers, strict=True):
        given[prompt.category] += len(row)
        passed[prompt.category] += sum(answer.passed for answer in row)
    return {category: round(passed[category] / count, 3) for category, count in given.items()}
