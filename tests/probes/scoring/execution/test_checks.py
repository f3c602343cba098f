"""Official test code outside, the program inside; cases compared outside."""

from collections.abc import Iterator
from typing import Any

import pytest

from probes.scoring.execution.checks import CheckResult, Sandboxes, TestsBroken, parse_checks, same
from sandbox import Limits

STUB = '''from typing import List


def twice(x):
    return 2 * x


def total(xs: List[int]) -> int:
    """ Sum of the doubles. """
'''
TEST = """
METADATA = {"author": "us"}


def check(candidate):
    assert candidate([1, 2]) == sum(twice(x) for x in [1, 2])
    assert total([]) == 0, "the entry point under its own name"
    try:
        candidate(None)
    except TypeError:
        pass
    else:
        assert False
"""
GOOD = "    return sum(twice(x) for x in xs)\n"


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[Sandboxes]:
    opened = Sandboxes(Limits(seconds=0.5))
    yield opened
    opened.close()


def humaneval(body: str, sandboxes: Sandboxes, test: str = TEST) -> CheckResult:
    checks = {"entry_point": "total", "setup": STUB + test, "tests": ["check(candidate)"]}
    return parse_checks(checks).run(STUB + body, sandboxes)


def asserts(source: str, sandboxes: Sandboxes, *tests: str, setup: str = "") -> CheckResult:
    return parse_checks({"entry_point": "f", "setup": setup, "tests": list(tests)}).run(source, sandboxes)


def test_the_canonical_solution_passes_with_helpers_of_the_prompt_and_the_entry_points_own_name(
    sandboxes: Sandboxes,
) -> None:
    assert humaneval(GOOD, sandboxes) == CheckResult(1, 1)


@pytest.mark.parametrize(
    ("body", "failure_class", "note"),
    [
        ("    return 7\n", "ASSERTION_FAIL", "total([1, 2]) gave 7"),
        ("    return sum(map(twice, xs)) + len(nothing)\n", "NAME_ERROR", "name 'nothing' is not defined"),
        ("    return sum(map(twice, xs)) if xs else xs[0]\n", "INDEX_ERROR", "total([]) raised IndexError"),
        ("    return sum(map(twice, xs or []))\n", "ASSERTION_FAIL", "total(None) gave 0"),
        ("    while True: pass\n", "TIMEOUT", "total([1, 2]) ended, timeout"),
        ("    import os; os._exit(0)\n", "OTHER_RUNTIME", "total([1, 2]) ended, exited"),
        ("    raise SystemExit(0)\n", "OTHER_RUNTIME", "SystemExit"),
        ("    return 'x' * 10 ** 10\n", "MEMORY", "MemoryError"),
        ("    return total(xs)\n", "RECURSION", "RecursionError"),
        ("    return (x for x in xs)\n", "ASSERTION_FAIL", "cannot cross"),
        ("    return sum(map(twice, xs)\n", "SYNTAX_ERROR", "it does not load"),
        ("    pass\ndel total\n", "NAME_ERROR", "does not define 'total'"),
    ],
)
def test_what_a_program_did_first_wrong_is_told(sandboxes: Sandboxes, body: str, failure_class: str, note: str) -> None:
    verdict = humaneval(body, sandboxes)
    assert (verdict.passed, verdict.failure_class) == (0, failure_class)
    assert note in verdict.note


@pytest.mark.parametrize(
    "source",
    [
        "class Yes(int):\n    def __eq__(self, other): return True\ndef f(x): return Yes()",
        "class Yes:\n    def __eq__(self, other): return True\ndef f(x): return Yes()",
        "class Yes(dict):\n    def __eq__(self, other): return True\ndef f(x): return Yes()",
        "import sys\ndef f(x):\n g = sys._getframe()\n while g.f_back: g = g.f_back\n g.f_globals['f'] = 1\n return 0",
        "import builtins\nbuiltins.AssertionError = Exception\nbuiltins.exec = print\ndef f(x): return 0",
        "def f(x): raise AssertionError",
        "import os\nos._exit(0)\ndef f(x): return 1",
        'def f(x):\n    import os\n    os.write(3, b\'\\x00\\x00\\x00\\x13["returned","forged"]\')\n    os._exit(0)',
    ],
)
def test_no_program_passes_by_anything_but_the_right_value(sandboxes: Sandboxes, source: str) -> None:
    assert asserts(source, sandboxes, "assert f(3) == 9", "assert f(4) == 16").passed == 0


