"""Recipe -> ordered training rows: pure and seeded.

Which rows a source contributes depends only on (seed, source), and a row's place in a shuffle only on (seed, source,
draw), so that two recipes that share a seed see the same rows in the same relative order wherever the mutation allows
it (law 2).
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.errors import BadInput
from lanes import Recipe
from probes.inputs.duplicates import Wordings
from probes.inputs.files import unit_of
from probes.inputs.prompts import Prompt, wording
from probes.inputs.sources import Pair as Pair  # here, too, for those who order and train on pairs
from probes.inputs.sources import load_source as load_source
from probes.inputs.turns import Turns
from probes.inputs.where import Where

Sources = Mapping[str, tuple[Pair, ...]]


def check_overlap(paths: Mapping[str, Where], sources: Sources, prompts: Sequence[Prompt]) -> None:
    """Refuse training pairs whose prompt is a probe or holdout prompt, or nearly (law 7; see duplicates.py)."""
    reserved = Reserved(prompts)
    for name, pairs in sources.items():
        for pair in pairs:
            overlap = reserved.overlap(pair.prompt, pair.chosen, pair.rejected)
            if overlap is not None:
                where = paths[name]
                unit = unit_of(where)
                raise BadInput(f"{where}, {unit} {pair.line}: {overlap.told}; remove the {unit}")


@dataclass(frozen=True, slots=True)
class Overlap:
    """A probe or holdout prompt that a pair asks too. ``similarity`` 1: equal in its words, or held whole."""

    prompt: Prompt
    similarity: float

    @property
    def told(self) -> str:
        almost = "also, or holds, " if self.similarity == 1 else f"{self.similarity:.2f} similar to "
        named = f"the {self.prompt.split} prompt {self.prompt.id!r}"
        return f"the prompt is {almost}{named}, and pairs never come from probe or holdout prompts"


class Reserved:
    """The probe and holdout prompts among some prompts: what no pair may ask (law 7)."""

    def __init__(self, prompts: Iterable[Prompt]) -> None:
        self._known = Wordings((prompt.wording, prompt) for prompt in prompts if prompt.split in ("probe", "holdout"))
        self._seen: dict[str, Overlap | None] = {}

    def overlap(self, prompt: Turns, *answers: Turns) -> Overlap | None:
        """The first that the prompt of a row, or what others than the assistant say in its answers, is or is near."""
        asked = [prompt] if isinstance(prompt, str) else [*(turn.content for turn in prompt), wording(prompt)]
        turns = [turn for answer in answers if not isinstance(answer, str) for turn in answer]
        asked += [turn.content for turn in turns if turn.role != "assistant"]
        return next((found for text in asked if (found := self._overlap(text))), None)

    def _overlap(self, text: str) -> Overlap | None:
        if text not in self._seen:
            near = self._known.near(text)
            self._seen[text] = near and Overlap(*near)
        return self._seen[text]


def order(recipe: Recipe, sources: Sources, rows: int, seed: int) -> tuple[Pair, ...]:
    """The ``rows`` pairs of a run in training order.

    Each source supplies its share by largest remainder. A source shorter than its share starts over in a new
    permutation, so no pair is seen n + 1 times before every pair of its source was seen n times.
    """
    draws: list[tuple[float, int, Pair]] = []
    for name, count in quotas(recipe.shares, rows).items():
        draws += [(unit(seed, name, "place", i), i, pair) for i, pair in enumerate(_take(sources, name, count, seed))]
    draws.sort(key=lambda draw: (draw[0], draw[2].source, draw[1]))
    return tuple(_arranged([pair for _, _, pair in draws], recipe.curriculum, list(sources)))


def quotas(shares: Mapping[str, float], rows: int) -> dict[str, int]:
    """How many of ``rows`` each source supplies: largest remainder (Hare quota), ties by name; sums to ``rows``."""
    exact = {name: share * rows for name, share in shares.items()}
    counts = {name: int(value + 1e-9) for name, value in exact.items()}
    left = rows - sum(counts.values())
    for name in sorted(exact, key=lambda n: (counts[n] - exact[n], n))[:left]:
        counts[name] += 1
    return counts


def _take(sources: Sources, name: str, count: int, seed: int) -> list[Pair]:
    if name not in sources:
        raise BadInput(f"the mixture weighs the source {name!r}, which [data.sources] lacks; add it or set it to 0")
    pairs = sources[name]
    taken: list[Pair] = []
    for turn in range(-(-count // len(pairs))):
        by_chance = sorted(range(len(pairs)), key=lambda i: unit(seed, name, "pass", turn, i))
        taken += [pairs[i] for i in by_chance]
    return taken[:count]


def _arranged(pairs: list[Pair], curriculum: str, source_names: list[str]) -> list[Pair]:
    """Stable sorts of the shuffled rows: within a key, the order of the shuffle stays."""
    places = {name: place for place, name in enumerate(source_names)}
    keys: dict[str, Any] = {
        "shuffle": lambda pair: 0,
        "source_first": lambda pair: places[pair.source],
        "source_last": lambda pair: -places[pair.source],
        "easy_first": lambda pair: pair.difficulty,
        "hard_first": lambda pair: -pair.difficulty,
        "short_first": lambda pair: pair.length,
        "long_first": lambda pair: -pair.length,
    }
    return sorted(pairs, key=keys[curriculum])


def unit(*parts: object) -> float:
    """A number in [0, 1) that depends on its arguments alone, on every machine and in every process."""
    digest = hashlib.blake2b("|".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
