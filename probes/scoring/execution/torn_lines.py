"""Tells an expression that was cut off (``f(1) ==``, ``[f(i) for i in``, ``a[1]:``) from a line of prose.

The text behind a function is prose, which a person leaves out, or code, which is judged as it stands. A complete line
of code is known by its form (answer_parts.py). A line that was cut off is known here: it begins as an expression, its
end is missing, and nothing in it is plainly prose.
"""

import functools
import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

LONGEST = 1000
"""Characters of a line. A longer one is taken as whole."""

_TOKEN = re.compile(
    r"""(?P<space>[ \t]*+)(?:
        (?P<comment>(?:(?<=\s)|^)\#.*+)
      | (?P<string>(?:(?i:[fbru]|[fb]r|r[fb])?+)(?P<quote>["'])(?:(?!(?P=quote))[^\\]|\\.)*+(?P<close>(?P=quote))?+)
      | (?P<word>[^\W\d]\w*+(?:'[^\W\d]++)*+)
      | (?P<number>\d[\w.]*+)
      | (?P<open>[(\[{]) | (?P<closing>[)\]}])
      | (?P<other>://)
      | (?P<operator>==|!=|->|=>|:=|\*\*|//|<<|>>|[-+*/%<>=|&^@~,.:;]|\\$)
      | (?P<unknown>\S)
    )""",
    re.VERBOSE,
)
_KINDS = ("comment", "string", "word", "number", "open", "closing", "other", "operator", "unknown")
_KEYWORDS = frozenset(keyword.kwlist) - {"None", "True", "False"}
_BEGINS_EXPRESSION = frozenset({"not", "lambda", "await", "global", "nonlocal", "~"})
_BEGINS_NONE = frozenset({"and", "or", "in", "is", "as"})
_GOES_ON = frozenset(
    {*("and", "or", "not", "in", "is", "if", "else", "for", "lambda", "await", "yield")}
    | {*("==", "!=", ":=", "**", "//", "<<", ">>"), *"+-*/%<>=|&^@~\\"}
)
_NEAR = 12  # tokens from the beginning
_INFIX = ("and", "else", "for", "if", "in", "is", "not", "or", "!=")
_PARTS_OF_INFIX = frozenset(word[:end] for word in _INFIX for end in range(1, len(word)))
_SIGNS = frozenset({"-", "+", "*"})
_MAY_BEGIN = _SIGNS | {"~", "\\"}


@dataclass(frozen=True, slots=True)
class _Token:
    """``spaced``: whether a blank is before it. ``ends``: False for a string whose closing quote is missing."""

    kind: str
    text: str
    spaced: bool
    ends: bool

    @property
    def is_keyword(self) -> bool:
        return self.kind == "word" and self.text in _KEYWORDS

    @property
    def is_operand(self) -> bool:
        return self.kind in ("word", "number", "string") and not self.is_keyword

    @property
    def is_capitalised(self) -> bool:
        return self.kind == "word" and self.text[:1].isupper() and self.text[1:] == self.text[1:].lower()


@functools.lru_cache(maxsize=1024)  # a text is often read again from another line on
def is_torn(line: str) -> bool:
    """Whether the line is an expression that was cut off. Takes linear time."""
    tokens = _tokens(line) if len(line) <= LONGEST else []
    return bool(tokens) and _lacks_its_end(tokens) and not _is_plainly_prose(tokens)


def _tokens(line: str) -> list[_Token]:
    found = [
        _Token(
            kind=next(kind for kind in _KINDS if match[kind] is not None),
            text=match[0].strip(),
            spaced=bool(match["space"]),
            ends=match["quote"] is None or match["close"] is not None,
        )
        for match in _TOKEN.finditer(line)
    ]
    return [token for token in found if token.kind != "comment"]


def _depth(tokens: Sequence[_Token]) -> int:
    """How many brackets are open at the end; -1 if more are closed."""
    depth = 0
    for token in tokens:
        depth += (token.kind == "open") - (token.kind == "closing")
        if depth < 0:
            return depth
    return depth