def test_a_test_that_swallows_every_exception_does_not_pass_a_program_that_is_gone(sandboxes: Sandboxes) -> None:
    swallowing = "try:\n    f(1)\nexcept BaseException:\n    pass"
    verdict = asserts("import os\ndef f(x): os._exit(0)", sandboxes, swallowing)
    assert (verdict.passed, verdict.failure_class) == (0, "OTHER_RUNTIME")
    assert (
        asserts("def f(x): raise ValueError", sandboxes, swallowing).passed == 1
    )  # the official evaluator passes it too


@pytest.mark.parametrize(
    "gave",
    ["object()", "(y for y in [1])", "range(3)", "frozenset()", "lambda: 1", "bytes(17 * 2**20)"],
)
def test_a_value_that_cannot_cross_is_no_exception_that_a_test_may_take_for_the_right_one(
    sandboxes: Sandboxes, gave: str
) -> None:
    test = "assert f(3) == 3\ntry: f(-1)\nexcept Exception: pass\nelse: assert False"
    assert asserts("def f(x):\n    if x < 0: raise ValueError\n    return x", sandboxes, test).passed == 1
    verdict = asserts(f"def f(x):\n    if x < 0: return {gave}\n    return x", sandboxes, test, "assert f(3) == 3")
    assert verdict.passed == 1  # the second test did not make that call


def test_a_test_that_passes_what_cannot_cross_passes_nobody(sandboxes: Sandboxes) -> None:
    test = "for bad in (object(), 1j, len):\n    try: f(bad)\n    except Exception: pass\n    else: assert False"
    for body in ("return x", "raise ValueError"):
        verdict = asserts(f"def f(x): {body}", sandboxes, test)
        assert (verdict.passed, verdict.note) == (0, "the tests pass an argument that cannot cross")


def test_large_values_come_back(sandboxes: Sandboxes) -> None:
    assert asserts("def f(n): return list(range(n))", sandboxes, "assert len(f(100_000)) == 100_000").passed == 1


def test_a_key_error_keeps_its_key(sandboxes: Sandboxes) -> None:
    test = "try: f('a')\nexcept KeyError as e: assert e.args == ('a',) and str(e) == \"'a'\"\nelse: assert False"
    assert asserts("def f(k): return {}[k]", sandboxes, test).passed == 1


def test_each_assert_is_one_check_and_state_lives_between_them(sandboxes: Sandboxes) -> None:
    source = "n = 0\ndef f():\n    global n\n    n += 1\n    return n"
    verdict = asserts(source, sandboxes, "assert f() == 1", "assert f() == 1", "assert f() == 3")
    assert verdict == CheckResult(2, 3, "ASSERTION_FAIL", "f() gave 2")


def test_setup_imports_and_other_functions_of_the_program_are_there_for_the_asserts(sandboxes: Sandboxes) -> None:
    source = "def f(x): return x + 0.1\ndef g(x): return -x"
    verdict = asserts(
        source, sandboxes, "assert math.isclose(f(1), 1.1)", "assert g(f(0)) == -0.1", setup="import math"
    )
    assert verdict == CheckResult(2, 2)


def test_values_of_every_plain_type_cross_as_they_are(sandboxes: Sandboxes) -> None:
    same_back = "assert f(v) == v and type(f(v)) is type(v)"
    values = ["(1, [2.5], {'a': {1, 2}})", "b'\\x00\\xff'", "10 ** 60", "'\\ud800\\x00'", "None", "float('-inf')"]
    tests = [f"v = {value}\n{same_back}" for value in values]
    assert asserts("def f(x): return x", sandboxes, *tests, "assert f(float('nan')) != 1").passed == len(values) + 1


