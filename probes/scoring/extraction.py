"""From a model's answer to the program in it. Nothing is run. `Parser.extract` (parser.py) does this in a process of
its own, since compiling is bounded here in size and number, and not in memory.

The law of extraction:

1. What is a program as it stands, behind the code that it was to continue, is judged letter by letter, as the official
   evaluators do. Python decides that, not the look of it.
2. A thought is no answer: only what stands behind the last ``</think>``, or the like of other models (thoughts.py), is
   read, and a thought that never ended has no program.
3. Code is looked for in fences (three or more backticks or tildes, ``[BEGIN]`` and ``[DONE]``), then between prose.
4. Of several versions the last complete one counts: one that compiles and defines the function with more than a
   skeleton (``pass``, ``...``, ``raise NotImplementedError``). Imports and helpers before it stay with it.
5. A passage that breaks off within a statement (``print(f([1, 2``, a bare ``def``) does not compile, and so the answer
   fails, wherever that passage stands: alone, in a fence, or behind prose.
6. An answer that fails only because of what stands around its function, or because its first lines lost the
   indentation of the body, is told as wrong in format alone (`salvage`); it still fails.
"""

import ast
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from probes.scoring import passages
from probes.scoring.syntax import Fault, defines, definitions, helps, parse, statements
from probes.scoring.thoughts import answer_of

__all__ = ["Extracted", "Form", "definitions", "extract", "salvage"]

Form: TypeAlias = Literal["completion", "bare", "fenced", "chatty", "none", "refusal"]


@dataclass(frozen=True, slots=True)
class Extracted:
    """The program of an answer and how the answer held it; no source for "none" and "refusal"."""

    source: str
    form: Form


def extract(text: str, entry_point: str = "", stub: str = "") -> Extracted:
    """The program of an answer. The first of these that applies:

    completion, bare   stub + text compiles and the text adds a statement: that, letter by letter. Prose adds none.
    fenced             the last block that compiles and defines the entry point, behind the blocks before it that only
                       define or import, and what the stub has before its function; or the longest block that
                       continues the stub, indented where it does not compile otherwise.
    chatty             the same with stretches of lines in place of blocks: from a line that starts code (or, with a
                       stub, an indented one behind prose) to a line of prose or the end.
    code all the same  what looks like code and defines no entry point, or does not compile: the block that names the
                       entry point, else the longest, else the text. A truncated function is no missing code.
    refusal, none      there is no code, and the text begins by declining, or does not.

    entry_point: the function asked for; "" takes the longest block. stub: the code that the answer was to continue.
    """
    for whole in dict.fromkeys((text, answer_of(text))):
        if _is_program(whole, stub):
            return Extracted(stub + whole, "completion" if stub else "bare")
    text, stub = _newlines(answer_of(text)), _newlines(stub)
    blocks, outside = passages.fenced(text)
    if source := _assembled(blocks, entry_point, stub):
        return Extracted(source, "fenced")
    runs = list(passages.runs(outside))
    if source := _assembled(runs, entry_point, stub) or _indented_run(outside, entry_point, stub):
        return Extracted(source, "chatty")
    return (
        _failing_block(blocks, entry_point, stub)
        or _failing_text(outside, runs, entry_point, stub)
        or Extracted("", "refusal" if passages.refuses(text) else "none")
    )


def _is_program(text: str, stub: str) -> bool:
    """Python reads an opening ~~~ as an operator where the closing one was cut off, and [DONE] as a list."""
    if text.startswith("~~~") or passages.is_marked(text):
        return False
    return statements(parse(stub + text)) > statements(parse(stub))


def salvage(text: str, source: str, entry_point: str, stub: str) -> str | None:
    """The program of an answer if only its output format were better; None where no other reading defines the function.

    source: what `extract` read, which failed. Self-tests are dropped, a tail behind the whole function is cut off, and
    a body that lacks the stub's indentation gets it. What the function computes is never mended.
    """
    text, source, stub = _newlines(answer_of(text)), _newlines(source), _newlines(stub)
    for candidate in _readings(text, source, entry_point, stub):
        if candidate != source and defines(parse(candidate), entry_point):
            return candidate
    return None


