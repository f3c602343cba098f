"""All rows and prompts of a study as its tokenizer renders them: what is cut, refused or has no room is known before
anything is trained.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from common.errors import BadInput
from probes.inputs.prompts import Prompt
from probes.inputs.rows import BadRow
from probes.inputs.sources import BadRows, refusal
from probes.inputs.training_rows import Pair
from probes.inputs.where import Where
from probes.rendering.renderer import BATCH, Renderer, TokenRow, Unrenderable

Tell = Callable[[int], None]
"""Told how many more rows or prompts were rendered."""


@dataclass
class SourceCounts:
    """Of one source. ``refused``: lines that cannot be trained as they are meant, with why; ``no_room``: those among
    them whose prompt alone fills max_length. ``cut``: rows whose longer side is cut at max_length, so that its end is
    not trained. ``tokens``: of all rows together, both sides with their prompts."""

    rows: int = 0
    cut: int = 0
    no_room: int = 0
    endless: int = 0
    longest: int = 0
    tokens: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)


def count(
    renderer: Renderer, sources: Mapping[str, Sequence[Pair]], max_length: int, tell: Tell = lambda _: None
) -> dict[str, SourceCounts]:
    """By source, at ``max_length`` tokens."""
    found = {}
    for name, pairs in sources.items():
        counts = found[name] = SourceCounts(len(pairs))
        for place, (pair, row) in enumerate(zip(pairs, renderer.rows(pairs), strict=True), start=1):
            _add(counts, renderer, pair, row, max_length)
            if place % BATCH == 0 or place == len(pairs):
                tell(place % BATCH or BATCH)
    return found


def _add(counts: SourceCounts, renderer: Renderer, pair: Pair, row: TokenRow | Unrenderable, max_length: int) -> None:
    if isinstance(row, Unrenderable):
        counts.refused.append((pair.line, str(row)))
        return
    if len(row.prompt) >= max_length:
        counts.no_room += 1
        told = f"its prompt of {len(row.prompt)} tokens leaves no room for an answer in max_length={max_length}"
        counts.refused.append((pair.line, f"{told}; raise max_length or take the row out"))
        return
    counts.longest = max(counts.longest, row.length)
    counts.tokens += 2 * len(row.prompt) + len(row.chosen) + len(row.rejected)
    counts.cut += row.length > max_length
    counts.endless += not renderer.closes
    room = max_length - len(row.prompt)
    if row.chosen[:room] == row.rejected[:room]:
        why = f"chosen and rejected are the same tokens up to max_length={max_length}; raise max_length or shorten them"
        counts.refused.append((pair.line, why))


def refused_rows(
    counts: Mapping[str, SourceCounts], files: Mapping[str, Where], bad_rows: BadRows
) -> dict[str, list[BadRow]]:
    """What the tokenizer refuses, by source; BadInput names the first where bad rows are refused."""
    found = {name: [BadRow(line, why) for line, why in own.refused] for name, own in counts.items()}
    for name, rows in found.items():
        if rows and bad_rows == "refuse":
            raise refusal(files[name], rows)
    return found


def rendered_digest(renderer: Renderer, prompts: Iterable[Prompt]) -> str:
    """Names what is asked and where answers stop: a part of the probe key. BadInput names a prompt that cannot be
    asked."""
    digest = hashlib.sha256(repr(renderer.stop).encode())
    for prompt in prompts:
        try:
            digest.update(repr(renderer.question(prompt.asked).ids).encode())
        except Unrenderable as error:
            raise BadInput(f"the prompt {prompt.id!r} cannot be asked: {error}") from None
    return digest.hexdigest()[:12]


def shown(renderer: Renderer, pair: Pair, max_length: int) -> list[str]:
    """One row as it is asked and trained, a line each: the question, then either side with what is in the loss in
    ⟦double brackets⟧, token by token. What max_length cuts off stands behind, with its number of tokens."""
    row = renderer.row(pair)
    lines = [f"{'asked':<9} {_tokens(renderer, row.prompt)}"]
    room = max(max_length - len(row.prompt), 0)
    for name, side in (("chosen", row.chosen), ("rejected", row.rejected)):
        line = f"{name:<9} {_tokens(renderer, row.prompt)}⟦{_tokens(renderer, side[:room])}⟧"
        if len(side) > room:
            line += f" cut at max_length={max_length}, {len(side) - room} tokens: {_tokens(renderer, side[room:])}"
        lines.append(line)
    return lines


def _tokens(renderer: Renderer, ids: Sequence[int]) -> str:
    """The ids' own texts, so that a doubled BOS and a missing end are seen. Each is decoded behind another:
    a decoder takes the first blank off a text that stands alone."""
    before = renderer.tokenizer("x", add_special_tokens=False)["input_ids"]
    start = len(renderer.tokenizer.decode(before))
    return "|".join(repr(renderer.tokenizer.decode([*before, token])[start:])[1:-1] for token in ids)
