"""The report of a promotion: Markdown for people, JSON values for scripts."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common.digests import file_digest, with_own_digest
from common.files import write_durably
from common.printable import printable
from finetune.promotion import RECORD
from finetune.promotion.figures import Flip
from finetune.promotion.promote import Promotion
from view.templating import render

MOST_SHOWN = 6
"""The most newly passing, and newly failing, prompts that the report shows with both answers."""


def promotion_markdown(done: Promotion) -> str:
    request = done.request
    role = {request.target: "target"} | {name: f"guard, margin {margin:g}" for name, margin in request.guards.items()}
    texts = {prompt.id: prompt.text for prompt in request.material.all_prompts}
    return render("promotion", done=done, request=request, found=done.outcomes, role=role, texts=texts, most=MOST_SHOWN)


def write_promotion(folder: Path, done: Promotion) -> None:
    """Write report.md and then promotion.json, which has the digests of both."""
    folder.mkdir(parents=True, exist_ok=True)
    report = folder / "report.md"
    write_durably(report, printable(promotion_markdown(done)))
    data = {**promotion_data(done), "files": {report.name: file_digest(report)}}
    write_durably(folder / RECORD, with_own_digest(json.dumps(data, indent=1)))


def promotion_data(done: Promotion) -> dict[str, Any]:
    """The figures as plain JSON values."""
    request, found = done.request, done.outcomes
    data: dict[str, Any] = {
        "promotion": done.id,
        "study": request.study,
        "status": done.decision.status,
        "reason": done.decision.reason,
        "explanation": done.decision.explanation,
        "steps": done.steps,
        "seeds": list(request.seeds),
        "start": request.start.recipe.digest,
        "stands": request.stands.recipe.digest,
        "target": request.target,
        "guards": dict(request.guards),
        "confidence": request.confidence,
        "failed": [{"recipe": recipe, "seed": seed, "why": why} for recipe, seed, why in done.failed],
        "prediction": {**asdict(done.prediction), "says": done.prediction.sentence},
    }
    if found is None:
        return data
    categories = {
        name: {**asdict(one), "before": asdict(found.before[name]), "after": asdict(found.after[name])}
        for name, one in found.differences.items()
    }
    return data | {
        "categories": categories,
        "failures": {name: list(counts) for name, counts in found.failures.items()},
        "format_only": list(found.format_only),
        "critical": list(found.critical),
        "missing": list(found.missing),
        "newly_passing": [_flip(flip) for flip in found.newly_passing],
        "newly_failing": [_flip(flip) for flip in found.newly_failing],
    }


def _flip(flip: Flip) -> dict[str, Any]:
    return asdict(flip)
