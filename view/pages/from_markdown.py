"""Turns sections of report.md into HTML, so that what the two reports share is written once. HTML in the Markdown is
shown as text."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup, escape

from view.charts.palette import STATUS

_DECISIONS = ("id", "KEEP", "decision")
"""Headings of columns whose cells name a decision by its turn."""


_ANSWER = "**Adopt:**"
"""The beginning of the list that has the answer in three lines."""


@dataclass(frozen=True, slots=True)
class PageSection:
    """``title``: as text; "" for the part before the first heading."""

    title: str
    body: Markup


class _PageRenderer(RendererHTML):
    """Tables that scroll by themselves on a narrow screen, and can be scrolled with the keyboard."""

    def text(self, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
        return str(escape(tokens[at].content.replace("->", "\u2192")))

    def table_open(self, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
        name = escape(str(env.get("title", "")) or "Figures")
        return f'<div class="scroll" role="group" tabindex="0" aria-label="{name}: table"><table>\n'

    def table_close(self, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
        return "</table></div>\n"


_MARKDOWN = MarkdownIt("commonmark", {"html": False}, renderer_cls=_PageRenderer).enable("table")
_MARKDOWN.disable(["link", "image", "autolink", "html_inline", "html_block", "reference", "lheading"])


def sections(markdown: str, turns: Collection[int] = ()) -> list[PageSection]:
    """A section for each heading of the second level. ``turns``: those of the decisions that have a row on the page."""
    tokens = _MARKDOWN.parse(markdown)
    starts = [place for place, token in enumerate(tokens) if token.type == "heading_open" and token.tag == "h2"]
    edges = [*starts, len(tokens)]
    found = [_section("", tokens[: edges[0]], turns)] if edges[0] else []
    for start, end in pairwise(edges):
        found.append(_section(_text(tokens[start + 1]), tokens[start + 3 : end], turns))
    return found


def inline(markdown: str) -> Markup:
    """A phrase without the paragraph around it."""
    return Markup(_MARKDOWN.renderInline(markdown))


def _section(title: str, tokens: Sequence[Token], turns: Collection[int]) -> PageSection:
    _dress(tokens, turns)
    env: dict[str, Any] = {"title": title}
    return PageSection(title, Markup(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, env)))


def _text(inline: Token) -> str:
    return "".join(child.content for child in inline.children or [])


def _dress(tokens: Sequence[Token], turns: Collection[int]) -> None:
    """Give the answer and number cells a class and heading cells their scope, and make the name of a decision a link to
    its row."""
    headings: list[str] = []
    column = 0
    for place, token in enumerate(tokens):
        if token.type == "bullet_list_open" and tokens[place + 3].content.startswith(_ANSWER):
            token.attrSet("class", "answer")
        elif token.type == "table_open":
            headings = []
        elif token.type == "tr_open":
            column = 0
        elif token.type in ("th_open", "td_open"):
            if "right" in str(token.attrs.pop("style", "")):
                token.attrJoin("class", "number")
            cell = tokens[place + 1]
            if token.type == "th_open":
                token.attrSet("scope", "col")
                headings.append(_text(cell))
            else:
                _dress_cell(cell, headings[column], turns)
            column += 1


def _dress_cell(cell: Token, heading: str, turns: Collection[int]) -> None:
    text = _text(cell)
    if heading in _DECISIONS and re.fullmatch(r"\d{3,}", text) and int(text) in turns:
        cell.children = _within("a", {"href": f"#decision-{text}"}, cell.children or [])
    elif text in STATUS:
        cell.children = _within("span", {"class": f"status {text.lower()}"}, cell.children or [])


def _within(tag: str, attributes: dict[str, str | int | float], children: list[Token]) -> list[Token]:
    opening, closing = Token(f"{tag}_open", tag, 1, attrs=attributes), Token(f"{tag}_close", tag, -1)
    return [opening, *children, closing]
