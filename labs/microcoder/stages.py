"""The stages of a build, in order: prompts, corpus, base, answers, sources. Imports torch."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from labs.microcoder import base, sources
from labs.microcoder.corpus import Document, write_corpus
from labs.microcoder.files import replace_folder, write_rows
from labs.microcoder.size import Size
from labs.microcoder.sources import Answer
from labs.microcoder.splits import draw_prompts
from probes.generation import Sampling, generate
from probes.prompts import Prompt, load_prompts
from probes.scoring import protocol as scoring
from probes.scoring.execution import ExecutionScorer, ExecutionSettings

CHUNK = 120  # prompts sampled at once; while one chunk is sampled the one before it is executed

Figures = dict[str, Any]


def make(directory: Path, size: Size, progress: Callable[[str, float], None]) -> tuple[Figures, dict[str, float]]:
    """Writes everything but the manifest; the figures and the seconds of each stage."""
    seconds: dict[str, float] = {}
    with _one_thread():
        with _timed(seconds, "prompts and corpus"):
            progress("prompts and corpus", 0.0)
            drawn = draw_prompts(size.prompts, size.seed)
            write_rows(directory / "prompts.jsonl", (one.as_row() for one in drawn))
            write_rows(directory / "problems.jsonl", (one.as_problem() for one in drawn if one.split == "holdout"))
            reserved = {one.task.prompt for one in drawn if one.split != "harvest"}
            corpus = write_corpus(size.documents, size.seed, reserved)
        with _timed(seconds, "base model"):
            tokenizer = base.train_tokenizer(corpus)
            model = base.new_model(tokenizer, size, size.seed)
            losses = base.pretrain(
                model, tokenizer, corpus, size, size.seed, lambda share: progress("base model", share)
            )
            replace_folder(directory / "base", lambda folder: base.save(model, tokenizer, folder))
        with _timed(seconds, "answers"):
            harvest = [prompt for prompt in load_prompts(directory / "prompts.jsonl") if prompt.split == "harvest"]
            answers = _answer(model, tokenizer, harvest, size, progress)
    with _timed(seconds, "sources"):
        tasks = [one.task for one in drawn if one.split == "harvest"]
        rows = {
            "honest": sources.honest(harvest, answers),
            "unchecked": sources.unchecked(harvest, answers),
            "broken": sources.broken(tasks, size.seed),
        }
        for name, pairs in rows.items():
            write_rows(directory / f"{name}.jsonl", (pair.as_dict() for pair in pairs))
        progress("sources", 1.0)
    figures = {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "final loss": round(sum(losses[-20:]) / len(losses[-20:]), 4),
        "share of mistakes in the corpus": _mistake_shares(corpus),
        "prompts": dict(Counter(one.split for one in drawn)),
        "pairs": {name: len(pairs) for name, pairs in rows.items()},
        "share of harvest answers that pass": _pass_rates(harvest, answers),
    }
    return figures, {stage: round(value, 1) for stage, value in seconds.items()}


def _answer(
    model: Any, tokenizer: Any, prompts: Sequence[Prompt], size: Size, progress: Callable[[str, float], None]
) -> list[list[Answer]]:
    """The base's answers to each prompt, executed in the sandbox on the other core meanwhile."""
    sampling = Sampling(samples=size.samples, max_new_tokens=size.max_new_tokens, seed=size.seed)
    scorer = ExecutionScorer(ExecutionSettings(seconds=1.0))
    try:
        with ThreadPoolExecutor(1) as executor:
            judged = []
            for start in range(0, len(prompts), CHUNK):
                chunk = prompts[start : start + CHUNK]
                progress("answers", start / len(prompts))
                texts = generate(model, tokenizer, [prompt.text for prompt in chunk], sampling)
                judged.append(executor.submit(_judge, scorer, chunk, texts))
            return [answers for chunk_judged in judged for answers in chunk_judged.result()]
    finally:
        scorer.close()


def _judge(scorer: ExecutionScorer, prompts: Sequence[Prompt], texts: Sequence[Sequence[str]]) -> list[list[Answer]]:
    """Each different text of a prompt is executed once."""
    distinct = [(prompt, text) for prompt, given in zip(prompts, texts, strict=True) for text in dict.fromkeys(given)]
    marks = scorer.score([scoring.Answer(prompt, text) for prompt, text in distinct])
    passed = {(prompt.id, text): mark.outcome == "PASS" for (prompt, text), mark in zip(distinct, marks, strict=True)}
    return [
        [Answer(text, passed[prompt.id, text]) for text in given] for prompt, given in zip(prompts, texts, strict=True)
    ]


def _mistake_shares(corpus: Sequence[Document]) -> dict[str, float]:
    """Measured, by category; the constants they come from are in corpus.py."""
    all_of, mistaken = Counter(d.category for d in corpus), Counter(d.category for d in corpus if d.mistaken)
    return {category: round(mistaken[category] / count, 3) for category, count in all_of.items()}


def _pass_rates(prompts: Sequence[Prompt], answers: Sequence[Sequence[Answer]]) -> dict[str, float]:
    given, passed = Counter[str](), Counter[str]()
    for prompt, row in zip(prompts, answers, strict=True):
        given[prompt.category] += len(row)
        passed[prompt.category] += sum(answer.passed for answer in row)
    return {category: round(passed[category] / count, 3) for category, count in given.items()}


@contextmanager
def _one_thread() -> Iterator[None]:
    """A model this small is several times faster on one thread than on two."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - started
