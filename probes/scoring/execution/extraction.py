"""From a model's answer to the program in it. Nothing is run. `Parser.extract` (parser.py) does this in a process of
its own, since compiling is bounded here in size and number, and not in memory.

The law of extraction:

1. What is a program as it stands, behind the code that it was to continue, is judged letter by letter, as the official
   evaluators do. Python decides that, not the look of it.
2. A thought is no answer: only what stands behind the last ``</think>``, or the like of other models (thoughts.py), is
   read, and a thought that never ended has no program.
3. Code is looked for in fences (three or more backticks or tildes, ``[BEGIN]`` and ``[DONE]``) and in bare runs: lines
   from one of code up to the next fence or prose. All are versions, in the order of the text.
4. Of several versions the last complete one counts: one that compiles and defines the function with more than a
   skeleton (``pass``, ``...``, ``raise NotImplementedError``). Imports and helpers before it stay with it.
5. The passage (a fence or a bare run) that holds the last complete version decides. A torn tail in this passage
   (``print(f([1, 2``, a bare ``def``) makes the answer a failure in format; a torn passage of its own, behind a closed
   fence or behind prose, is ignored, since who copies the last complete version does not copy it.
6. An answer that fails only because of what stands around its function, or because its first lines lost the
   indentation of the body, is told as wrong in format alone (`salvage`); it still fails.
"""

import ast
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from probes.scoring.execution import answer_parts
from probes.scoring.execution.answer_parts import Part
from probes.scoring.execution.syntax import Fault, defines, definitions, needed, parse, statements
from probes.scoring.thoughts import without_thoughts

__all__ = ["AnswerForm", "Extracted", "definitions", "extract", "salvage"]

AnswerForm: TypeAlias = Literal["completion", "bare", "fenced", "chatty", "none", "refusal"]


@dataclass(frozen=True, slots=True)
class Extracted:
    """The program of an answer and how the answer held it; no source for "none" and "refusal"."""

    source: str
    form: AnswerForm


def extract(text: str, entry_point: str = "", stub: str = "") -> Extracted:
    """The program of an answer. The first of these that applies:

    completion, bare   stub + text compiles and the text adds a statement: that, letter by letter. Prose adds none.
    fenced, chatty     the last passage, a fenced block or a bare run, that defines the entry point, behind those before
                       it that only define or import, and what the stub has before its function; or else the longest
                       block, or run, that continues the stub, indented where it does not compile otherwise.
    code all the same  what looks like code and defines no entry point, or does not compile: the block that names the
                       entry point, else the longest, else the text. A truncated function is no missing code.
    refusal, none      there is no code, and the text begins by declining, or does not.

    entry_point: the function asked for; "" takes the longest block. stub: the code that the answer was to continue.
    """
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
    # A docstring between prose may hold a fence, which is left out of it.
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
    """Python reads an opening ~~~ as an operator where the closing one was cut off, and [DONE] as a list."""
    if text.startswith("~~~") or answer_parts.is_marked(text):
        return False
    return statements(parse(stub + text)) > statements(parse(stub))


def salvage(text: str, source: str, entry_point: str, stub: str) -> str | None:
    """The program of an answer if only its output format were better; None where no other reading defines the function.

    source: what `extract` read, which failed. Self-tests are dropped, a tail behind the whole function is cut off, and
    a body that lacks the stub's indentation gets it. What the function computes is never mended.
    """
    text, source, stub = _newlines(without_thoughts(text)), _newlines(source), _newlines(stub)
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
    """The longest beginning that compiles, whatever stands behind it; from the first line of code on, if need be."""
    start = answer_parts.STARTS.search(source)
    whole = answer_parts.longest_that_compiles("", source, answer_parts.unindented_starts)
    return whole or (
        answer_parts.longest_that_compiles("", source[start.start() :], answer_parts.unindented_starts) if start else ""
    )


def _last_version(text: str, found: Sequence[Part], entry_point: str, stub: str) -> Extracted | None:
    """The last passage that defines the entry point, behind what it may need, or would but for its torn tail."""
    chosen = found if entry_point else sorted(found, key=lambda passage: (passage.is_fenced, len(passage.text)))
    programs = [(passage, code, parse(code)) for passage in chosen for code in [_dedented(passage.text)]]
    has_fences = any(passage.is_fenced for passage in found)
    while programs:
        passage, last, program = programs.pop()
        if has_fences and not passage.is_fenced and entry_point and not _names_a_function(last, entry_point):
            continue  # a line of prose such as `f = 3`
        form: AnswerForm = "fenced" if passage.is_fenced else "chatty"
        if defines(program, entry_point):
            earlier = [one for one in programs if entry_point and (one[0].is_fenced or not passage.is_fenced)]
            before = [earlier[place][1] for place in needed([parsed for _, _, parsed in earlier], program)]
            whole = _joined([_preamble(stub, entry_point), *before, last])
            return Extracted(whole if isinstance(parse(whole), ast.Module) else last, form)
        if not isinstance(program, Fault):
            continue
        # What does not compile, for its `return`, but continues the stub is a body, and no example of use.
        if passage.is_fenced and (body := _continuation([passage.text], entry_point, stub)):
            return Extracted(body, form)
        if _is_torn(last, entry_point):
            if last.strip() == text.strip():
                return Extracted(stub + text, "completion" if stub else "bare")
            return Extracted(_joined([_preamble(stub, entry_point), last]), form)
    return None


def _names_a_function(code: str, entry_point: str) -> bool:
    name = re.escape(entry_point)
    pattern = rf"^(?:(?:(?:async[ ]+)?def|class)[ ]+{name}\b|{name}[ ]*(?::[^=\n]*)?=[ ]*lambda\b)"
    return bool(re.search(pattern, code, re.MULTILINE))


def _is_torn(code: str, entry_point: str) -> bool:
    """Is the code a complete version and a tail that does not compile?"""
    return (
        bool(entry_point) and _names_a_function(code, entry_point) and defines(parse(_without_tail(code)), entry_point)
    )


def _continuation(pieces: Sequence[str], entry_point: str, stub: str) -> str:
    """The stub with the longest piece that makes it define the entry point, indented only where it needs to be."""
    for piece in sorted(pieces, key=len, reverse=True) if stub else ():
        programs = ((stub + body, parse(stub + body)) for body in _bodies(piece))
        source, program = next((pair for pair in programs if isinstance(pair[1], ast.Module)), ("", Fault()))
        if defines(program, entry_point):
            return source
    return ""


def _indented_run(text: str, entry_point: str, stub: str) -> str:
    """The stub continued by the first indented lines, up to a line of prose; "" when that does not define it."""
    start = answer_parts.INDENTED.search(text)
    flush = not text.lstrip("\n").startswith((" ", "\t"))
    if not stub or not start or (flush and answer_parts.begins_as_code(text)):
        return ""  # a first line of code that lost its indentation is not left out
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
    if isinstance(program, Fault) and (answer_parts.begins_as_code(block, stub) or answer_parts.DEFINES.search(block)):
        head = _preamble(stub, entry_point) if named.search(block) else stub
        return Extracted(_joined([head, block]), "fenced")
    return None


def _failing_text(text: str, runs: Sequence[str], entry_point: str, stub: str) -> Extracted | None:
    if isinstance(parse(stub + text), ast.Module):
        return None  # a comment, or words that happen to parse
    if answer_parts.begins_as_code(text, stub):
        return Extracted(stub + text, "completion" if stub else "bare")
    start = answer_parts.DEFINES.search(text)
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
