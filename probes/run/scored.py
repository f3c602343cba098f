"""Scores the answers of a probe, writes them to its folder, and makes its reading."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from probes.endpoint.spending import SpendingMeter
from probes.generate.sampled_text import SampledText, tokens_of
from probes.inputs.material import Material
from probes.rendering.renderer import RenderedPrompt
from probes.result.reading import Probe, Reading, Timing
from probes.run.answers import levels, require_enough, scored_text, split_scored, write_answers
from probes.run.protocol import Listener, Progress
from probes.run.store import ANSWERS
from probes.scoring import Answer, Context, Scorer

if TYPE_CHECKING:
    from probes.train.job import Trained


@dataclass(frozen=True, kw_only=True)
class AnsweredProbe:
    """A trained probe and its answers. ``sampled``: indexed [question][sample]. ``seconds``: for generating them.
    ``other_seconds``: its share of the time before that which was not training, such as loading the base."""

    trained: "Trained"
    questions: Sequence[RenderedPrompt]
    sampled: Sequence[Sequence[SampledText]]
    seconds: float
    other_seconds: float
    peak_gb: float


def read(
    probe: Probe,
    answered: AnsweredProbe,
    material: Material,
    scorer: Scorer,
    folder: Path,
    listener: Listener,
    meter: SpendingMeter,
) -> Reading:
    """The reading of a probe. It needs neither torch nor the base, so a thread may call it while another probe is
    trained."""
    began = time.perf_counter()
    trained, samples, steps = answered.trained, probe.key.samples, material.probe.steps
    progress = Progress(probe.id, "scoring", steps, steps, trained.final.get("loss"))
    listener(progress)
    prompts = material.prompts_of(probe.key.split)
    both = zip(prompts, answered.questions, answered.sampled, strict=True)
    asked = [(prompt, question, one) for prompt, question, own in both for one in own]
    answers = [Answer(prompt, scored_text(material.scorer, question.text, one.text)) for prompt, question, one in asked]
    judged = scorer.score(answers, Context(notes_at(listener, progress), meter))
    scored = time.perf_counter()
    scores, missing = split_scored(answers, judged, samples)
    require_enough(missing, len(answers), material.scorer.most_missing)
    whole = [one for *_, one in asked]
    write_answers(folder / ANSWERS, answers, whole, judged, samples)
    (folder / "levels.json").write_text(json.dumps(levels(answers, judged), indent=1) + "\n", encoding="utf-8")
    timing = Timing(
        train=trained.seconds,
        generate=answered.seconds,
        score=scored - began,
        total=trained.seconds + answered.other_seconds + answered.seconds + time.perf_counter() - began,
    )
    return Reading(
        probe=probe.id,
        recipe=probe.recipe.digest,
        key=probe.key,
        seed=probe.seed,
        scores=scores,
        final=trained.final,
        timing=timing,
        tokens=trained.tokens,
        peak_gb=answered.peak_gb,
        missing=missing,
        judging=meter.spent,
        cut=sum(one.cut for one in whole),
        answer_tokens=tokens_of(whole),
    )


def notes_at(listener: Listener, progress: Progress) -> Callable[[str], None]:
    """A function that sends the listener a note at this point of a probe."""
    return lambda note: listener(replace(progress, note=note))
