"""Extracts the program from a model's answer. Nothing is executed. `Parser.extract` (parser.py) runs this in a separate
process, because the memory for compiling is not limited here.

The rules of extraction:

1. If the answer is a program as it stands, after the code that it continues, it is executed unchanged, as by the
   official evaluators. Python decides whether it is one.
2. A thought is not an answer: only the text after the last ``</think>``, or a similar mark (thoughts.py), is read. If a
   thought never ends, there is no program.
3. Code is looked for in fences (three or more backticks or tildes, ``[BEGIN]`` and ``[DONE]``) and in bare runs: lines
   from a line of code to the next fence or prose. All of these are versions, in the order of the text.
4. The last complete version counts: one that compiles and defines the function with more than a skeleton (``pass``,
   ``...``, ``raise NotImplementedError``, ``return NotImplemented``). Imports and helpers before it are kept.
5. If the passage (a fence or a bare run) of the last complete version has a truncated end (``print(f([1, 2``, a bare
   ``def``, ``f(1) ==``, ``match x:``), the answer is judged as it stands and fails by its format. Outside of fences, a
   line that is plainly prose or a label (``Output:``) is no such end (torn_lines.py). A truncated passage of its own,
   after a closed fence or prose, is ignored, because a person who copies the last complete version does not copy it.
6. An answer that fails only because of the text around its function, or because the first lines of the body lost their
   indentation, is reported as wrong in format alone (`salvage`). It still fails.
"""

import ast
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from probes.scoring.execution import answer_parts
from probes.scoring.execution.answer_parts import Part
from probes.scoring.execution.syntax import SyntaxFault, defines, definitions, needed, parse, statements
from probes.scoring.thoughts import without_thoughts

__all__ = ["AnswerForm", "Extracted", "definitions", "extract", "salvage"]

AnswerForm: TypeAlias = Literal["completion", "bare", "fenced", "chatty", "none", "refusal"]


@dataclass(frozen=True, slots=True)
class Extracted:
    """The program of an answer and its form; "none" and "refusal" have no source."""

    source: str
    form: AnswerForm


def extract(text: str, entry_point: str = "", stub: str = "") -> Extracted:
    """The program of an answer. The first of these that applies:

    completion, bare   stub + text, unchanged, if that compiles and the text adds a statement, which prose does not.
    fenced, chatty     the last passage (a fenced block or a bare run) that defines the entry point, after earlier ones
                       that only define or import, and the stub's lines before its function; else the longest block or
                       run that continues the stub, indented if it does not compile otherwise.
    invalid code       text that looks like code, but does not define the entry point or does not compile: the block
                       that names the entry point, else the longest, else the text. A truncated function is code.
    refusal, none      there is no code; for "refusal", the text begins by declining.

    entry_point: the requested function; "" takes the longest block. stub: the code that the answer continues.
    """
    text = answer_parts.with_marks_on_lines(text)
    for whole in dict.fromkeys((text, without_thoughts(text))):
        if _is_program(whole, stub):
            return Extracted(stub + whole, "completion" if stub else "bare")
    text, stub = _newlines(without_thoughts(text)), _newlines(stub)
    parts = answer_parts.split_at_fences(text)
    outside = "\n".join(part.text for part in parts if not part.is_fenced)
    found = answer_parts.last_parts(parts)
    blocks = [part.text for part in found if part.is_fenced]
    runs = [part.text for part in found if not part.is_fenced and isinstance(parse(part.text), ast.Module)]
    if version := _last_version(text, found, entry_point, stub):
        return version
    # Without the fences, because a docstring between prose may contain one.
    whole_runs = answer_parts.last_parts([Part(outside, False)]) if blocks else []
    if version := _last_version(text, whole_runs, entry_point, stub):
        return version
    if source := _continuation(blocks, entry_point, stub):
        return Extracted(source, "fenced")
    if source := _continuation(runs, entry_point, stub) or _indented_run(outside, entry_point, stub):
        return Extracted(source, "chatty")
    return (
        _failing_block(blocks, entry_point, stub)
        or _failing_text(outside, runs, entry_point, stub)
        or Extracted("", "refusal" if answer_parts.refuses(text) else "none")
    )


def _is_program(text: str, stub: str) -> bool:
    """Whether the answer is a program as it stands. Python would accept an unclosed ~~~ and [DONE], which are marks."""
    if text.startswith("~~~") or answer_parts.is_marked(text):
        return False
    return statements(parse(stub + text)) > statements(parse(stub))


def salvage(text: str, source: str, entry_point: str, stub: str) -> str | None:
    """The program that the answer would have with a correct format; None if no other reading defines the function.

    source: the program from `extract`, which failed. Self-tests and text after the whole function are removed, and a
    body without the stub's indentation gets it. The function itself is never changed.
    """
    text = _newlines(without_thoughts(answer_parts.with_marks_on_lines(text)))
    source, stub = _newlines(source), _newlines(stub)
    for candidate in _readings(text, source, entry_point, stub):
        if candidate != source and defines(parse(candidate), entry_point):
            return candidate
    return None


def _readings(text: str, source: str, entry_point: str, stub: str) -> Iterator[str]:
    yield definitions(source) or ""
    run = _without_tail(source)
    yield definitions(run) or run
    if stub and not any(part.is_fenced for part in answer_parts.split_at_fences(text)):
        yield _continuation([text], entry_point, stub)


def _without_tail(source: str) -> str:
    """The longest beginning that compiles; if there is none, the longest from the first line of code on."""
    start = answer_parts.STARTS.search(source)
    whole = answer_parts.longest_that_compiles("", source, answer_parts.unindented_starts)
    return whole or (
        answer_parts.longest_that_compiles("", source[start.start() :], answer_parts.unindented_starts) if start else ""
    )


