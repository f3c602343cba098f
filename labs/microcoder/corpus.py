"""The pre-training corpus: prompt and function, a stated share of the functions with a natural mistake.

The prompts of the probe and holdout splits never occur in it; their templates do.
"""

from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from random import Random

from labs.microcoder.tasks import TEMPLATES

MISTAKE_SHARE = {
    "arithmetic": 0.30,
    "strings": 0.30,
    "lists": 0.30,
    "conditions": 0.30,
    "edge_cases": 0.35,
    "imports": 0.55,
}


@dataclass(frozen=True)
class Document:
    category: str
    prompt: str
    function: str
    mistaken: bool


def write_corpus(documents: int, seed: int, reserved: Set[str]) -> tuple[Document, ...]:
    """The categories have equal parts; no prompt of `reserved` is used."""
    random = Random(f"{seed}/corpus")
    categories = tuple(MISTAKE_SHARE)
    by_category = {
        category: [template for template in TEMPLATES if template.category == category] for category in categories
    }
    corpus: list[Document] = []
    while len(corpus) < documents:
        category = categories[len(corpus) % len(categories)]
        task = random.choice(by_category[category]).task(random)
        if task.prompt in reserved:
            continue
        mistaken = random.random() < MISTAKE_SHARE[category]
        function = random.choice(task.mistakes) if mistaken else task.reference
        corpus.append(Document(category, task.prompt, function, mistaken))
    return tuple(corpus)


def mistake_shares(corpus: Sequence[Document]) -> dict[str, float]:
    """The measured shares by category."""
    all_of, mistaken = Counter(d.category for d in corpus), Counter(d.category for d in corpus if d.mistaken)
    return {category: round(mistaken[category] / count, 3) for category, count in all_of.items()}
