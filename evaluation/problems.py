"""Reads published problem files: HumanEval, MBPP, and evalplus's HumanEval+ and MBPP+, as JSONL or gzipped JSONL.
Executes nothing.

HumanEval and HumanEval+ have a column ``test`` that defines ``check``. MBPP has ``test_list``. MBPP+ also has ``test``,
a script with the tests of the list and many more, which replaces the list. evalplus's own download, with ``plus_input``
and no ``test``, is refused: the expected values are not in the file.
"""

import ast
import builtins
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from common.errors import BadInput
from probes.inputs.files.text import read_jsonl
from probes.inputs.prompts import Prompt

ProblemRow = Mapping[str, Any]
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True, slots=True)
class Problem:
    """A prompt with its checks, the published solution (a completion or a program), and the line in the file."""

    prompt: Prompt
    reference: str | None
    line: int = 0


@dataclass(frozen=True, slots=True)
class RefusedProblem:
    """An unusable problem, its line in the file (from 1), and the reason."""

    task_id: str
    line: int
    why: str


@dataclass(frozen=True, slots=True)
class ProblemSet:
    """The usable problems in the order of the file, and the refused ones."""

    problems: tuple[Problem, ...]
    refused: tuple[RefusedProblem, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all rows in the order of the file."""
        rows = [(one.line, one.prompt.id) for one in self.problems] + [(one.line, one.task_id) for one in self.refused]
        return tuple(name for _, name in sorted(rows))


class _Unusable(Exception):
    """This problem is refused; the message is a part of a sentence."""


def load_problems(path: Path) -> ProblemSet:
    """Read the problems of a file. BadInput for a row of an unknown form, a repeated id, or no usable problem."""
    problems: list[Problem] = []
    refused: list[RefusedProblem] = []
    lines: dict[str, int] = {}
    for line, row in read_jsonl(path):
        name = task_id(path, line, row)
        if (first := lines.setdefault(name, line)) != line:
            raise BadInput(
                f"{path}: ids must be unique and {name!r} is in line {first} and in line {line}; keep one of them"
            )
        read = _reader(path, line, row)
        try:
            problems.append(replace(read(name, row), line=line))
        except _Unusable as why:
            refused.append(RefusedProblem(name, line, str(why)))
    if not problems:
        reason = f" (line {refused[0].line}: {refused[0].why})" if refused else ""
        raise BadInput(f"{path} has no usable problem{reason}; give a file of HumanEval or MBPP problems")
    return ProblemSet(tuple(problems), tuple(refused))


def task_id(path: Path, line: int, row: ProblemRow) -> str:
    """The id of a row, which MBPP writes as a number; BadInput for a row without one."""
    found = row.get("task_id")
    if type(found) is int:
        return str(found)
    if not isinstance(found, str) or not found or _broken(found):
        raise BadInput(f"{path}, line {line}: task_id must be a name or a number and is {found!r}; mend the row")
    return found


def _reader(path: Path, line: int, row: ProblemRow) -> Callable[[str, ProblemRow], Problem]:
    """The function that reads a row of this form."""
    has = {column for column, value in row.items() if value is not None}
    humaneval = sorted({"prompt", "entry_point", "test"} - has)
    mbpp = [*([] if has & {"text", "prompt"} else ["text or prompt"]), *sorted({"test_list"} - has)]
    if not humaneval:
        return _humaneval
    if not mbpp:
        return _mbpp
    if "plus_input" in has:
        raise BadInput(
            f"{path}, line {line} has inputs (plus_input) and no test, so its expected values are missing; give the "
            "file with a column test: humanevalplus or mbppplus of evalplus on the Hugging Face hub"
        )
    raise BadInput(
        f"{path}, line {line} is no problem: for HumanEval's form it lacks {', '.join(humaneval)}, for MBPP's "
        f"{', '.join(mbpp)}; add the columns or give another file"
    )


def _humaneval(name: str, row: ProblemRow) -> Problem:
    prompt, test, entry_point = _text(row, "prompt"), _text(row, "test"), _text(row, "entry_point")
    reference = None if row.get("canonical_solution") is None else _text(row, "canonical_solution", empty=True)
    if not entry_point.isidentifier():
        raise _Unusable(f"its entry_point {entry_point!r} is no name of a function")
    if not any(isinstance(s, ast.FunctionDef) and s.name == "check" for s in _compiled(test, "its test").body):
        raise _Unusable("its test does not define a function check")
    # A stub may end where its body has to begin.
    stubs = (prompt, f"{prompt}    pass\n", prompt + (reference or ""), reference or "")
    if entry_point not in set[str]().union(*map(_defined, stubs)):
        raise _Unusable(f"neither its prompt nor its canonical_solution defines {entry_point}")
    # The official harness executes prompt, completion and test as one file: a test may use the prompt's helpers.
    setups = (f"{prompt}\n{test}", f"{prompt}    pass\n{test}")
    setup = next((text for text in setups if _compiles(text)), test)
    checks = {"entry_point": entry_point, "stub": prompt, "setup": setup, "tests": ["check(candidate)"]}
    return Problem(prompt=Prompt(name, "holdout", "humaneval", 1, prompt, checks), reference=reference)


def _mbpp(name: str, row: ProblemRow) -> Problem:
    told = _text(row, "prompt" if row.get("text") is None else "text")
    tests = _texts(row, "test_list")
    if not tests:
        raise _Unusable("its test_list is empty")
    for number, test in enumerate(tests, start=1):
        if not _compiled(test, f"test {number} of its test_list").body:
            raise _Unusable(f"test {number} of its test_list tests nothing")
    setup = "\n".join([*_texts(row, "test_imports"), _text({"test_setup_code": "", **row}, "test_setup_code", True)])
    _compiled(setup, "its setup (test_imports and test_setup_code)")
    reference = None if row.get("code") is None else _text(row, "code")
    checks = {"entry_point": _entry_point(tests[0], setup, reference), "setup": setup, "tests": tests}
    if row.get("test") is not None:
        script = _text(row, "test")
        _compiled(script, "its test")
        checks["tests"] = [script]
    text = '"""\n' + "\n".join([told, *tests]) + '\n"""\n'
    return Problem(prompt=Prompt(name, "holdout", "mbpp", 1, text, checks), reference=reference)


def _entry_point(test: str, setup: str, reference: str | None) -> str:
    """The function that an assert tests: the first that it calls and the solution defines."""
    calls = [node.func for node in ast.walk(_compiled(test, "its first test")) if isinstance(node, ast.Call)]
    names = sorted((f.lineno, f.col_offset, f.id) for f in calls if isinstance(f, ast.Name))
    defined, known = _defined(reference or ""), _defined(setup) | set(dir(builtins))
    for _, _, name in names:
        if name in defined or (not defined and name not in known):
            return name
    whose = "its code defines" if defined else "an answer could define"
    raise _Unusable(f"its first test calls no function that {whose}")


def _text(row: ProblemRow, column: str, empty: bool = False) -> str:
    value = row[column]
    if value is None and empty:
        return ""
    if not isinstance(value, str) or not (value.strip() or empty):
        raise _Unusable(f"its {column} is no text")
    if _broken(value):
        raise _Unusable(f"its {column} holds half a character that cannot be written as UTF-8")
    return value


def _texts(row: ProblemRow, column: str) -> list[str]:
    values = row.get(column) or []
    if not isinstance(values, list):
        raise _Unusable(f"its {column} is no list of texts")
    return [_text({f"{column} item {n}": v}, f"{column} item {n}", True) for n, v in enumerate(values, start=1)]


def _broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _compiled(source: str, what: str) -> ast.Module:
    """The syntax tree of a source, without Python's warnings about it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(source, "<problem>", "exec", dont_inherit=True)
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
            where = f"line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) else str(error)
            raise _Unusable(f"{what} does not compile ({where})") from None


def _compiles(source: str) -> bool:
    try:
        return bool(_compiled(source, "").body)
    except _Unusable:
        return False


def _defined(source: str) -> set[str]:
    """The names that a source binds at its top level; empty if it does not compile."""
    try:
        return set(_bound(_compiled(source, "").body))
    except _Unusable:
        return set()


def _bound(statements: Sequence[ast.stmt]) -> Iterator[str]:
    for statement in statements:
        if isinstance(statement, _DEFINITIONS):
            yield statement.name
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id
            elif isinstance(node, ast.alias):
                yield node.asname or node.name.split(".")[0]
            elif isinstance(node, _DEFINITIONS):
                yield node.name
