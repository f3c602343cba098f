"""Finds the passages of a model's answer that may be code: fenced blocks, runs of lines between prose, or all of it.

Every pattern takes linear time (adjacent repetitions are possessive), since an answer may be a megabyte of any text.
"""

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from probes.scoring.execution.syntax import LIMIT, SyntaxFault, parse
from probes.scoring.execution.torn_lines import LONGEST, is_torn

MOST = 16  # the most fenced blocks, and the most runs between prose, that are considered
CUTS = 12  # attempts to shorten a text
MOST_TORN = 200  # lines behind one another that may be truncated statements

_PYTHON = ("", "py", "py3", "python", "python3")

_KEYWORD = r"(?:and|or|not|in|is|if|else|as|import|lambda|for|async|await|None|True|False)\b"
_WORD = rf"(?!{_KEYWORD})[A-Za-z']++"
_DEFINITION = r"""(?:
    (?:async[ ]+)?def[ ]+\w+[ ]*\( | class[ ]+\w+[ ]*[:(]
    | import[ ]+[\w.]+[ ]*(?:$|[,;#]|as\b) | from[ ]+[.\w]+[ ]+import\b
)"""
_START = rf"""(?:
    {_DEFINITION} | (?:async[ ]+)?def[ ]+\w | @\w
    | [A-Za-z_][\w.]*(?:\[[^\]\n]*\])?(?:,[ ]*[A-Za-z_][\w.]*)*[ ]*(?::[^=\n]*)?(?:[-+*/%&|^@]|//|\*\*|<<|>>)?=(?!=)
)"""
_LINE = rf"""(?:
    {_START} | (?:return|raise|assert|pass|del|yield)\b | (?:else|try|finally)[ ]*: | [A-Za-z_][\w.]*\([^\n]*\)[ ]*$
    | (?:async[ ]+)?(?:for|while|if|elif|with|except)\b[^:\n]*: | (?:break|continue)[ ]*$ | \"{{3}} | '{{3}}
    | match\b(?![^\n]*\b{_WORD}[ ]{_WORD})[^\n]*: | type[ ]+(?:\w+[ ]*(?:\[[^\]\n]*\])?[ ]*= | [A-Z]\w*[ ]*(?:\[|$))
)"""


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.MULTILINE | re.VERBOSE)


STARTS = _pattern(rf"^{_START}")
DEFINES = _pattern(rf"^[ \t]*+{_DEFINITION}")
_PROSE = _pattern(rf"""^(?=\S)(?![)\]}}\#@"']|{_LINE})""")
_TAIL = _pattern(r"^(?=\S)(?![)\]}\#])")
INDENTED = _pattern(r"^[ \t]++\S")

_FIRST_LINE = _pattern(rf"(?:\s*+\#[^\n]*+\n)*+\s*+{_LINE}")
_BODY = _pattern(r"(?:[ \t]*+\n)*+(?:\t|[ ]{2})")
_MIDDLE = _pattern(r"(?:else|elif|except|finally|return|yield|break|continue)\b")  # begins no top-level statement
_OPENS = _pattern(r"(?P<mark>^[ \t]*+~{3,}+|(?<!`)`{3,}+)[ \t]*+(?P<tag>[\w+\#.-]*+)[^`\n]*+$")
_MARKS = {"[BEGIN]": "[DONE]", "[PYTHON]": "[/PYTHON]"}
_MARKED = _pattern(rf"^(?:{'|'.join(map(re.escape, chain(*_MARKS.items())))})[ \t]*+$")
_OPENS_BEFORE_CODE = _pattern(rf"(?P<mark>\[(?:BEGIN|PYTHON)\])[ \t]*+(?={_START})")
_CLOSES_BEHIND_CODE = _pattern(r"(?<=[\w)\]}'\"])[ \t]++(?P<mark>\[(?:DONE|/PYTHON)\])[ \t]*+\r?$")
_BREAKS_OFF = _pattern(rf"""
    (?:async(?:[ ]+(?:def|for|with))?|def|class|import|from|if|elif|else|for|while|with|try|except|finally|match
    |print)\b
    (?![^\n]*[.!?:][ ]*+$)(?![^\n]*\b{_WORD}[ ]{_WORD}[ ]{_WORD})
""")  # no sentence
_CALL = _pattern(r"[A-Za-z_][\w.]*+[(\[][^\n]*+")
_REFUSAL = re.compile(
    r"\bI(?:'m|\s+am)\s+(?:\w+\s+){0,2}(?:sorry|unable|not\s+able)\b"
    r"|\bI\s+(?:can't|cannot|can\s+not|won't|will\s+not|must\s+decline|don't\s+feel\s+comfortable)\b"
    r"|\bAs\s+an?\s+(?:AI|artificial|(?:large\s+)?language)\b|^\s*(?:sorry\b|(?:I|my)\s+apolog)",
    re.IGNORECASE,
)


