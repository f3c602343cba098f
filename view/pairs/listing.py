"""Rows of the preference stores for a terminal: a list, one row side by side, and both as JSON values."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import zip_longest
from typing import Any

from rich.cells import cell_len, chop_cells

from agent.workspace.pair_stores import VOTES, Imported, Reviewed
from common.printable import printable
from common.redaction import redacted
from preferences.store.annotations import AnnotatedRow
from preferences.store.rows import SIDES, StoreKind, row_to_json, side_to_json, text_to_json
from probes.inputs.rows.turns import Turns
from view.markdown import count, plain

NARROWEST = 40


def pair_data(row: AnnotatedRow) -> dict[str, Any]:
    """A row as plain JSON values; a flip swaps its texts, scores and provenance."""
    names, stored = SIDES[row.row.kind], row_to_json(row.row)
    scores = ["score"] if len(names) == 1 else [f"{name}_score" for name in names]
    origins = [side_to_json(side) for side in row.sides]
    return {
        **stored,
        **{name: text_to_json(text) for name, text in zip(names, row.texts, strict=True)},
        **dict(zip(scores, row.scores, strict=True)),
        "provenance": stored["provenance"] | dict(zip(names, origins, strict=True)),
        "receipt": None if row.receipt is None else dict(row.receipt),
        "kind": row.row.kind,
        "state": row.state,
        "reason": row.withdrawn or None,
        "margin": row.margin,
        "up": row.up,
        "down": row.down,
        "flipped": row.flipped,
        "dropped": row.dropped,
        "reviews": [asdict(verdict) for verdict in row.reviews],
        "scoring": _scoring(row),
    }


def _scoring(row: AnnotatedRow) -> dict[str, Any] | None:
    """The scorer that scored the row after it was added."""
    given = row.scoring
    if given is None:
        return None
    return {"scorer": given.scorer, "kind": given.kind, "study": given.study, "time": given.time}


def list_data(stores: Mapping[StoreKind, Sequence[AnnotatedRow]], most: int | None) -> list[dict[str, Any]]:
    """The latest rows of each store, or all."""
    return [pair_data(row) for rows in stores.values() for row in rows[-(most or len(rows)) :]]


def vote_text(row: AnnotatedRow) -> str:
    """The votes on a row."""
    marks = [
        f"up {row.up}",
        f"down {row.down}",
        *(["flipped"] if row.flipped else []),
        *(["dropped"] if row.dropped else []),
    ]
    held = "; held back from exports" if row.downvoted and row.used else ""
    return f"{row.row.kind} row {row.id}: {', '.join(marks)}{held}"


def import_data(done: Imported) -> dict[str, Any]:
    bad = [{"line": row.line, "why": row.why} for row in done.bad]
    return asdict(done) | {"file": str(done.file), "bad": bad, "ignored": list(done.ignored)}


def import_text(done: Imported) -> str:
    """The result of an import in a line."""
    parts = [f"{count(done.new, 'vote' if done.kind == VOTES else 'row')} new, {done.known} there already"]
    if done.bad:
        parts.append(f", {count(len(done.bad), 'bad row')} left out")
    if done.prompts_removed:
        parts.append(f"; the prompt is taken off the answers of {count(done.prompts_removed, 'row')}")
    if done.ignored:
        parts.append(f"; ignored columns: {', '.join(plain(name, 40) for name in done.ignored)}")
    return "".join(parts)


def review_data(done: Reviewed) -> dict[str, Any]:
    return asdict(done)


def review_text(done: Reviewed) -> str:
    """The result of a review, and what to do next."""
    bad = [verdict.row for verdict in done.verdicts if verdict.verdict == "bad"]
    state = "the set counts as reviewed" if done.looked_at else "go on with nightlane pairs review"
    lines = [f"{done.kind}: {done.judged} of {done.needed} rows judged good or bad; {state}"]
    lines += [f"judged bad: nightlane pairs vote {row} drop takes it out" for row in bad]
    return "\n".join(lines)


def list_text(stores: Mapping[StoreKind, Sequence[AnnotatedRow]], most: int) -> str:
    """The latest rows of each store, a line each, in 100 columns."""
    lines = []
    for kind, rows in stores.items():
        if rows:
            shown = f", the latest {most} of them" if len(rows) > most else ""
            lines += [f"{kind}: {count(len(rows), 'row')}{shown}", _line(*HEADINGS)]
            lines += [_line(*_cells(row)) for row in rows[-most:]]
            lines.append("")
    return "\n".join(lines[:-1]) or "no rows yet; see nightlane pairs import --help"


HEADINGS = ("id", "category", "source", "scores", "votes", "state", "prompt")
WIDTHS = (16, 12, 12, 11, 9, 10, 23)


def _cells(row: AnnotatedRow) -> tuple[str, ...]:
    scores = " > ".join("?" if score is None else f"{score:.3g}" for score in row.scores)
    votes = "".join(f"{sign}{number}" for sign, number in (("+", row.up), ("-", row.down)) if number)
    marks = (" flip" if row.flipped else "") + (" drop" if row.dropped else "")
    return (
        row.id,
        row.row.category,
        row.row.source,
        scores,
        (votes + marks).strip(),
        row.state,
        _first(row.row.prompt),
    )


def _line(*cells: str) -> str:
    return " ".join(_fitted(plain(cell), width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


def _fitted(text: str, width: int) -> str:
    """Exactly ``width`` columns of a terminal, in which some characters take two."""
    if cell_len(text) > width:
        text = chop_cells(text, width - 1)[0] + "…"
    return text + " " * (width - cell_len(text))


def _first(text: Turns) -> str:
    return text if isinstance(text, str) else text[-1][1]


def pair_text(row: AnnotatedRow, width: int, title: str = "") -> str:
    """A row for a terminal of ``width`` columns: its state, its prompt, its answers side by side, and their
    provenance."""
    width = max(width, NARROWEST)
    names = SIDES[row.row.kind]
    each = (width - 3 * (len(names) - 1)) // len(names)
    heads = [
        f"{name.upper()} {'' if score is None else f'{score:.3g}'}".strip()
        for name, score in zip(names, row.scores, strict=True)
    ]
    rule = "-" * each
    answers = [[head, rule, *_wrapped(text, each), rule] for head, text in zip(heads, row.texts, strict=True)]
    answers = [[*column[:-1], *[""] * (max(map(len, answers)) - len(column)), rule] for column in answers]
    origins = [_wrapped(_origin(row, place), each) for place in range(len(names))]
    opening, prompt = [title] if title else [], _wrapped(row.row.prompt, width)
    prompt = prompt if prompt[-1] else prompt[:-1]
    return "\n".join(
        [
            *opening,
            *_state(row, width),
            "",
            *prompt,
            "",
            *_beside(answers, each),
            *_beside(origins, each),
        ]
    )


def _beside(columns: Sequence[Sequence[str]], each: int) -> list[str]:
    """Columns of ``each`` terminal columns, next to each other."""
    return [" | ".join(_fitted(cell, each) for cell in cells).rstrip() for cells in zip_longest(*columns, fillvalue="")]


def _state(row: AnnotatedRow, width: int) -> list[str]:
    stored, margin = row.row, row.margin
    parts = [
        f"{stored.kind} row {row.id}",
        plain(stored.category, 60),
        plain(stored.source, 60),
        stored.time,
        row.state,
        f"up {row.up} down {row.down}" if row.up or row.down else "",
        "flipped" if row.flipped else "",
        "dropped" if row.dropped else "",
        "" if margin is None else f"margin {margin:.3g}",
        "" if row.coverage is None else f"coverage {row.coverage:.0f} %",
        f"scored by {plain(row.scoring.kind, 40)} of {plain(row.scoring.study, 60)}" if row.scoring else "",
        f"withdrawn: {plain(row.withdrawn, 200)}" if row.withdrawn else "",
        f"decision {plain(stored.provenance.decision, 60)}" if stored.provenance.decision else "",
        *(f"{verdict.verdict} by {plain(verdict.by, 40)}" for verdict in row.reviews),
    ]
    return textwrap.wrap(", ".join(part for part in parts if part), width)


def _origin(row: AnnotatedRow, place: int) -> str:
    side = row.sides[place]
    figures = ", ".join(f"{name} {value:.3g}" for name, value in sorted(side.figures.items()))
    named = {
        "recipe": side.recipe,
        "probe": side.probe,
        "bar": side.bar,
        "sample": side.sample,
        "sampler seed": side.sampler_seed,
        "figures": figures,
        "critical": ", ".join(side.critical),
    }
    known = [f"{name} {value}" for name, value in named.items() if value not in ("", None)]
    return plain("; ".join([side.origin, *known]))


def _wrapped(text: Turns, width: int) -> list[str]:
    """Lines of at most ``width`` columns; indentation stays, and no control character reaches the terminal."""
    shown = redacted(
        text if isinstance(text, str) else "\n".join(f"[{turn.role}] {turn.content}{turn.more}" for turn in text)
    )
    lines = []
    for line in shown.split("\n"):
        safe = printable(line.expandtabs(4)).rstrip()
        for piece in textwrap.wrap(safe, width) or [""]:
            lines += chop_cells(piece, width) if cell_len(piece) > width else [piece]
    return lines
