"""Which passages of a model's answer may be code: fenced blocks, stretches between prose, or the whole of it.

Every pattern is linear in the text (possessive where repetitions meet), since an answer may be 10 MB of anything.
"""

import ast
import re
from collections.abc import Iterator

from probes.scoring.syntax import Fault, parse

MOST = 16  # fenced blocks, or stretches between prose, that are looked at
CUTS = 12  # times a text is cut back before it is given up

_PYTHON = ("", "py", "py3", "python", "python3")

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
    | (?:for|while|if|elif|with|except)\b[^:\n]*: | \"{{3}} | '{{3}}
)"""


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.MULTILINE | re.VERBOSE)


STARTS = _pattern(rf"^{_START}")
DEFINES = _pattern(rf"^[ \t]*+{_DEFINITION}")
PROSE = _pattern(rf"""^(?=\S)(?![)\]}}\#@"']|{_LINE})""")
TAIL = _pattern(r"^(?=\S)(?![)\]}\#])")
INDENTED = _pattern(r"^[ \t]++\S")

_FIRST_LINE = _pattern(rf"(?:\s*+\#[^\n]*+\n)*+\s*+{_LINE}")
_BODY = _pattern(r"(?:[ \t]*+\n)*+(?:\t|[ ]{2})")
_MIDDLE = _pattern(r"(?:else|elif|except|finally|return|yield|break|continue)\b")  # begins no top-level statement
_OPENS = _pattern(r"(?P<mark>^[ \t]*+~{3,}+|(?<!`)`{3,}+)[ \t]*+(?P<tag>[\w+\#.-]*+)[^`\n]*+$")
_REFUSAL = re.compile(
    r"\bI(?:'m|\s+am)\s+(?:\w+\s+){0,2}(?:sorry|unable|not\s+able)\b"
    r"|\bI\s+(?:can't|cannot|can\s+not|won't|will\s+not|must\s+decline|don't\s+feel\s+comfortable)\b"
    r"|\bAs\s+an?\s+(?:AI|artificial|(?:large\s+)?language)\b|^\s*(?:sorry\b|(?:I|my)\s+apolog)",
    re.IGNORECASE,
)


def begins_as_code(text: str, stub: str = "") -> bool:
    """Is the first line that is no comment a line of code, or, behind a stub, an indented one?"""
    return bool(_FIRST_LINE.match(text) or (stub and _BODY.match(text)))


def refuses(text: str) -> bool:
    """Does the text begin by declining?"""
    return bool(refusal(text))


def refusal(text: str) -> str:
    """What the beginning of the text says from where it declines; "" where it does not."""
    beginning = text[:300].replace("\u2019", "'")
    found = _REFUSAL.search(beginning)
    return beginning[found.start() :] if found else ""


def fenced(text: str) -> tuple[list[str], str]:
    """The fenced blocks, those of Python where there are any, and the text around them. The last may lack its end.

    A fence may open behind words and close behind code, as models write it; one with a tag always opens a block.
    """
    blocks: list[tuple[str, list[str]]] = []
    outside: list[str] = []
    mark = ""
    for line in text.split("\n"):
        opens, words = _OPENS.search(line), line.strip()
        if mark and (words.startswith(mark) or words.endswith(mark)):
            if not words.startswith(mark):
                blocks[-1][1].append(line.rstrip().removesuffix(mark))
            mark = ""
            if not (opens and opens["tag"] and words.startswith(opens["mark"])):
                continue
        if mark:
            blocks[-1][1].append(line)
        elif opens:
            mark = opens["mark"].strip()
            blocks.append((opens["tag"].lower(), []))
            outside.append(line[: opens.start()])
        else:
            outside.append(line)
    codes = [("\n".join(lines) + "\n", tag in _PYTHON) for tag, lines in blocks]
    return [code for code, python in codes if python] or [code for code, _ in codes], "\n".join(outside)


def runs(text: str) -> Iterator[str]:
    """The stretches of lines that compile, each from a line that starts code to a line of prose or the end."""
    position = 0
    for _ in range(MOST):
        start = STARTS.search(text, position)
        if start is None:
            return
        run = longest("", text[start.start() :], PROSE)
        if run:
            yield run
        # Behind code with a fault only prose begins anew: the rest of a broken program is no program.
        prose = PROSE.search(text, start.start() + len(run) if run else start.end())
        if prose is None:
            return
        position = prose.start()


def longest(head: str, body: str, ends: re.Pattern[str]) -> str:
    """The longest beginning of the body, up to a line that `ends` matches, with which the head compiles; "" if none.

    What compiles never reaches the first faulty line, so a few cuts do where trying every line would take thousands.
    """
    for _ in range(CUTS):
        program = parse(head + body)
        if isinstance(program, ast.Module):
            return body
        fault = _offset(head + body, program) - len(head)
        if fault < 0 or _MIDDLE.match(body, fault):
            return ""
        cuts = [end.start() for end in ends.finditer(body, 1) if end.start() <= fault]
        if not cuts:
            return ""
        body = body[: cuts[-1]]
    return ""


def _offset(source: str, fault: Fault) -> int:
    """Where the faulty line begins; -1 when it is not known."""
    if not fault.line:
        return -1
    return sum(len(line) + 1 for line in source.split("\n")[: fault.line - 1])