def begins_as_code(text: str, stub: str = "") -> bool:
    """Whether the first line that is no comment is a line of code or, after a stub, indented."""
    return bool(_FIRST_LINE.match(text) or (stub and _BODY.match(text)))


def refuses(text: str) -> bool:
    """Whether the text begins by declining."""
    return bool(refusal(text))


def refusal(text: str) -> str:
    """The beginning of the text from the words that decline; "" if it does not decline."""
    beginning = text[:300].replace("\u2019", "'")
    match = _REFUSAL.search(beginning)
    return beginning[match.start() :] if match else ""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an answer: the code of a fence, or text outside of fences."""

    text: str
    is_fenced: bool


def split_at_fences(text: str) -> list[Part]:
    """The fenced blocks (only those of Python if there are any) and the texts around them, in order.

    The last fence may have no end. A fence may open after words and close after code on the same line; one with a tag
    always opens a block. A mark that is indented by four columns more does not close it, because it belongs to a
    docstring. A fence of another language may contain Markdown. ``[BEGIN]`` and ``[DONE]``, which the prompts of MBPP
    have, are a fence, too; the first of them may be in the prompt. Here they are on lines of their own
    (`with_marks_on_lines`).
    """
    parts: list[tuple[str | None, list[str]]] = [(None, [])]  # the tag of a fence, or None around fences, and lines
    text, mark, indent = _opened(text), "", 0
    for line in text.split("\n"):
        opens, words = _OPENS.search(line), line.strip()
        if mark and words.startswith(mark) and _indent(line) < indent + 4:
            mark = ""
            parts.append((None, []))
            if not (opens and opens["tag"] and words.startswith(opens["mark"])):
                continue
        elif mark and words.find(mark) == len(words) - len(mark) > 0:
            parts[-1][1].append(line.rstrip().removesuffix(mark))
            mark = ""
            parts.append((None, []))
            continue
        if not mark and words in _MARKS:
            mark, indent = _MARKS[words], _indent(line)
            parts.append(("", []))
        elif not mark and opens:
            parts[-1][1].append(line[: opens.start()])
            mark, indent = opens["mark"].strip(), _indent(line)
            parts.append((opens["tag"].lower(), []))
        elif mark and parts[-1] == ("", []) and words.lower() in _PYTHON[1:]:
            parts[-1] = (words.lower(), [])  # the tag on a line of its own
        else:
            parts[-1][1].append(line)
    if mark:
        _close(parts, mark)
    of_python = any(tag in _PYTHON for tag, _ in parts)
    return [part for tag, lines in parts for part in _read(tag, lines, of_python)]


def _close(parts: list[tuple[str | None, list[str]]], mark: str) -> None:
    """End an unclosed last fence at its last indented mark, unless such marks come in pairs, as in docstrings."""
    tag, lines = parts[-1]
    marks = [number for number, line in enumerate(lines) if line.strip().startswith(mark)]
    if len(marks) % 2:
        parts[-1:] = [(tag, lines[: marks[-1]]), (None, lines[marks[-1] + 1 :])]


def _read(tag: str | None, lines: Sequence[str], of_python: bool) -> Iterator[Part]:
    if tag is None:
        if lines:
            yield Part("\n".join(lines), False)
    elif tag in _PYTHON or not of_python:
        for code in _unwrapped(tag, "\n".join(lines) + "\n"):
            yield Part(code, True)


def _indent(line: str) -> int:
    line = line.expandtabs(4)
    return len(line) - len(line.lstrip())


def with_marks_on_lines(text: str) -> str:
    """The text with each mark beside code (``[BEGIN] def f(x):``, ``return x [DONE]``) on a line of its own.

    A closing one is a mark only if the code before it compiles, an opening one only if the text does not, because it
    may stand in a docstring.
    """
    if not any(mark in text for mark in chain(*_MARKS.items())):
        return text
    if _OPENS_BEFORE_CODE.search(text) and isinstance(parse(text), SyntaxFault):
        text = _OPENS_BEFORE_CODE.sub(r"\n\g<mark>\n", text)
    parts, behind = [], 0
    for close in islice(_CLOSES_BEHIND_CODE.finditer(text), MOST):
        code = text[behind : close.start()]
        opening = max((match.end() for match in _MARKED.finditer(code)), default=0)
        if isinstance(parse(code[opening:].lstrip("\n") + "\n"), ast.Module):
            parts += [code, "\n", close["mark"]]
            behind = close.end()
    return "".join([*parts, text[behind:]])


def is_marked(text: str) -> bool:
    """Whether a line is only a mark, such as ``[DONE]``, which Python would read as a list."""
    return bool(_MARKED.search(text))


def _opened(text: str) -> str:
    """The text with the opening mark, if that is in the prompt."""
    first = _MARKED.search(text)
    for opening, closing in _MARKS.items():
        if first and first[0].strip() == closing:
            return f"{opening}\n{text}"
    return text


def last_parts(parts: Sequence[Part]) -> list[Part]:
    """The last fences and the last `code_runs` between them, MOST of each."""
    blocks: list[Part] = []
    last: list[Part] = []
    for part in reversed(parts):
        between = len(last) - len(blocks)
        if not part.is_fenced and between < MOST:
            last += [Part(run, False) for run in code_runs(part.text, MOST - between)][::-1]
        elif part.is_fenced and len(blocks) < MOST:
            blocks.append(part)
            last.append(part)
    return last[::-1]


def code_runs(text: str, most: int = MOST) -> Iterator[str]:
    """The runs of lines from the start of code to prose or the end, which may not compile."""
    position = 0
    for _ in range(most):
        start = STARTS.search(text, position)
        if start is None:
            return
        run = longest_that_compiles("", text[start.start() :], prose_starts)
        # After invalid code, only prose ends the run: the rest of a broken program is not a program.
        behind = next(_prose(text, start.start() + len(run) if run else start.end()), None)
        yield run or text[start.start() : behind]
        if behind is None:
            return
        position = behind


def prose_starts(text: str) -> list[int]:
    """The offsets of lines of prose, without the first line."""
    return list(_prose(text, 1))


def _prose(text: str, position: int) -> Iterator[int]:
    """Whether a line is prose; truncated code (``print(f([1,``, ``def``, ``f(1) ==``) is not."""
    torn = 0
    for line in _PROSE.finditer(text, position):
        if torn < MOST_TORN and _breaks_off(text, line.start()):
            torn += 1
        else:
            torn = 0
            yield line.start()


def unindented_starts(text: str) -> list[int]:
    """The offsets of lines that are neither indented nor close a bracket, at which a function ends."""
    return [line.start() for line in _TAIL.finditer(text, 1)]


def longest_that_compiles(head: str, body: str, ends: Callable[[str], Sequence[int]]) -> str:
    """The longest beginning of the body, up to one of its ``ends``, with which the head compiles; "" if none.

    It cannot reach the first faulty line, so a few attempts are enough instead of one for every line.
    """
    if len(head + body) > LIMIT:
        return ""
    places = ends(body)
    for _ in range(CUTS):
        program = parse(head + body)
        if isinstance(program, ast.Module):
            return body
        fault = _offset(head + body, program) - len(head)
        if fault < 0 or _MIDDLE.match(body, fault):
            return ""
        places = [place for place in places if place <= fault and place < len(body)]
        if not places:
            return ""
        body = body[: places[-1]]
    return ""


def _breaks_off(text: str, position: int) -> bool:
    """Whether the line at this offset begins a truncated statement. A sentence may begin with the same word."""
    call = _CALL.match(text, position)
    if call and sum(map(call[0].count, "([{")) > sum(map(call[0].count, ")]}")):
        return True
    if _BREAKS_OFF.match(text, position):
        return True
    end = text.find("\n", position)
    return is_torn(text[position : end if end >= 0 else position + LONGEST + 1])


def _unwrapped(tag: str, code: str) -> list[str]:
    """The code of a block; if the block is Markdown, the code of the blocks in it."""
    if tag not in _PYTHON or (not tag and isinstance(parse(code), SyntaxFault)):
        return [part.text for part in split_at_fences(code) if part.is_fenced] or [code]
    return [code]


def _offset(source: str, fault: SyntaxFault) -> int:
    """The offset of the faulty line; -1 if it is unknown."""
    if not fault.line:
        return -1
    return sum(len(line) + 1 for line in source.split("\n")[: fault.line - 1])
