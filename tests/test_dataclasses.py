"""The fields of a dataclass cannot be confused where it is built, nor the arguments of a function in a call."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = (*(path.parent for path in sorted(ROOT.glob("*/__init__.py"))), ROOT / "tests")
MOST = 4
"""Fields of one annotation that may be given by their place."""
SHIPPED = tuple(folder for folder in FOLDERS if folder.name != "tests")
MOST_ARGUMENTS = 6
"""Arguments of a shipped function that may be given by their place."""
MOST_IN_PROBES = 7
"""The same in probes/, whose files are part of the probe key: an edit there makes earlier readings incomparable."""


def positional(source: str) -> Iterator[tuple[int, str, str]]:
    """Line, name and the annotation of each class of a file that takes more than ``MOST`` fields of one annotation by
    their place."""
    if not re.search("dataclass|NamedTuple", source):
        return
    for found in ast.walk(ast.parse(source)):
        if not isinstance(found, ast.ClassDef) or not _is_built_by_place(found):
            continue
        fields = [one for one in found.body if isinstance(one, ast.AnnAssign)]
        kinds = Counter(ast.unparse(one.annotation) for one in fields if not _is_left_out(one))
        if kinds and (most := kinds.most_common(1)[0])[1] > MOST:
            yield found.lineno, found.name, most[0]


def _is_built_by_place(found: ast.ClassDef) -> bool:
    """A NamedTuple, or a dataclass that is not kw_only."""
    decorators = [(one.func, one.keywords) if isinstance(one, ast.Call) else (one, []) for one in found.decorator_list]
    options = [keywords for function, keywords in decorators if ast.unparse(function).endswith("dataclass")]
    named = any(ast.unparse(base).endswith("NamedTuple") for base in found.bases)
    return named or any(not _has(keywords, "kw_only", True) for keywords in options)


def _is_left_out(field: ast.AnnAssign) -> bool:
    """A class variable, or a field that is not given."""
    keywords = field.value.keywords if isinstance(field.value, ast.Call) else []
    return "ClassVar" in ast.unparse(field.annotation) or _has(keywords, "init", False)


def _has(keywords: list[ast.keyword], name: str, value: bool) -> bool:
    return any(one.arg == name and isinstance(one.value, ast.Constant) and one.value.value is value for one in keywords)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_a_dataclass_with_many_fields_of_one_kind_is_keyword_only(folder: Path) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} {name} takes more than {MOST} fields of {kind} by place; make it kw_only"
        for path in sorted(folder.rglob("*.py"))
        for line, name, kind in positional(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("decorator", "number", "is_found"),
    [
        ("@dataclass", 5, True),
        ("@dataclasses.dataclass(frozen=True)", 5, True),
        ("@dataclass(kw_only=False)", 5, True),
        ("@dataclass", 4, False),
        ("@dataclass(frozen=True, kw_only=True)", 5, False),
    ],
)
def test_the_rule_counts_fields_of_one_annotation(decorator: str, number: int, is_found: bool) -> None:
    fields = "".join(f"    f{place}: int\n" for place in range(number))
    assert [kind for _, _, kind in positional(f"{decorator}\nclass One:\n{fields}    text: str\n")] == (
        ["int"] if is_found else []
    )


def many_arguments(source: str, most: int) -> Iterator[tuple[int, str, int]]:
    """Line, name and arguments of each function of a file that takes more than ``most`` by their place, ``self`` not
    counted. The parameters of a command are options of the command line, which nobody calls."""
    for found in ast.walk(ast.parse(source)):
        if not isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef) or _is_command(found):
            continue
        names = [one.arg for one in (*found.args.posonlyargs, *found.args.args)]
        number = len(names) - (names[:1] in (["self"], ["cls"]))
        if number > most:
            yield found.lineno, found.name, number


def _is_command(found: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(ast.unparse(one).startswith("commands.command(") for one in found.decorator_list)


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda path: path.name)
def test_a_function_with_many_arguments_takes_them_by_name(folder: Path) -> None:
    most = MOST_IN_PROBES if folder.name == "probes" else MOST_ARGUMENTS
    found = [
        f"{path.relative_to(ROOT)}:{line} {name} takes {number} arguments by place, at most {most} may be; put a * "
        "before those that a caller should name"
        for path in sorted(folder.rglob("*.py"))
        for line, name, number in many_arguments(path.read_text(encoding="utf-8"), most)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("source", "is_found"),
    [
        ("def one(a, b, c): ...", True),
        ("async def one(a, /, b, c=1): ...", True),
        ("class Some:\n    def one(self, a, b, c): ...", True),
        ("class Some:\n    def one(self, a, b): ...", False),
        ("def one(a, b, *, c): ...", False),
        ("@commands.command(epilog='')\ndef one(a, b, c): ...", False),
    ],
)
def test_the_rule_counts_the_arguments_that_are_given_by_place(source: str, is_found: bool) -> None:
    assert [number for _, _, number in many_arguments(source, 2)] == ([3] if is_found else [])
