"""Jinja2 for the HTML pages: everything that a template prints is escaped as text, unless a filter made HTML of it."""

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from urllib.parse import quote, urlencode

import jinja2
from markupsafe import Markup, escape

from common.printable import printable
from common.wording import count
from view import templating
from view.charts.palette import COLOURS
from view.data.changes import Change
from view.data.figures import shown
from view.markdown import MOST_CHARACTERS, MOST_LINES, chance, duration, moment, plain, signed
from view.pages.differences import Piece, differing_words
from view.pages.from_markdown import inline
from view.reasons import reason

FOLDER = Path(__file__).parent
WIDTH, HEIGHT = 120, 16
"""Size of an interval's bar in a table, in pixels."""
MOST_COMPARED = 6000
"""The most characters of a text whose words are compared with those of another."""


@cache
def environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER / "templates"),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        finalize=_as_text,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "address": address,
        "chance": chance,
        "counted": count,
        "excerpt": lambda answer: escape(excerpt(answer)),
        "duration": duration,
        "fixed": lambda value, digits=2: "" if value is None else f"{value:.{digits}f}",
        "interval_bar": interval_bar,
        "moment": moment,
        "padded": lambda number: f"{number:03d}",
        "reason": lambda word, older=False: inline(reason(word, older)),
        "short": plain,
        "signed": signed,
        "value": shown,
        "whole": is_whole,
        "whole_text": lambda answer: escape(whole_text(answer)),
        "words_of_both": lambda texts, whole=False: differing(texts[0], texts[1], whole),
    }
    environment.globals["colours"] = COLOURS
    return environment


def compile_templates() -> None:
    """Compile the templates of reports and pages once, for the processes that are forked from this one."""
    for templates in (templating.environment(), environment()):
        for name in templates.list_templates():
            templates.get_template(name)


def address(parameters: Mapping[str, str], path: str = "") -> Markup:
    """A URL for an attribute, with its parameters; "?" for this page without parameters."""
    query = urlencode(parameters)
    return escape(f"{quote(path)}?{query}" if query or not path else quote(path))


def asset(name: str) -> Markup:
    """The content of an asset, for a style or script element."""
    return Markup((FOLDER / "assets" / name).read_text(encoding="utf-8"))


def _as_text(value: object) -> Markup:
    """One line without secrets and control characters, escaped."""
    if isinstance(value, Markup):
        return value
    return _line("" if value is None else str(value))


@lru_cache(10_000)
def _line(text: str) -> Markup:
    """Cached, since a table repeats most of its texts, and each is searched for all secrets of the process."""
    return escape(plain(text))


def excerpt(answer: str) -> str:
    """The beginning of an answer, control characters written out."""
    return "\n".join(whole_text(answer[:MOST_CHARACTERS]).split("\n")[:MOST_LINES])


def is_whole(answer: str) -> bool:
    return len(answer) <= MOST_CHARACTERS and len(answer.splitlines()) <= MOST_LINES


def whole_text(answer: str) -> str:
    """An answer, control characters written out."""
    return "\n".join(printable(line.expandtabs(4)).rstrip() for line in answer.splitlines())


def differing(before: str, after: str, whole: bool = False) -> tuple[Markup, Markup]:
    """The beginnings of two answers, or the whole answers, with the words that differ in del and ins. In long texts
    nothing is marked, since comparing them would take seconds."""
    if whole and max(len(before), len(after)) > MOST_COMPARED:
        return escape(whole_text(before)), escape(whole_text(after))
    shown = whole_text if whole else excerpt
    left, right = differing_words(shown(before), shown(after))
    return _marked(left, "del"), _marked(right, "ins")


def _marked(pieces: Sequence[Piece], tag: str) -> Markup:
    """The text, with each piece that differs inside the tag, but for blanks at its ends."""
    opening, closing = Markup(f"<{tag}>"), Markup(f"</{tag}>")
    found = list[Markup]()
    for piece in pieces:
        words = piece.text.strip() or piece.text
        before, _, after = piece.text.partition(words)
        found.append(before + opening + words + closing + after if piece.differs else escape(piece.text))
    return Markup("").join(found)


def interval_bar(change: Change, scale: float) -> Markup:
    """An interval around 0 as a small picture, with an arrowhead where it goes beyond ``scale``."""

    def place(value: float) -> float:
        return round((min(max(value / scale, -1.0), 1.0) + 1) / 2 * (WIDTH - 12) + 6, 1)

    middle, low, high, at = HEIGHT / 2, place(change.low), place(change.high), place(change.delta)
    beyond = [
        f'<path class="beyond" d="M{x + 5 * step} {middle}l{-5 * step} -4v8z"/>'
        for x, step, outside in ((low, -1, change.low < -scale), (high, 1, change.high > scale))
        if outside
    ]
    return Markup(
        f'<svg class="bar" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" aria-hidden="true">'
        f'<path class="zero" d="M{WIDTH / 2} 0v{HEIGHT}"/><path class="whisker" d="M{low} {middle}H{high}"/>'
        f'<circle cx="{at}" cy="{middle}" r="3.5"/>{"".join(beyond)}</svg>'
    )
