"""Where a model that thinks aloud ends its thought and begins its answer."""

import re

_HEADER = r"\b[^<\n]*+(?:<\|constrain\|>[^<\n]*+)?<\|message\|>"

# What opens a thought and what closes it, as patterns. A harmony model's thought ends where its final message begins.
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
_ENDS = _pattern(r"<\|(?:return|end|end_of_solution)\|>\s*+\Z")


_MARK = _pattern(
    "|".join((*(mark for marks in _MARKS for mark in marks), r"<\|(?:start|channel|constrain|message)\|>"))
)
_OPENED = _pattern(rf"(?:{'|'.join(opening for opening, _ in _MARKS)})(?=\s*+\Z)")


def is_thought_mark(token: str) -> bool:
    """Whether a special token's text is a mark that thoughts are found by, or a part of one."""
    return _MARK.fullmatch(token) is not None


def open_thought_mark(question: str) -> str:
    """The mark at the end of a rendered question that has the answer begin within a thought; "" where there is none."""
    found = _OPENED.search(question)
    return found[0] if found else ""


def without_thoughts(text: str) -> str:
    """What stands behind the last mark that closes a thought and before a thought that never ends; all of a text
    without either.

    The opening mark may be missing: many chat templates write it into the prompt. A thought that never ended has no
    answer, so a text that is nothing else gives "". An opening mark stands at the start of a line, a closing one at the
    start or the end of one, unless the text begins with a thought of this kind: others are words of the answer.
    """
    while opened := _OPENS.match(text.lstrip()):
        assert opened.lastindex is not None
        closed = list(_CLOSES[opened.lastindex - 1].finditer(text))
        if not closed:
            return ""
        text = text[closed[-1].end() :]
    closed = list(_CLOSES_A_LINE.finditer(text))
    if closed:
        text = text[closed[-1].end() :]
    opened = _OPENS.search(text)
    return _ENDS.sub("", text[: opened.start()] if opened else text)
