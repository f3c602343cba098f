"""Separates the thoughts of a reasoning model from its answer."""

import re

_HEADER = r"\b[^<\n]*+(?:<\|constrain\|>[^<\n]*+)?<\|message\|>"

# Patterns that open and close a thought. In the harmony format it ends where the final message begins.
_MARKS = (
    (r"<think(?:ing)?>", r"</think(?:ing)?>"),
    (r"<seed:think>", r"</seed:think>"),
    (r"<thought>", r"</thought>"),
    (r"<reasoning>", r"</reasoning>"),
    (r"\[THINK\]", r"\[/THINK\]"),
    (r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>(?:\s*+<\|begin_of_solution\|>)?"),
    (
        rf"(?:<\|start\|>assistant)?<\|channel\|>(?:analysis|commentary){_HEADER}",
        rf"<\|channel\|>final{_HEADER}",
    ),
)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE | re.MULTILINE)


_OPENS = _pattern(rf"^[ \t]*+(?:{'|'.join(f'({opening})' for opening, _ in _MARKS)})")
_CLOSES = [_pattern(closing) for _, closing in _MARKS]
_ANY = rf"(?:{'|'.join(closing for _, closing in _MARKS)})"
_CLOSES_A_LINE = _pattern(rf"^[ \t]*+{_ANY}|{_ANY}(?=[ \t]*+$)|(?<=<\|start\|>assistant){_ANY}")
_CLOSES_UNQUOTED = _pattern(rf"(?<![\"'`]){_ANY}")
_OPENS_ANYWHERE = _pattern("|".join(opening for opening, _ in _MARKS))
_ENDS = _pattern(r"<\|(?:return|end|end_of_solution)\|>\s*+\Z")


_MARK = _pattern(
    "|".join((*(mark for marks in _MARKS for mark in marks), r"<\|(?:start|channel|constrain|message)\|>"))
)
_OPENED = _pattern(rf"(?:{'|'.join(opening for opening, _ in _MARKS)})(?=\s*+\Z)")


def is_thought_mark(token: str) -> bool:
    """Whether a special token is a mark of a thought, or part of one."""
    return _MARK.fullmatch(token) is not None


def open_thought_mark(question: str) -> str:
    """The mark at the end of a rendered question that opens a thought; "" if there is none."""
    found = _OPENED.search(question)
    return found[0] if found else ""


def without_thoughts(text: str) -> str:
    """The text after the last mark that closes a thought, and before a thought that never ends.

    The opening mark may be missing, because many chat templates write it into the prompt. A text that is one unfinished
    thought gives "". An opening mark counts at the start of a line. A closing one counts at the start or end of a line,
    and anywhere if the text begins with a thought of its kind or no mark opens one before it. Any other is part of the
    answer, such as ``"</think>"`` in a program.
    """
    while opened := _OPENS.match(text.lstrip()):
        assert opened.lastindex is not None
        closed = list(_CLOSES[opened.lastindex - 1].finditer(text))
        if not closed:
            return ""
        text = text[closed[-1].end() :]
    first = _OPENS_ANYWHERE.search(text)
    unopened = _CLOSES_UNQUOTED.finditer(text, 0, first.start() if first else len(text))
    if ends := [mark.end() for mark in (*_CLOSES_A_LINE.finditer(text), *unopened)]:
        text = text[max(ends) :]
    opened = _OPENS.search(text)
    return _ENDS.sub("", text[: opened.start()] if opened else text)