def _lacks_its_end(tokens: Sequence[_Token]) -> bool:
    """Whether a bracket or string is open, the last token is an operator, the first word needs more, or an ``if`` after
    a closing bracket has no ``else``, as in ``f(1) if x``."""
    first, last = tokens[0], tokens[-1]
    return (
        _depth(tokens) > 0
        or not last.ends
        or last.text in _GOES_ON
        or first.text in _BEGINS_EXPRESSION
        or (first.is_keyword and first is last)
        or _has_if_without_else(tokens)
        or _ends_within_an_operator(tokens)
        or (last.text == ":" and _annotates(tokens))
    )


def _ends_within_an_operator(tokens: Sequence[_Token]) -> bool:
    """``f(1) a``, ``f(1) == 1 o``, ``f(1) !``, ``f(1).``"""
    if len(tokens) < 3 or tokens[0].kind != "word":
        return False
    before, last = tokens[-2:]
    if last.text == ".":
        return before.kind == "closing"
    return last.spaced and last.text in _PARTS_OF_INFIX and before.kind in ("closing", "number", "string")


def _has_if_without_else(tokens: Sequence[_Token]) -> bool:
    behind_bracket = any(one.kind == "closing" and other.text == "if" for one, other in pairwise(tokens))
    return behind_bracket and not any(token.text == "else" for token in tokens)


def _is_plainly_prose(tokens: Sequence[_Token]) -> bool:
    """Signs of prose: a mark that Python does not have, a beginning that no statement has, words side by side, a label
    with a colon, the end of a sentence."""
    first, last = tokens[0], tokens[-1]
    is_cut = _ends_within_an_operator(tokens)
    depth = _depth(tokens)
    return (
        depth < 0
        or any(token.kind in ("other", "unknown") for token in (tokens[:-1] if is_cut else tokens))
        or (first.kind == "operator" and first.text not in _MAY_BEGIN)
        or (first.text in _BEGINS_NONE and (first is not last or first.text in ("and", "or")))
        or (depth == 0 and last.text == "." and not is_cut)
        or (first.text != "lambda" and _colon_outside(tokens) is not None and not _annotates(tokens))
        or (len(tokens) > 1 and _begins_a_sentence(first, tokens[1]))
        or any(_are_words_side_by_side(one, other, other is last) for one, other in pairwise(tokens))
    )


def _colon_outside(tokens: Sequence[_Token]) -> int | None:
    """The place of the first colon outside of brackets, as in ``Example: f(``."""
    near = enumerate(tokens[:_NEAR])
    return next((place for place, token in near if token.text == ":" and _depth(tokens[:place]) == 0), None)


def _annotates(tokens: Sequence[_Token]) -> bool:
    """Whether a colon is of an annotation, not of a label: behind ``a[1]``, before ``list[`` or before ``=``."""
    colon = _colon_outside(tokens)
    if colon is None:
        return False
    target, rest = tokens[:colon], tokens[colon + 1 :]
    subscript = any(one.kind == "word" and not other.spaced and other.text == "[" for one, other in pairwise(target))
    is_type = len(rest) > 1 and rest[0].kind == "word" and rest[1].text == "[" and not rest[1].spaced
    assigns = any(token.text == "=" and _depth(rest[:place]) == 0 for place, token in enumerate(rest[:_NEAR]))
    return (subscript and target[0].kind == "word") or (is_type and not target[0].is_capitalised) or assigns


def _begins_a_sentence(first: _Token, second: _Token) -> bool:
    """``- item``, ``---``, ``~~~``, ``Hence, f(``, ``This is``."""
    if first.text in _SIGNS:
        return second.spaced or second.text in _SIGNS
    if first.text == second.text == "~":
        return True
    return first.is_capitalised and (second.text == "," or (second.kind == "word" and not first.is_keyword))


def _are_words_side_by_side(one: _Token, other: _Token, is_last: bool) -> bool:
    """Two operands without an operator between them. The last may be the beginning of a keyword, such as ``i`` of
    ``in``."""
    if one.text == "." and other.spaced:
        return other.kind == "word"
    if not (one.is_operand or one.kind == "closing"):
        return False
    if other.kind == "open":
        return other.spaced
    if one.kind == other.kind == "string":
        return False
    return other.is_operand and not (is_last and any(word.startswith(other.text) for word in _KEYWORDS))
