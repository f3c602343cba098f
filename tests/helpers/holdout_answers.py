"""Scored answers to holdout prompts, for tests of promotions."""

import random
from typing import Any

from evaluation.own_study.figures import Answers
from evaluation.own_study.stored import StoredAnswer

SEEDS = (42, 123, 7)


def side(level: dict[str, float], **changes: Any) -> Answers:
    """Answers to twelve prompts in each category, two each, that pass with probability ``level[category]``. All sides
    use the same random numbers."""
    places = [(category, number, sample) for category in level for number in range(12) for sample in range(2)]
    return {
        seed: [answer(*place, random.Random(f"{seed} {place}").random() < level[place[0]], changes) for place in places]
        for seed in SEEDS
    }


def answer(category: str, number: int, sample: int, passed: bool, changes: dict[str, Any]) -> StoredAnswer:
    values: dict[str, Any] = {
        "prompt": f"{category}-{number}",
        "sample": sample,
        "category": category,
        "text": "def f(): ...",
        "score": 10.0 * passed,
        "critical": (),
        "outcome": "OK" if passed else "WRONG_OUTPUT",
        "note": "",
    }
    return StoredAnswer(**{**values, **changes})