def _readings(text: str, source: str, entry_point: str, stub: str) -> Iterator[str]:
    yield definitions(source) or ""
    start = passages.STARTS.search(source)
    whole = passages.longest("", source, passages.tails)
    run = whole or (passages.longest("", source[start.start() :], passages.tails) if start else "")
    yield definitions(run) or run
    if stub and not passages.fenced(text)[0]:
        yield _continuation([text], entry_point, stub)


def _assembled(pieces: Sequence[str], entry_point: str, stub: str) -> str:
    """The last piece that defines the entry point, behind what it may need; else what continues the stub; else ""."""
    chosen = pieces[-passages.MOST :] if entry_point else sorted(pieces, key=len)[-passages.MOST :]
    programs = [(piece, parse(piece)) for piece in map(_dedented, chosen)]
    while programs:
        last, program = programs.pop()
        if defines(program, entry_point):
            before = [piece for piece, other in programs if entry_point and helps(other, program, entry_point)]
            whole = _joined([_preamble(stub, entry_point), *before, last])
            return whole if isinstance(parse(whole), ast.Module) else last
    return _continuation(chosen, entry_point, stub) if stub else ""


def _continuation(pieces: Sequence[str], entry_point: str, stub: str) -> str:
    """The stub with the longest piece that makes it define the entry point, indented only where it needs to be."""
    for piece in sorted(pieces, key=len, reverse=True):
        programs = ((stub + body, parse(stub + body)) for body in _bodies(piece))
        source, program = next((pair for pair in programs if isinstance(pair[1], ast.Module)), ("", Fault()))
        if defines(program, entry_point):
            return source
    return ""


def _indented_run(text: str, entry_point: str, stub: str) -> str:
    """The stub continued by the first indented lines, up to a line of prose; "" when that does not define it."""
    start = passages.INDENTED.search(text)
    flush = not text.lstrip("\n").startswith((" ", "\t"))
    if not stub or not start or (flush and passages.begins_as_code(text)):
        return ""  # a first line of code that lost its indentation is not left out
    run = passages.longest(stub, text[start.start() :], passages.prose)
    if defines(parse(_dedented(run)), entry_point):  # a block of code in Markdown, not a body
        return _joined([_preamble(stub, entry_point), _dedented(run)])
    return stub + run if defines(parse(stub + run), entry_point) else ""


def _failing_block(blocks: Sequence[str], entry_point: str, stub: str) -> Extracted | None:
    named = re.compile(rf"^[ \t]*+(?:async[ ]+)?def[ ]+{re.escape(entry_point)}\b", re.MULTILINE)
    block = next(filter(named.search, blocks), max(blocks, key=len, default=""))
    program = parse(block)
    if isinstance(program, ast.Module) and statements(program):
        return Extracted(_joined([_preamble(stub, entry_point), block]), "fenced")
    if isinstance(program, Fault) and (passages.begins_as_code(block, stub) or passages.DEFINES.search(block)):
        head = _preamble(stub, entry_point) if named.search(block) else stub
        return Extracted(_joined([head, block]), "fenced")
    return None


def _failing_text(text: str, runs: Sequence[str], entry_point: str, stub: str) -> Extracted | None:
    if isinstance(parse(stub + text), ast.Module):
        return None  # a comment, or words that happen to parse
    if passages.begins_as_code(text, stub):
        return Extracted(stub + text, "completion" if stub else "bare")
    start = passages.DEFINES.search(text)
    if start is None:
        return None
    run = max(runs, key=len, default="") or text[start.start() :]
    return Extracted(_joined([_preamble(stub, entry_point), run]), "chatty")


def _preamble(stub: str, entry_point: str) -> str:
    """The imports and helpers that stand before the function of a stub."""
    found = list(re.finditer(rf"^(?:async[ ]+)?def[ ]+{re.escape(entry_point)}\b", stub, re.MULTILINE))
    return stub[: found[-1].start()] if found else stub


def _bodies(text: str) -> Iterator[str]:
    """A body as it came, with all lines indented, and with the first line indented, where trimming ate that."""
    yield text
    yield textwrap.indent(_dedented(text), "    ")
    yield "    " + text.lstrip()


def _dedented(code: str) -> str:
    return textwrap.dedent(code) if code.lstrip("\n")[:1] in (" ", "\t") else code


def _joined(parts: Iterable[str]) -> str:
    return "\n".join(part for part in parts if part.strip())


def _newlines(text: str) -> str:
    """Line ends as Python itself reads them in a source."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
