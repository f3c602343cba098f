import builtins

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.scoring.execution.failure_classes import CLASSES, FailureClass, class_of
from sandbox import Ended, Raised


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("SyntaxError", "SYNTAX_ERROR"),
        ("IndentationError", "SYNTAX_ERROR"),
        ("TabError", "SYNTAX_ERROR"),
        ("NameError", "NAME_ERROR"),
        ("UnboundLocalError", "NAME_ERROR"),
        ("ImportError", "IMPORT_ERROR"),
        ("ModuleNotFoundError", "IMPORT_ERROR"),
        ("TypeError", "TYPE_ERROR"),
        ("ValueError", "VALUE_ERROR"),
        ("UnicodeDecodeError", "VALUE_ERROR"),
        ("IndexError", "INDEX_ERROR"),
        ("KeyError", "KEY_ERROR"),
        ("AttributeError", "ATTRIBUTE_ERROR"),
        ("ZeroDivisionError", "ZERO_DIVISION"),
        ("RecursionError", "RECURSION"),
        ("AssertionError", "ASSERTION_FAIL"),
        ("MemoryError", "MEMORY"),
        ("OverflowError", "OTHER_RUNTIME"),
        ("TimeoutError", "OTHER_RUNTIME"),
        ("NotImplementedError", "OTHER_RUNTIME"),
        ("LookupError", "OTHER_RUNTIME"),
        ("StopIteration", "OTHER_RUNTIME"),
        ("SystemExit", "OTHER_RUNTIME"),
        ("Exception", "OTHER_RUNTIME"),
    ],
)
def test_a_builtin_exception_is_classed_by_its_place_in_the_tree(name: str, expected: FailureClass) -> None:
    assert class_of(Raised(name, "")) == expected


def test_an_exception_of_a_library_is_classed_by_its_builtin_ancestor() -> None:
    assert class_of(Raised("JSONDecodeError", "Expecting value", builtin="ValueError")) == "VALUE_ERROR"


def test_the_builtin_ancestor_counts_more_than_a_name_the_program_chose() -> None:
    assert class_of(Raised("KeyError", "", builtin="Exception")) == "OTHER_RUNTIME"


@pytest.mark.parametrize("name", ["", "print", "int", "type", "object", "__import__", "a.b", "None", "\ud800", "\0"])
def test_what_is_no_builtin_exception_is_another_runtime_failure(name: str) -> None:
    assert class_of(Raised(name, "")) == "OTHER_RUNTIME"


@pytest.mark.parametrize("loading", [False, True])
@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Ended("timeout", ""), "TIMEOUT"),
        (Ended("memory", ""), "MEMORY"),
        (Ended("exited", ""), "OTHER_RUNTIME"),
    ],
)
def test_an_end_is_classed_alike_in_a_call_and_in_loading(
    outcome: Ended, loading: bool, expected: FailureClass
) -> None:
    assert class_of(outcome, loading) == expected


@pytest.mark.parametrize("outcome", [Ended("output", ""), Ended("unrepresentable", "")])
def test_a_value_that_cannot_cross_is_a_wrong_answer_in_a_call_only(outcome: Ended) -> None:
    assert class_of(outcome) == "ASSERTION_FAIL"
    assert class_of(outcome, loading=True) == "OTHER_RUNTIME"


def test_the_classes_are_in_the_order_of_the_table() -> None:
    assert (CLASSES[0], CLASSES[1], CLASSES[-1]) == ("PASS", "SYNTAX_ERROR", "OTHER_RUNTIME")
    assert len(CLASSES) == len(set(CLASSES)) == 18


@given(st.text() | st.sampled_from(dir(builtins)), st.text() | st.sampled_from(dir(builtins)), st.booleans())
def test_no_words_of_a_program_make_it_fail(exception: str, builtin: str, loading: bool) -> None:
    assert class_of(Raised(exception, "", builtin=builtin), loading) in CLASSES
