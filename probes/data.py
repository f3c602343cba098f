"""Recipe -> ordered training rows: pure and seeded.

Which rows a source contributes depends only on (seed, source), and a row's place in a shuffle only on (seed, source,
draw), so that two recipes that share a seed see the same rows in the same relative order wherever the mutation allows
it (law 2).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lanes import Recipe
from lanes.errors import BadInput
from probes.duplicates import Wordings
from probes.prompts import Prompt, read_jsonl

Turns = str | tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """One training row. A text is plain, or the turns of a conversation as (role, content)."""

    prompt: Turns
    chosen: Turns
    rejected: Turns
    source: str
    difficulty: int
    line: int = field(default=0, compare=False)

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
    reserved = Wordings((prompt.text, prompt) for prompt in prompts if prompt.split in ("probe", "holdout"))
    seen: set[str] = set()
    for name, pairs in sources.items():
        for pair in pairs:
            asked = [text for turns in (pair.prompt, pair.chosen, pair.rejected) for text in _asked(turns, pair.prompt)]
            fresh = [text for text in asked if text not in seen]
            seen.update(fresh)
            hit = next((near for text in fresh if (near := reserved.near(text))), None)
            if hit is not None:
                prompt, similarity = hit
                almost = "also, or holds, " if similarity == 1 else f"{similarity:.2f} similar to "
                raise BadInput(
                    f"{paths[name]}, line {pair.line}: the prompt is {almost}the {prompt.split} prompt "
                    f"{prompt.id!r}, and pairs never come from probe or holdout prompts; remove the line"
                )


def _asked(turns: Turns, prompt: Turns) -> list[str]:
    """The texts that a model does not answer with: of a prompt all, of an answer those of other roles."""
    if isinstance(turns, str):
        return [turns] if turns is prompt else []
    return [content for role, content in turns if turns is prompt or role != "assistant"]


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


def plain(text: Turns) -> str:
    """The text itself, or the contents of the turns joined by newlines."""
    return text if isinstance(text, str) else "\n".join(content for _, content in text)


def _turns(path: Path, line: int, column: str, row: Mapping[str, Any]) -> Turns:
    value = row.get(column)
    if isinstance(value, str) and value:
        return value
    if isinstance(value, list) and value:
        good = all(
            isinstance(turn, dict) and isinstance(turn.get("role"), str) and isinstance(turn.get("content"), str)
            for turn in value
        )
        if good:
            return tuple((turn["role"], turn["content"]) for turn in value)
    what = "no column" if column not in row else "no text (or list of turns with role and content) in"
    raise BadInput(f"{path}, line {line} has {what} {column!r}; TRL preference rows need prompt, chosen and rejected")
