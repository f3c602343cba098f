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
from preferences.store.rows import SIDES, Kind, row_to_json, text_to_json
from probes.inputs.turns import Turns
from view.report.markdown import count, plain

NARROWEST = 40


def pair_data(one: AnnotatedRow) -> dict[str, Any]:
    """A row as it stands, as plain JSON values: a flip has swapped texts, scores and provenance."""
    names, row = SIDES[one.row.kind], row_to_json(one.row)
    scores = ["score"] if len(names) == 1 else [f"{name}_score" for name in names]
    origins = [row["provenance"][name] for name in names][:: -1 if one.flipped else 1]
    return {
        **row,
        **{name: text_to_json(text) for name, text in zip(names, one.texts, strict=True)},
        **dict(zip(scores, one.scores, strict=True)),
        "provenance": row["provenance"] | dict(zip(names, origins, strict=True)),
        "receipt": None if one.receipt is None else dict(one.receipt),
        "kind": one.row.kind,
        "state": one.state,
        "reason": one.withdrawn or None,
        "margin": one.margin,
        "up": one.up,
        "down": one.down,
        "flipped": one.flipped,
        "dropped": one.dropped,
        "reviews": [asdict(verdict) for verdict in one.reviews],
    }


def list_data(found: Mapping[Kind, Sequence[AnnotatedRow]], most: int | None) -> list[dict[str, Any]]:
    """The latest rows of each store, or all."""
    return [pair_data(one) for rows in found.values() for one in rows[-(most or len(rows)) :]]


def vote_text(one: AnnotatedRow) -> str:
    """How a row stands after a vote."""
    marks = [
        f"up {one.up}",
        f"down {one.down}",
        *(["flipped"] if one.flipped else []),
        *(["dropped"] if one.dropped else []),
    ]
    held = "; held back from exports" if one.downvoted and one.used else ""
    return f"{one.row.kind} row {one.id}: {', '.join(marks)}{held}"


def import_data(done: Imported) -> dict[str, Any]:
    bad = [{"line": row.line, "why": row.why} for row in done.bad]
    return asdict(done) | {"file": str(done.file), "bad": bad, "ignored": list(done.ignored)}


def import_text(done: Imported) -> str:
    """What became of a file, in a line or two."""
    noun = "vote" if done.kind == VOTES else "row"
    told = f"{count(done.new, noun)} new, {done.known} there already"
    told += f", {count(len(done.bad), 'bad row')} left out" if done.bad else ""
    ignored = f"; columns without a meaning here: {', '.join(plain(name, 40) for name in done.ignored)}"
    return told + (ignored if done.ignored else "")


def review_data(done: Reviewed) -> dict[str, Any]:
    return asdict(done)


def review_text(done: Reviewed) -> str:
    """What a review came to, and what is next."""
    bad = [verdict.row for verdict in done.verdicts if verdict.verdict == "bad"]
    state = "the set counts as looked at" if done.looked_at else "go on with nightlane pairs review"
    lines = [f"{done.kind}: {done.judged} of {done.needed} rows judged good or bad; {state}"]
    lines += [f"judged bad: nightlane pairs vote {row} drop takes it out" for row in bad]
    return "\n".join(lines)


def list_text(found: Mapping[Kind, Sequence[AnnotatedRow]], most: int) -> str:
    """The latest rows of each store, a line each, in 100 columns."""
    lines = []
    for kind, rows in found.items():
        if rows:
            shown = f", the latest {most} of them" if len(rows) > most else ""
            lines += [f"{kind}: {count(len(rows), 'row')}{shown}", _line(*HEADINGS)]
            lines += [_line(*_cells(one)) for one in rows[-most:]]
            lines.append("")
    return "\n".join(lines[:-1]) or "no rows yet; see nightlane pairs import --help"


HEADINGS = ("id", "category", "source", "scores", "votes", "state", "prompt")
WIDTHS = (16, 12, 12, 11, 9, 10, 23)


def _cells(one: AnnotatedRow) -> tuple[str, ...]:
    scores = " > ".join("?" if score is None else f"{score:.3g}" for score in one.scores)
    votes = "".join(f"{sign}{number}" for sign, number in (("+", one.up), ("-", one.down)) if number)
    marks = (" flip" if one.flipped else "") + (" drop" if one.dropped else "")
    return (
        one.id,
        one.row.category,
        one.row.source,
        scores,
        (votes + marks).strip(),
        one.state,
        _first(one.row.prompt),
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


def pair_text(one: AnnotatedRow, width: int, title: str = "") -> str:
    """A row for a terminal of ``width`` columns: how it stands, its prompt, its answers side by side, where they come
    from."""
    width = max(width, NARROWEST)
    names = SIDES[one.row.kind]
    each = (width - 3 * (len(names) - 1)) // len(names)
    heads = [
        f"{name.upper()} {'' if score is None else f'{score:.3g}'}".strip()
        for name, score in zip(names, one.scores, strict=True)
    ]
    rule = "-" * each
    answers = [[head, rule, *_wrapped(text, each), rule] for head, text in zip(heads, one.texts, strict=True)]
    answers = [[*column[:-1], *[""] * (max(map(len, answers)) - len(column)), rule] for column in answers]
    origins = [_wrapped(_origin(one, place), each) for place in range(len(names))]
    opening, prompt = [title] if title else [], _wrapped(one.row.prompt, width)
    prompt = prompt if prompt[-1] else prompt[:-1]
    return "\n".join(
        [
            *opening,
            *_standing(one, width),
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


def _standing(one: AnnotatedRow, width: int) -> list[str]:
    row, margin = one.row, one.margin
    parts = [
        f"{row.kind} row {one.id}",
        plain(row.category, 60),
        plain(row.source, 60),
        row.time,
        one.state,
        f"up {one.up} down {one.down}" if one.up or one.down else "",
        "flipped" if one.flipped else "",
        "dropped" if one.dropped else "",
        "" if margin is None else f"margin {margin:.3g}",
        "" if one.coverage is None else f"coverage {one.coverage:.0f} %",
        f"withdrawn: {plain(one.withdrawn, 200)}" if one.withdrawn else "",
        f"decision {plain(row.provenance.decision, 60)}" if row.provenance.decision else "",
        *(f"{verdict.verdict} by {plain(verdict.by, 40)}" for verdict in one.reviews),
    ]
    return textwrap.wrap(", ".join(part for part in parts if part), width)


def _origin(one: AnnotatedRow, place: int) -> str:
    side = one.sides[place]
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
    told = [f"{name} {value}" for name, value in named.items() if value not in ("", None)]
    return plain("; ".join([side.origin, *told]))


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
