"""Renders all rows and prompts of a study before training, and counts rows that are refused, truncated or too long."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from common.errors import BadInput
from probes.inputs.files.location import Where
from probes.inputs.prompts import Prompt
from probes.inputs.rows.texts import BadRow
from probes.inputs.sources import BadRows, refusal
from probes.inputs.training_rows import TrainingRow
from probes.rendering.renderer import BATCH, Renderer, TokenRow, Unrenderable

OnProgress = Callable[[int], None]
"""Called with the number of rows or prompts that were rendered since the last call."""


@dataclass(kw_only=True)
class SourceCounts:
    """Counts of one source.

    ``refused``: the lines of rows that are not trained on, with the reason; in ``no_room`` of them, the prompt fills
    max_length. ``cut``: rows whose longer side is truncated at max_length and loses its end. ``endless``: rows whose
    template writes no end of turn. ``tokens``: of all rows, with the prompt counted for both sides.
    """

    rows: int = 0
    cut: int = 0
    no_room: int = 0
    endless: int = 0
    longest: int = 0
    tokens: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)


def count(
    renderer: Renderer,
    sources: Mapping[str, Sequence[TrainingRow]],
    max_length: int,
    on_progress: OnProgress = lambda _: None,
) -> dict[str, SourceCounts]:
    """The counts of each source at ``max_length`` tokens."""
    counts_by_source = {}
    for name, pairs in sources.items():
        counts = counts_by_source[name] = SourceCounts(rows=len(pairs))
        for place, (pair, row) in enumerate(zip(pairs, renderer.rows(pairs), strict=True), start=1):
            _add(counts, renderer, pair, row, max_length)
            if place % BATCH == 0 or place == len(pairs):
                on_progress(place % BATCH or BATCH)
    return counts_by_source


def _add(
    counts: SourceCounts, renderer: Renderer, pair: TrainingRow, row: TokenRow | Unrenderable, max_length: int
) -> None:
    if isinstance(row, Unrenderable):
        counts.refused.append((pair.line, str(row)))
        return
    if len(row.prompt) >= max_length:
        counts.no_room += 1
        why = f"its prompt of {len(row.prompt)} tokens leaves no room for an answer in max_length={max_length}"
        counts.refused.append((pair.line, f"{why}; raise max_length or take the row out"))
        return
    counts.longest = max(counts.longest, row.length)
    counts.tokens += 2 * len(row.prompt) + len(row.chosen) + len(row.rejected)
    counts.cut += row.length > max_length
    counts.endless += not renderer.ends_turns
    room = max_length - len(row.prompt)
    if row.chosen[:room] == row.rejected[:room]:
        why = f"chosen and rejected are the same tokens up to max_length={max_length}; raise max_length or shorten them"
        counts.refused.append((pair.line, why))


def refused_rows(
    counts: Mapping[str, SourceCounts], files: Mapping[str, Where], bad_rows: BadRows
) -> dict[str, list[BadRow]]:
    """The rows of each source that the tokenizer refuses; BadInput for the first one if bad rows are refused."""
    refused = {name: [BadRow(line, why) for line, why in own.refused] for name, own in counts.items()}
    for name, rows in refused.items():
        if rows and bad_rows == "refuse":
            raise refusal(files[name], rows)
    return refused


def rendered_digest(renderer: Renderer, prompts: Iterable[Prompt]) -> str:
    """The digest of the rendered prompts, the ends of answers and a date that the study sets, for the probe key.

    BadInput for a prompt that cannot be rendered.
    """
    ends = renderer.stop
    digest = hashlib.sha256(f"Stop(ids={ends.ids!r}, texts={ends.texts!r})".encode())
    digest.update(renderer.own_date.encode())  # only rows may have it: those with tools, say
    for prompt in prompts:
        try:
            digest.update(repr(renderer.question(prompt.asked).ids).encode())
        except Unrenderable as error:
            raise BadInput(f"the prompt {prompt.id!r} cannot be asked: {error}") from None
    return digest.hexdigest()[:12]


def token_lines(renderer: Renderer, pair: TrainingRow, max_length: int) -> list[str]:
    """One row for people, token by token, in three lines: the prompt, and the prompt with either answer.

    The tokens in the loss are in ⟦double brackets⟧. After them come those that max_length cuts off, with their number.
    """
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
    """The text of each id, which shows a doubled BOS or a missing end. Each is decoded after another id, because a
    decoder removes the first blank of a text."""
    before = renderer.tokenizer("x", add_special_tokens=False)["input_ids"]
    start = len(renderer.tokenizer.decode(before))
    return "|".join(repr(renderer.tokenizer.decode([*before, token])[start:])[1:-1] for token in ids)
