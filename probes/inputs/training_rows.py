"""The training rows of a recipe, in order: a pure function of recipe, sources and seed.

The rows that a source contributes depend only on (seed, source), and a row's place in the shuffle only on (seed,
source, draw). So two recipes with the same seed see the same rows in the same relative order, as far as the mutation
allows (invariant 2).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.errors import BadInput
from lanes import Recipe
from probes.inputs.duplicates import Wordings
from probes.inputs.files.location import Where
from probes.inputs.files.records import unit_of
from probes.inputs.filters import filtered
from probes.inputs.prompts import Prompt, wording
from probes.inputs.rows.turns import Turns
from probes.inputs.seeded_random import unit as unit  # exported for code that draws
from probes.inputs.sources import TrainingRow as TrainingRow  # exported for code that orders or trains on pairs
from probes.inputs.sources import load_source as load_source

Sources = Mapping[str, tuple[TrainingRow, ...]]


def check_overlap(paths: Mapping[str, Where], sources: Sources, prompts: Sequence[Prompt]) -> None:
    """Refuse training pairs that ask a probe or holdout prompt, or nearly the same (invariant 7; see duplicates.py)."""
    reserved = ReservedPrompts(prompts)
    for name, pairs in sources.items():
        for pair in pairs:
            overlap = reserved.overlap(pair.prompt, pair.chosen, pair.rejected)
            if overlap is not None:
                where = paths[name]
                unit = unit_of(where)
                raise BadInput(f"{where}, {unit} {pair.line}: {overlap.sentence}; remove the {unit}")


@dataclass(frozen=True, slots=True)
class Overlap:
    """A probe or holdout prompt that a pair repeats. ``similarity`` 1: with the same words, or as a part."""

    prompt: Prompt
    similarity: float

    @property
    def sentence(self) -> str:
        almost = "also, or holds, " if self.similarity == 1 else f"{self.similarity:.2f} similar to "
        named = f"the {self.prompt.split} prompt {self.prompt.id!r}"
        return f"the prompt is {almost}{named}, and pairs never come from probe or holdout prompts"


class ReservedPrompts:
    """The probe and holdout prompts among some prompts, which no pair may repeat (invariant 7)."""

    def __init__(self, prompts: Iterable[Prompt]) -> None:
        self._known = Wordings((prompt.wording, prompt) for prompt in prompts if prompt.split in ("probe", "holdout"))
        self._seen: dict[str, Overlap | None] = {}

    def overlap(self, prompt: Turns, *answers: Turns) -> Overlap | None:
        """The first reserved prompt that is repeated by the row's prompt or by another role's turn in its answers."""
        asked = [prompt] if isinstance(prompt, str) else [*(turn.content for turn in prompt), wording(prompt)]
        turns = [turn for answer in answers if not isinstance(answer, str) for turn in answer]
        asked += [turn.content for turn in turns if turn.role != "assistant"]
        return next((found for text in asked if (found := self._overlap(text))), None)

    def _overlap(self, text: str) -> Overlap | None:
        if text not in self._seen:
            near = self._known.near(text)
            self._seen[text] = near and Overlap(*near)
        return self._seen[text]


def order(recipe: Recipe, sources: Sources, rows: int, seed: int) -> tuple[TrainingRow, ...]:
    """The ``rows`` pairs of a run in training order.

    Each source supplies its share by largest remainder, from the rows that the recipe's filters keep. A source that is
    shorter than its share starts over in a new permutation, so no pair is seen n + 1 times before all pairs of its
    source were seen n times.
    """
    kept = filtered(recipe, sources)
    draws: list[tuple[float, int, TrainingRow]] = []
    for name, count in quotas(recipe.shares, rows).items():
        draws += [(unit(seed, name, "place", i), i, pair) for i, pair in enumerate(_take(kept, name, count, seed))]
    draws.sort(key=lambda draw: (draw[0], draw[2].source, draw[1]))
    return tuple(_arranged([pair for _, _, pair in draws], recipe.curriculum, list(sources)))


def quotas(shares: Mapping[str, float], rows: int) -> dict[str, int]:
    """The number of rows of each source by largest remainder (Hare quota), ties by name; their sum is ``rows``."""
    exact = {name: share * rows for name, share in shares.items()}
    counts = {name: int(value + 1e-9) for name, value in exact.items()}
    remaining = rows - sum(counts.values())
    for name in sorted(exact, key=lambda n: (counts[n] - exact[n], n))[:remaining]:
        counts[name] += 1
    return counts


def _take(sources: Sources, name: str, count: int, seed: int) -> list[TrainingRow]:
    if name not in sources:
        raise BadInput(f"the mixture weighs the source {name!r}, which [data.sources] lacks; add it or set it to 0")
    pairs = sources[name]
    drawn: list[TrainingRow] = []
    for turn in range(-(-count // len(pairs))):
        permutation = sorted(range(len(pairs)), key=lambda i: unit(seed, name, "pass", turn, i))
        drawn += [pairs[i] for i in permutation]
    return drawn[:count]


def _arranged(pairs: list[TrainingRow], curriculum: str, source_names: list[str]) -> list[TrainingRow]:
    """The shuffled rows sorted by the curriculum. The sort is stable: rows with equal keys keep the shuffle's order."""
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