def _last_version(text: str, found: Sequence[Part], entry_point: str, stub: str) -> Extracted | None:
    """The last passage that defines the entry point, or would without its truncated end, with what it needs."""
    chosen = found if entry_point else sorted(found, key=lambda passage: (passage.is_fenced, len(passage.text)))
    programs = [(passage, code, parse(code)) for passage in chosen for code in [_dedented(passage.text)]]
    has_fences = any(passage.is_fenced for passage in found)
    while programs:
        passage, last, program = programs.pop()
        if has_fences and not passage.is_fenced and entry_point and not _names_a_function(last, entry_point):
            continue  # a line of prose such as `f = 3`
        form: AnswerForm = "fenced" if passage.is_fenced else "chatty"
        if defines(program, entry_point):
            earlier = [known for known in programs if entry_point and (known[0].is_fenced or not passage.is_fenced)]
            before = [earlier[place][1] for place in needed([parsed for _, _, parsed in earlier], program)]
            whole = _joined([_preamble(stub, entry_point), *before, last])
            return Extracted(whole if isinstance(parse(whole), ast.Module) else last, form)
        if not isinstance(program, SyntaxFault):
            continue
        # A body does not compile because of its `return`, but continues the stub; an example of use does not.
        if passage.is_fenced and (body := _continuation([passage.text], entry_point, stub)):
            return Extracted(body, form)
        if _is_truncated(last, entry_point):
            if last.strip() == text.strip():
                return Extracted(stub + text, "completion" if stub else "bare")
            return Extracted(_joined([_preamble(stub, entry_point), last]), form)
    return None


def _names_a_function(code: str, entry_point: str) -> bool:
    name = re.escape(entry_point)
    pattern = rf"^(?:(?:(?:async[ ]+)?def|class)[ ]+{name}\b|{name}[ ]*(?::[^=\n]*)?=[ ]*lambda\b)"
    return bool(re.search(pattern, code, re.MULTILINE))


def _is_truncated(code: str, entry_point: str) -> bool:
    """Whether the code is a complete version with an end that does not compile."""
    return (
        bool(entry_point) and _names_a_function(code, entry_point) and defines(parse(_without_tail(code)), entry_point)
    )


def _continuation(pieces: Sequence[str], entry_point: str, stub: str) -> str:
    """The stub with the longest piece that makes it define the entry point, indented only if necessary."""
    for piece in sorted(pieces, key=len, reverse=True) if stub else ():
        programs = ((stub + body, parse(stub + body)) for body in _bodies(piece))
        source, program = next((pair for pair in programs if isinstance(pair[1], ast.Module)), ("", SyntaxFault()))
        if defines(program, entry_point):
            return source
    return ""


def _indented_run(text: str, entry_point: str, stub: str) -> str:
    """The stub with the first indented lines, up to prose; "" if that does not define the entry point."""
    start = answer_parts.INDENTED.search(text)
    flush = not text.lstrip("\n").startswith((" ", "\t"))
    if not stub or not start or (flush and answer_parts.begins_as_code(text)):
        return ""  # the first line of code lost its indentation, and must not be left out
    run = answer_parts.longest_that_compiles(stub, text[start.start() :], answer_parts.prose_starts)
    if defines(parse(_dedented(run)), entry_point):  # a block of code in Markdown, not a body
        return _joined([_preamble(stub, entry_point), _dedented(run)])
    return stub + run if defines(parse(stub + run), entry_point) else ""


def _failing_block(blocks: Sequence[str], entry_point: str, stub: str) -> Extracted | None:
    named = re.compile(rf"^[ \t]*+(?:async[ ]+)?def[ ]+{re.escape(entry_point)}\b", re.MULTILINE)
    block = next(filter(named.search, blocks), max(blocks, key=len, default=""))
    program = parse(block)
    if isinstance(program, ast.Module) and statements(program):
        return Extracted(_joined([_preamble(stub, entry_point), block]), "fenced")
    if isinstance(program, SyntaxFault) and (
        answer_parts.begins_as_code(block, stub) or answer_parts.DEFINES.search(block)
    ):
        head = _preamble(stub, entry_point) if named.search(block) else stub
        return Extracted(_joined([head, block]), "fenced")
    return None


def _failing_text(text: str, runs: Sequence[str], entry_point: str, stub: str) -> Extracted | None:
    if isinstance(parse(stub + text), ast.Module):
        return None  # a comment, or prose that Python can parse
    if answer_parts.begins_as_code(text, stub):
        return Extracted(stub + text, "completion" if stub else "bare")
    start = answer_parts.DEFINES.search(text)
    if start is None:
        return None
    run = max(runs, key=len, default="") or text[start.start() :]
    return Extracted(_joined([_preamble(stub, entry_point), run]), "chatty")


def _preamble(stub: str, entry_point: str) -> str:
    """The imports and helpers before the function of a stub."""
    matches = list(re.finditer(rf"^(?:async[ ]+)?def[ ]+{re.escape(entry_point)}\b", stub, re.MULTILINE))
    return stub[: matches[-1].start()] if matches else stub


def _bodies(text: str) -> Iterator[str]:
    """A body unchanged, with all lines indented, and with only the first line indented, which trimming affects."""
    yield text
    yield textwrap.indent(_dedented(text), "    ")
    yield "    " + text.lstrip()


def _dedented(code: str) -> str:
    return textwrap.dedent(code) if code.lstrip("\n")[:1] in (" ", "\t") else code


def _joined(parts: Iterable[str]) -> str:
    return "\n".join(part for part in parts if part.strip())


def _newlines(text: str) -> str:
    """The text with line ends as Python reads them."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
