"""Measures how much time is saved by not computing things twice, on the bundled study: ratios of processor time,
medians of three.

    python -m bench.speed.repeats

1. Answers by probes/generate/decoding.py, compared with ``generate`` of transformers, with the same random numbers.
2. Training with DPO on rows that the store of reference log probabilities knows, compared with training without it.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList
from transformers.generation import TemperatureLogitsWarper

from agent.study.load import Study, load_study
from common.parallel import one_thread
from labs.microcoder import build
from probes.generate.random_keys import Sampling, row_key
from probes.generate.sampler import add_gumbel, sample
from probes.inputs.settings import MemorySettings
from probes.inputs.training_rows import order
from probes.model.load import Base, load_base
from probes.rendering.renderer import RenderedPrompt
from probes.train.reference_store import NAME, ReferenceStore
from probes.train.trl import Trained, TrainingJob, train

STUDY = Path(__file__).parents[2] / "labs" / "microcoder" / "study.toml"
TURNS = 3


def main() -> None:
    one_thread()
    torch.set_num_threads(1)
    study = load_study(STUDY)
    build(STUDY.parent / "build", lambda what, share: None)
    base = load_base(study.material.model, study.material.folder, "none", "cpu")
    ours, theirs = answering(study, base)
    print(f"answers: {ours:.2f} s, {theirs:.2f} s by generate, ratio {ours / theirs:.2f}")
    known, unknown = training(study, base)
    print(f"a DPO step: {known:.3f} s with the store, {unknown:.3f} s without it, ratio {known / unknown:.2f}")


def answering(study: Study, base: Base) -> tuple[float, float]:
    """Processor seconds for the answers of one probe."""
    probe = study.material.probe
    sampling = Sampling(
        samples=probe.samples, temperature=probe.temperature, max_new_tokens=probe.max_new_tokens, seed=1
    )
    questions = [base.renderer.question(prompt.asked) for prompt in study.material.probe_prompts]
    mine = [[one.text for one in own] for own in sample(base.model, base.renderer, questions, sampling)]
    same = sum(one == other for one, other in zip(mine, generated(base, questions, sampling), strict=True))
    print(f"{same} of {len(questions)} prompts have the same answers both ways")
    return medians(
        lambda: sample(base.model, base.renderer, questions, sampling), lambda: generated(base, questions, sampling)
    )


class Gumbel(LogitsProcessor):  # type: ignore[misc]
    def __init__(self, keys: torch.Tensor, width: int) -> None:
        self.keys, self.width = keys, width

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return add_gumbel(scores, self.keys, input_ids.shape[1] - self.width)


@torch.inference_mode()
def generated(base: Base, questions: Sequence[RenderedPrompt], sampling: Sampling) -> list[list[str]]:
    """Answers by transformers' ``generate``; the prompts of a batch have similar lengths."""
    rows = sorted(
        ((place, number) for place in range(len(questions)) for number in range(sampling.samples)),
        key=lambda row: (len(questions[row[0]].ids), row),
    )
    found: dict[tuple[int, int], str] = {}
    ends = list(base.renderer.stop.ids)
    for start in range(0, len(rows), sampling.batch_size):
        batch = rows[start : start + sampling.batch_size]
        width = max(len(questions[place].ids) for place, _ in batch)
        padding = [width - len(questions[place].ids) for place, _ in batch]
        ids = [[0] * pad + list(questions[place].ids) for pad, (place, _) in zip(padding, batch, strict=True)]
        mask = [[0] * pad + [1] * (width - pad) for pad in padding]
        keys = torch.tensor([row_key(sampling.seed, questions[place].text, number) for place, number in batch])
        drawn = base.model.generate(
            input_ids=torch.tensor(ids),
            attention_mask=torch.tensor(mask),
            generation_config=GenerationConfig(
                do_sample=False, max_new_tokens=sampling.max_new_tokens, eos_token_id=ends, pad_token_id=0
            ),
            logits_processor=LogitsProcessorList([TemperatureLogitsWarper(sampling.temperature), Gumbel(keys, width)]),
        )
        for row, own in zip(batch, drawn[:, width:].tolist(), strict=True):
            found[row] = base.renderer.answer(questions[row[0]], own)
    return [[found[place, number] for number in range(sampling.samples)] for place in range(len(questions))]


def training(study: Study, base: Base) -> tuple[float, float]:
    """Processor seconds of a DPO step."""
    recipe = study.start.model_copy(update={"objective": "dpo"})
    steps, seed = study.material.probe.steps, 42
    rows = order(recipe, study.material.sources, steps * recipe.effective_batch, seed)
    with tempfile.TemporaryDirectory() as name:
        numbers, store = count(), ReferenceStore(Path(name) / NAME, "bench")

        def run(references: ReferenceStore | None) -> None:
            folder = Path(name) / str(next(numbers))
            folder.mkdir()
            job = TrainingJob(recipe, rows, seed, folder, lambda *_: None, references=references)
            [done] = train(base, [job], MemorySettings())
            if not isinstance(done, Trained):
                raise SystemExit(f"the training failed: {done}")

        run(store)  # fills it
        known, unknown = medians(lambda: run(store), lambda: run(None))
    return known / steps, unknown / steps


def medians(one: Callable[[], object], other: Callable[[], object]) -> tuple[float, float]:
    """The median processor seconds of both functions, which are run alternately."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(TURNS):
        for found, run in zip(seconds, (one, other), strict=True):
            began = time.process_time()
            run()
            found.append(time.process_time() - began)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


if __name__ == "__main__":
    main()
