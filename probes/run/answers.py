"""The results of scoring a probe's answers: scores, answers.jsonl and levels.json."""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from probes.generate.sampled_text import SampledText
from probes.inputs.settings import ScorerSettings
from probes.result.reading import Score, Unscored
from probes.scoring import Answer, Mark, Missing, ScorerBroken
from probes.scoring.protocol import too_many_missing
from probes.scoring.thoughts import open_thought_mark, without_thoughts


def split_scored(
    answers: Sequence[Answer], judged: Sequence[Mark | Missing], samples: int
) -> tuple[tuple[Score, ...], tuple[Unscored, ...]]:
    """Answers with a score and answers without one, each in the order of the answers."""
    scores, missing = [], []
    for place, (answer, mark) in enumerate(zip(answers, judged, strict=True)):
        prompt, sample = answer.prompt, place % samples
        if isinstance(mark, Missing):
            missing.append(Unscored(prompt.id, sample, prompt.category, mark.reason))
        else:
            scores.append(
                Score(prompt.id, sample, prompt.category, mark.value, mark.components, mark.critical, mark.outcome)
            )
    return tuple(scores), tuple(missing)


def require_enough(missing: Sequence[Unscored], answers: int, most: float) -> None:
    """ScorerBroken when more answers lack a score than the study allows."""
    if reason := too_many_missing([item.reason for item in missing], answers, most):
        raise ScorerBroken(reason)


def scored_text(scorer: ScorerSettings, question: str, text: str) -> str:
    """The part of an answer that is scored: what follows its thoughts, unless the study keeps them."""
    return text if scorer.thoughts == "keep" else without_thoughts(open_thought_mark(question) + text)


def write_answers(
    path: Path,
    answers: Sequence[Answer],
    sampled: Sequence[SampledText],
    judged: Sequence[Mark | Missing],
    samples: int,
) -> None:
    """One row per answer: its whole text and why it ended, the scored part where that differs, and its score or the
    reason why it has none."""
    with path.open("w", encoding="utf-8") as stream:
        for place, (answer, whole, mark) in enumerate(zip(answers, sampled, judged, strict=True)):
            if isinstance(mark, Missing):
                result: dict[str, Any] = {"missing": mark.reason}
            else:
                result = {
                    "score": mark.value,
                    "components": dict(mark.components),
                    "critical": list(mark.critical),
                    "outcome": mark.outcome,
                    "note": mark.note,
                    "format_only": mark.format_only,
                }
            row = {"prompt": answer.prompt.id, "sample": place % samples, "category": answer.prompt.category}
            if answer.text != whole.text:
                result["scored_text"] = answer.text
            stream.write(json.dumps({**row, **result, "finish_reason": whole.finish_reason, "text": whole.text}) + "\n")


def levels(answers: Sequence[Answer], judged: Sequence[Mark | Missing]) -> list[dict[str, Any]]:
    """Per category and difficulty: answers, their mean score (None without one), critical failures, missing scores."""
    groups: dict[tuple[str, int], list[Mark | Missing]] = {}
    for answer, mark in zip(answers, judged, strict=True):
        groups.setdefault((answer.prompt.category, answer.prompt.difficulty), []).append(mark)
    found = []
    for (category, difficulty), own in sorted(groups.items()):
        marks = [mark for mark in own if isinstance(mark, Mark)]
        found.append(
            {
                "category": category,
                "difficulty": difficulty,
                "answers": len(own),
                "mean": fmean(mark.value for mark in marks) if marks else None,
                "critical_failures": sum(len(mark.critical) for mark in marks),
                "missing": len(own) - len(marks),
            }
        )
    return found
