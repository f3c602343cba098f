"""Renders the templates of view/report, view/pairs and view/export: figures in, Markdown out.

Everything that a template prints is escaped as Markdown, unless a filter made Markdown of it. An undefined name is an
error. After rendering, ``lay_out`` joins the lines of a paragraph and aligns tables, so a template may break lines
anywhere.
"""

import re
from functools import cache
from pathlib import Path

import jinja2
from jinja2.ext import Extension
from markupsafe import Markup

from common.redaction import unchanging_environment
from view.data.figures import shown
from view.markdown import (
    chance,
    code,
    command_block,
    count,
    dollars,
    duration,
    excerpt,
    moment,
    percent,
    signed,
    table,
    text,
)
from view.reasons import reason
from view.report.knob_chart import knob_chart

FOLDERS = tuple(Path(__file__).parent / room / "templates" for room in ("report", "pairs", "export"))
_TAG = r"\{%(?:(?!%\}).)*%\}|\{#(?:(?!#\}).)*#\}"
_LINE_OF_TAGS = re.compile(rf"^[ \t]*(?:{_TAG})(?:[ \t]*(?:{_TAG}))*[ \t]*$|(?<![-+])%\}}$", re.MULTILINE | re.DOTALL)
_CELLS = re.compile(r"(?<!\\)\|")


@unchanging_environment()
def render(template: str, **values: object) -> str:
    """The Markdown of ``TEMPLATE.md.jinja``."""
    return lay_out(environment().get_template(f"{template}.md.jinja").render(values))


def lay_out(markdown: str) -> str:
    """Each paragraph and list item on one line, tables aligned, one empty line between blocks; code blocks as they are.

    A line that ends in two spaces keeps its end. Ends with a line feed.
    """
    blocks: list[tuple[str, list[str]]] = []
    fence, ended, broken = "", True, False
    for line in markdown.split("\n"):
        if fence:
            blocks[-1][1].append(line)
            fence = "" if line == fence else fence
            continue
        kind = _kind(line)
        clean = line.rstrip() if kind == "list" else line.strip()
        if kind == "blank":
            ended = True
            continue
        if kind == "code":
            fence = clean[: len(clean) - len(clean.lstrip("`"))]
        goes_on = not ended and blocks and (kind, blocks[-1][0]) in _GOES_ON
        if not goes_on:
            blocks.append((kind, [clean]))
        elif kind == "text" and not broken:
            blocks[-1][1][-1] += f" {clean}"
        else:
            blocks[-1][1].append(clean)
        broken, ended = line.endswith("  "), False
    return "\n\n".join("\n".join(_aligned(lines) if kind == "table" else lines) for kind, lines in blocks) + "\n"


_GOES_ON = {("text", "text"), ("text", "list"), ("list", "list"), ("table", "table")}
"""(kind of line, kind of block): such a line continues such a block."""


_MARKS = {"```": "code", "|": "table", "- ": "list", "# ": "heading", "## ": "heading", "### ": "heading"}


def _kind(line: str) -> str:
    start = line.lstrip()
    if not start:
        return "blank"
    return next((kind for mark, kind in _MARKS.items() if start.startswith(mark)), "text")


def _aligned(lines: list[str]) -> list[str]:
    """A pipe table as written by hand, with its columns aligned."""
    rows = [[cell.strip() for cell in _CELLS.split(line)[1:-1]] for line in lines]
    right = [place for place, cell in enumerate(rows[1]) if cell.endswith(":")]
    return table(rows[0], rows[2:], right, escaped=True)


class _LinesOfTags(Extension):
    """Removes the line feed after a tag only on lines that have nothing but tags."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return _LINE_OF_TAGS.sub(lambda found: "+%}" if found[0] == "%}" else found[0], source)


@cache
def environment() -> jinja2.Environment:
    """Jinja2 with the templates and the filters that they use."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDERS),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        finalize=_escaped,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[_LinesOfTags],
    )
    environment.filters |= {
        "chance": chance,
        "code": lambda value: Markup(_in_cell(code(value))),
        "command_block": lambda commands: Markup("\n".join(command_block(commands))),
        "counted": count,
        "dollars": lambda amount: Markup(dollars(amount)),
        "duration": duration,
        "excerpt": excerpt,
        "fixed": lambda value, digits=2: "" if value is None else f"{value:.{digits}f}",
        "general": lambda value: f"{value:g}",
        "knob_chart": lambda curves: Markup("\n".join(knob_chart(curves))),
        "moment": moment,
        "padded": lambda number: f"{number:03d}",
        "percent": percent,
        "reason": lambda word, older=False: Markup(_in_cell(reason(word, older))),
        "share": lambda value, digits=0: "" if value is None else f"{value:.{digits}%}",
        "shell": lambda command: Markup("\n".join(["```", *command.splitlines(), "```"])),
        "small": lambda value: f"{value:.2g}",
        "short": lambda value, longest: Markup(_in_cell(text(value, longest))),
        "signed": signed,
        "value": shown,
    }
    return environment


def _escaped(value: object) -> Markup:
    """What Jinja prints: Markdown as it is, anything else as text that cannot act as Markdown."""
    if isinstance(value, Markup):
        return value
    return Markup("" if value is None else _in_cell(text(value)))


def _in_cell(markdown: str) -> str:
    return markdown.replace("|", "\\|")
