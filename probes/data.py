"""Recipe -> ordered training rows: pure and seeded.

Which rows a source contributes depends only on (seed, source), and a row's place in a shuffle only on (seed, source,
draw), so that two recipes that share a seed see the same rows in the same relative order wherever the mutation allows
it (law 2).
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lanes import Recipe
from lanes.errors import BadInput
from probes.duplicates import Wordings
from probes.inputs.turns import Turn, Turns, plain
from probes.prompts import Prompt, read_jsonl


@dataclass(frozen=True, slots=True)
class Pair:
    """One training row. ``line``: of its file. ``tools``: a JSON list of what the assistant may call, "" for none."""

    prompt: Turns
    chosen: Turns
    rejected: Turns
    source: str
    difficulty: int
    line: int = field(default=0, compare=False)
    tools: str = ""

    @property
    def length(self) -> int:
        """Characters in prompt, chosen and rejected."""
        return sum(len(plain(text)) for text in (self.prompt, self.chosen, self.rejected))


Sources = Mapping[str, tuple[Pair, ...]]


def load_source(name: str, path: Path) -> tuple[Pair, ...]:
    """The pairs of one JSONL file in TRL preference format; BadInput names the line that breaks it."""
    pairs: list[Pair] = []
    for line, row in read_jsonl(path):
        texts = [_turns(path, line, column, row) for column in ("prompt", "chosen", "rejected")]
        if texts[1] == texts[2]:
            raise BadInput(f"{path}, line {line}: chosen and rejected are the same text; a pair needs a difference")
        difficulty = row.get("difficulty", 1)
        if type(difficulty) is not int:
            raise BadInput(f"{path}, line {line} has difficulty={difficulty!r}; write a whole number")
        pairs.append(Pair(texts[0], texts[1], texts[2], name, difficulty, line))
    if not pairs:
        raise BadInput(f"{path} holds no pairs; add rows or take the source {name!r} out")
    return tuple(pairs)


def check_overlap(paths: Mapping[str, Path], sources: Sources, prompts: Sequence[Prompt]) -> None:
    """Refuse training pairs whose prompt is a probe or holdout prompt, or nearly (law 7; see probes/duplicates.py)."""
    reserved = Reserved(prompts)
    for name, pairs in sources.items():
        for pair in pairs:
            overlap = reserved.overlap(pair.prompt, pair.chosen, pair.rejected)
            if overlap is not None:
                raise BadInput(f"{paths[name]}, line {pair.line}: {overlap.told}; remove the line")


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
        self._known = Wordings((prompt.text, prompt) for prompt in prompts if prompt.split in ("probe", "holdout"))
        self._seen: dict[str, Overlap | None] = {}

    def overlap(self, prompt: Turns, *answers: Turns) -> Overlap | None:
        """The first that the prompt of a row, or what others than the assistant say in its answers, is or is near."""
        asked = [prompt] if isinstance(prompt, str) else [turn.content for turn in prompt]
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


def _turns(path: Path, line: int, column: str, row: Mapping[str, Any]) -> Turns:
    turns = turns_of(row.get(column))
    if turns is not None:
        return turns
    what = "no column" if column not in row else "no text (or list of turns with role and content) in"
    raise BadInput(f"{path}, line {line} has {what} {column!r}; TRL preference rows need prompt, chosen and rejected")


def turns_of(value: object) -> Turns | None:
    """A text in TRL's plain or conversational form; None for anything else, and for nothing."""
    if isinstance(value, str) and value:
        return value
    if isinstance(value, list) and value:
        good = all(
            isinstance(turn, dict) and isinstance(turn.get("role"), str) and isinstance(turn.get("content"), str)
            for turn in value
        )
        if good:
            return tuple(Turn(turn["role"], turn["content"]) for turn in value)
    return None
