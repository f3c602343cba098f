"""train.jsonl, the curve of a training run: a JSON line per step, in order."""

import json
from pathlib import Path
from typing import Any

NAME = "train.jsonl"
LOGGED = {
    "loss": "loss",
    "token_accuracy": "mean_token_accuracy",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
    "rewards_chosen": "rewards/chosen",
    "rewards_rejected": "rewards/rejected",
    "rewards_accuracy": "rewards/accuracies",
    "rewards_margin": "rewards/margins",
}
"""Figures of a line, with their names in TRL's log."""


def read_curve(path: Path, most: int | None = None) -> list[dict[str, Any]]:
    """The lines up to step ``most``, or all. Reading stops at a line that a kill cut off."""
    found: list[dict[str, Any]] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    for text in lines:
        try:
            line = dict(json.loads(text))
            step = int(line["step"])
        except (ValueError, KeyError, TypeError):
            break
        if most is not None and step > most:
            break
        found.append(line)
    return found