def test_a_test_that_loops_on_a_wrong_value_is_stopped_and_is_the_programs_failure(sandboxes: Sandboxes) -> None:
    verdict = asserts("def f(x): return 0", sandboxes, "while f(1) == 0: pass")
    assert (verdict.passed, verdict.failure_class) == (0, "TIMEOUT")


def test_tests_that_fail_by_themselves_are_no_failure_of_the_program(sandboxes: Sandboxes) -> None:
    with pytest.raises(TestsBroken, match="No module named 'pandas'"):
        asserts("def f(x): return 1", sandboxes, "assert f(1) == 1", setup="import pandas")


@pytest.mark.parametrize(
    "checks",
    [
        {"entry_point": "f", "tests": []},
        {"entry_point": "f", "tests": [3]},
        {"entry_point": "f", "tests": ["assert f(1) =="]},
        {"entry_point": "f", "tests": ["x = " + "-" * 100_000 + "1"]},
        {"entry_point": "f", "tests": ["assert f(1)"], "setup": None},
        {"entry_point": "f g", "tests": ["assert f(1)"]},
    ],
)
def test_tests_that_cannot_be_run_are_refused(checks: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"entry_point|tests"):
        parse_checks(checks)


def test_equality_looks_at_types_in_sets_and_keys_too() -> None:
    assert same({1, "a"}, {"a", 1})
    assert same({"b": 1, "a": 2}, {"a": 2, "b": 1})
    for value, expected in (({1}, {True}), ({1: 2}, {True: 2}), ({1.0: 1}, {1: 1})):
        assert not same(value, expected)


def test_equality_is_of_type_and_value_all_the_way_down() -> None:
    assert same([1, (2.0, {"a": None})], [1, (2.0 + 1e-12, {"a": None})])
    assert same(float("nan"), float("nan"))
    for value, expected in ((True, 1), (1.0, 1), ([1], (1,)), ({1: 2}, {True: 2}), ([1, 2], [1]), ({"a": 1}, {"b": 1})):
        assert not same(value, expected)


def test_tests_of_functions_that_work_in_place_and_of_the_standard_librarys_unittest_run_unchanged(
    sandboxes: Sandboxes,
) -> None:
    in_place = "xs = [3, 1, 2]\nassert f(xs) is None\nassert xs == [1, 2, 3]"
    assert asserts("def f(xs): xs.sort()", sandboxes, in_place).passed == 1
    assert asserts("def f(xs): sorted(xs)", sandboxes, in_place).passed == 0
    case = "import unittest\nclass T(unittest.TestCase):\n    def runTest(self): self.assertRaises(KeyError, f, {})\n"
    assert asserts("def f(d): return d['a']", sandboxes, "T().debug()", setup=case).passed == 1
    assert asserts("def f(d): return d.get('a')", sandboxes, "T().debug()", setup=case).passed == 0


def test_a_name_that_nobody_defines_is_no_function_of_the_program(sandboxes: Sandboxes) -> None:
    verdict = asserts("def f(x): return x", sandboxes, "assert np.abs(f(1)) == 1")
    assert (verdict.passed, verdict.failure_class) == (0, "NAME_ERROR")


@pytest.mark.parametrize("number", ["1e999", "[-1e999]"])
def test_a_forged_number_that_is_infinite_fails_its_program_and_ends_nothing(sandboxes: Sandboxes, number: str) -> None:
    forged = (
        f"import os, struct\ndef f(x):\n    body = b'[\"returned\",{number}]'\n"
        "    os.write(3, struct.pack('>I', len(body)) + body)\n    return x\n"
    )
    assert asserts(forged, sandboxes, "assert f(1) == 1").passed == 0
