"""Each layer alone: a program that it must catch, and one that looks like it and that it must not."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gate_contracts import COUNTS, DIVIDE, ENCODE, FACTORIAL, FIND, MEAN, PARSE, SAMPLE, TIDY, TOTAL
from hypothesis.internal.conjecture import providers

from common.errors import BadInput
from preferences.code_gate import KINDS, LAYERS, PROPERTIES, Contract, ContractSandboxes, Property, Receipt
from preferences.code_gate.execution.hypothesis_search import examples
from preferences.code_gate.execution.program_under_test import ProgramUnderTest
from sandbox import Limits, Outcome

POSITIVE = "def total(xs):\n    return sum(x for x in xs if x > 0)\n"


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[ContractSandboxes]:
    with ContractSandboxes(Limits(seconds=0.5)) as opened:
        yield opened


def receipt(sandboxes: ContractSandboxes, layer: str, contract: Contract, program: str) -> Receipt:
    return LAYERS[layer](ProgramUnderTest(program, sandboxes.bench(contract, 0)))


def tidy(line: str) -> str:
    return f"def tidy(xs):\n    {line}\n"


def looped(body: str) -> str:
    return f"def total(xs):\n    result = []\n    for x in xs:\n        {body}\n    return sum(result)\n"


PAIRS: dict[str, tuple[Contract, str, str]] = {
    "invariant": (TOTAL, "def total(xs):\n    return sum(xs)\n", POSITIVE),
    "differential": (TOTAL, "def total(xs):\n    return sum(map(abs, xs))\n", POSITIVE),
    "property": (TIDY, tidy("return list(dict.fromkeys(xs))"), tidy("return sorted(set(xs))")),
    "fuzz": (
        TOTAL,
        "def total(xs):\n    assert len(xs) < 150, 'too long'\n    return sum(x for x in xs if x > 0)\n",
        POSITIVE,
    ),
    "semantic": (
        PARSE,
        "def parse(s):\n    try:\n        return int(s)\n    except Exception:\n        return None\n",
        "def parse(s):\n    try:\n        return int(s)\n    except ValueError:\n        return None\n",
    ),
    "dataflow": (ENCODE, "def encode(s, k):\n    return s\n", "def encode(s, k):\n    return s * (k or 1)\n"),
    "edge_cases": (MEAN, "def mean(xs):\n    return sum(xs) / len(xs) if xs else 0.0\n", MEAN.reference),
    "coverage": (
        TOTAL,
        "def total(xs):\n    if len(xs) > 1000:\n        return 0\n    return sum(x for x in xs if x > 0)\n",
        "def total(xs):\n    if not xs:\n        return 0\n    return sum(x for x in xs if x > 0)\n",
    ),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_refuses_the_one_and_passes_the_other(sandboxes: ContractSandboxes, layer: str) -> None:
    contract, bad, good = PAIRS[layer]
    caught, passed = (receipt(sandboxes, layer, contract, program) for program in (bad, good))
    assert (caught.layer, caught.passed) == (layer, False)
    assert caught.failing
    assert passed.passed, passed.failing
    assert passed.figures


def test_a_failing_input_is_shrunk(sandboxes: ContractSandboxes) -> None:
    program = tidy("return sorted(x for x in set(xs) if x < 13)")
    assert receipt(sandboxes, "property", TIDY, program).failing == "tidy([13]) gave [], and the reference gave [13]"


def test_the_inputs_follow_from_the_seed_and_not_from_what_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    def constants() -> None:
        raise AssertionError("hypothesis looked at the modules that happen to be imported")

    monkeypatch.setattr(providers, "_get_local_constants", constants)
    drawn, again = ([examples([kind], "a") for kind in KINDS.values()] for _ in range(2))
    assert repr(drawn) == repr(again)
    assert all(drawn)
    assert examples([KINDS["ints"]], "b") != examples([KINDS["ints"]], "a")


def test_nothing_is_written_where_the_gate_runs(tmp_path: Path) -> None:
    script = (
        "from preferences.code_gate import KINDS; "
        "from preferences.code_gate.execution.hypothesis_search import examples; "
        "print(len(examples(KINDS.values(), 'a')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) > 20
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("property_", "bad", "good"),
    [
        (Property("deterministic"), "import random\ndef f(xs): return [random.random()]", "def f(xs): return xs"),
        (Property("keeps_arguments"), "def f(xs):\n    xs.sort()\n    return xs", "def f(xs): return xs"),
        (Property("idempotent"), "def f(xs): return xs + [1]", "def f(xs): return xs[:1]"),
        (Property("order_free", "xs"), "def f(xs): return xs[:1]", "def f(xs): return sorted(xs)[:1]"),
        (Property("round_trip", "g"), "def f(xs): return sorted(xs)", "def f(xs): return xs[::-1]"),
    ],
    ids=PROPERTIES,
)
def test_each_property_is_broken_by_the_one_and_kept_by_the_other(
    sandboxes: ContractSandboxes, property_: Property, bad: str, good: str
) -> None:
    reference = f"{good}\ndef g(xs): return xs[::-1]"
    contract = Contract("f", {"xs": "ints"}, reference, properties=(property_,))
    assert receipt(sandboxes, "property", contract, good).passed
    bench = sandboxes.bench(contract, 0)
    rows = [([1, 3],), ([2, 1, 1],)]
    with sandboxes.programs.start(bad, "f") as program:

        def call(some: Sequence[tuple[Any, ...]]) -> Sequence[Outcome]:
            return program.calls("f", some, tell=True)

        assert any(property_.broken(rows, call(rows), ["xs"], call, bench.helper))
    outcomes = bench.reference_calls(rows)
    assert not any(property_.broken(rows, outcomes, ["xs"], bench.reference_calls, bench.helper))


def test_a_contract_that_its_reference_breaks_is_refused_for_what_it_says(sandboxes: ContractSandboxes) -> None:
    mixed = replace(
        TOTAL,
        properties=(Property("order_free", "xs"),),
        reference="def total(xs):\n    return xs[:1]\n",
        invariants=(),
    )
    with pytest.raises(BadInput, match="a reference must have the properties of its contract, and order_free"):
        receipt(sandboxes, "property", mixed, mixed.reference)
    wrong = replace(TOTAL, invariants=("result > 5",))
    with pytest.raises(BadInput, match="an invariant must hold for the reference, and 'result > 5' does not"):
        receipt(sandboxes, "invariant", wrong, POSITIVE)


HONEST = {
    "a filter": looped("if x > 0: result.append(x)"),
    "a filter by a status that is no step": (
        "def sign(x):\n    return abs(x), x > 0\n\n"
        + looped("size, good = sign(x)\n        if good:\n            result.append(size)")
    ),
    "both branches": looped("if x > 0:\n            result.append(x)\n        else:\n            result.append(0)"),
    "the first of them, if any": "def total(xs):\n    for x in xs:\n        return x\n    return 0\n",
    "a loop that raises on all it meets": (
        "def total(xs):\n    for x in xs:\n        raise ValueError(x)\n    return 0\n"
    ),
    "a search": "def total(xs):\n    for x in xs:\n        if x > 0:\n            return x\n    return 0\n",
    "a parameter marked as unused": "def total(xs, _verbose=False):\n    return sum(xs)\n",
    "a parameter used by an inner function": (
        "def total(xs):\n    def size():\n        return len(xs)\n    return size()\n"
    ),
    "a callback that need not read all": (
        "from functools import reduce\n\ndef count(n, x):\n    return n + 1\n\n"
        "def total(xs):\n    return reduce(count, xs, 0)\n"
    ),
    "a parameter counted down": "def total(xs):\n    xs += [1]\n    return 1\n",
    "counting what was accepted": (
        "def step(s):\n    return s + 1, s % 2 == 0\n\ndef total(xs):\n    hits, state, states = 0, 0, []\n"
        "    for _ in xs:\n        state, accepted = step(state)\n        if accepted:\n            hits += 1\n"
        "        states.append(state)\n    return hits\n"
    ),
    "the accepted ones beside the chain": (
        "def step(s):\n    return s + 1, s % 2 == 0\n\ndef total(xs):\n    moved, state, chain = [], 0, []\n"
        "    for _ in xs:\n        state, accepted = step(state)\n        if accepted:\n"
        "            moved.append(state)\n        chain.append(state)\n    return moved, chain\n"
    ),
    "a scanner whose test is no status": (
        "def after(xs, i):\n    return i + 1, xs[i]\n\ndef total(xs):\n    i, out = 0, []\n    while i < len(xs):\n"
        "        i, x = after(xs, i)\n        if x > 0:\n            out.append(i)\n    return out\n"
    ),
    "a retry": "def total(xs):\n    while True:\n        try:\n            return sum(xs)\n"
    "        except TypeError:\n            xs = list(xs)\n",
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_flows_are_left_alone(sandboxes: ContractSandboxes, name: str) -> None:
    found = receipt(sandboxes, "dataflow", TOTAL, HONEST[name])
    assert found.passed, found.failing


LOST = {
    "yield": "if accepted:\n            yield state",
    "an else that restores": "if accepted:\n            out.append(state)\n        else:\n            hits = 0",
    "a flag compared": "if accepted is True:\n            out = out + [state]",
    "a flag negated": "if not accepted:\n            hits = 0\n        else:\n            out.append((i, state))",
}


@pytest.mark.parametrize("name", LOST)
def test_samples_are_lost_in_many_ways(sandboxes: ContractSandboxes, name: str) -> None:
    program = (
        "def mcmc_sample(log_target, start, n_samples, sigma):\n    out, state, hits = [], start, 0\n"
        "    for i in range(n_samples):\n        state, accepted = step(state, log_target, sigma)\n"
        f"        {LOST[name]}\n    return out\n"
    )
    assert "gets the state only if" in receipt(sandboxes, "dataflow", SAMPLE, program).failing


SOUND = {
    "a status that varies": (
        FIND,
        "def find(xs, x):\n    if x in xs:\n        return xs.index(x), True\n    return -1, False\n",
    ),
    "a validator that ends without a word": (
        DIVIDE,
        "def ok(b):\n    if b:\n        return True\n\ndef divide(a, b):\n    if ok(b):\n"
        "        return a // b\n    raise ValueError('b')\n",
    ),
    "a pair of which one is taken": (DIVIDE, "def divide(a, b):\n    q, _ = divmod(a, b)\n    return q\n"),
    "a pop": (TOTAL, "def total(xs):\n    _ = xs.pop()\n    return sum(xs)\n"),
    "a procedure": (
        TOTAL,
        "def fill(xs, out):\n    out.extend(xs)\n    return out\n\ndef total(xs):\n    out = []\n"
        "    fill(xs, out)\n    return sum(out)\n",
    ),
    "an elif with nothing to do": (
        TOTAL,
        "def total(xs):\n    n = 0\n    for x in xs:\n        if x > 0:\n            n += x\n"
        "        elif x == 0:\n            pass\n    return n\n",
    ),
    "an empty class": (TOTAL, "class Bad(ValueError):\n    pass\n\ndef total(xs):\n    raise Bad(xs)\n"),
    "an assert": (TOTAL, "def total(xs):\n    assert xs is not None\n    return sum(xs)\n"),
    "a broad except that raises": (
        TOTAL,
        "def total(xs):\n    try:\n        return sum(xs)\n    except Exception as error:\n"
        "        raise TypeError('numbers') from error\n",
    ),
    "a function called top": (TOTAL, "def top(xs):\n    return xs and max(xs)\n\ndef total(xs):\n    return top(xs)\n"),
    "names of every scope": (
        COUNTS,
        """
from __future__ import annotations
import os.path as p
TOP = 1

class Box:
    size = TOP
    def get(self): return self.size, __class__, __name__

def counts(s: Later) -> "Later":
    global made
    made = [i for i in s]
    def inner():
        nonlocal s
        s = s + str(p) + str(Box)
        return later(made)
    try:
        inner()
    except KeyError as e:
        print(e)
    with open(s) as f, open(s):
        f.read()
    if (n := len(s)) > 1: return {c: n for c in s}
    return lambda *a, **k: (a, k, made)

def later(x): return x
class Later: pass
""",
    ),
    "the cases of a recursion": (
        FACTORIAL,
        "def factorial(n):\n    if n == 0:\n        return 1\n    if n == 1:\n        return 1\n"
        "    return n * factorial(n - 1)\n",
    ),
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_programs_have_nothing_to_stumble_over(sandboxes: ContractSandboxes, name: str) -> None:
    contract, program = SOUND[name]
    found = receipt(sandboxes, "semantic", contract, program)
    assert found.passed, found.failing


def test_a_star_import_may_define_anything(sandboxes: ContractSandboxes) -> None:
    program = "from math import *\n\ndef total(xs):\n    return floor(sum(xs))\n"
    assert receipt(sandboxes, "semantic", TOTAL, program).passed
    assert not receipt(sandboxes, "semantic", TOTAL, program.replace("*", "ceil")).passed


def test_what_the_reference_does_is_no_finding(sandboxes: ContractSandboxes) -> None:
    """A table where the task is a table, and a parameter that the task has no use for."""
    constant = Contract("f", {"a": "int", "b": "int"}, "def f(a, b):\n    return a\n")
    assert receipt(sandboxes, "dataflow", constant, "def f(a, b):\n    return a\n").passed
    assert not receipt(sandboxes, "dataflow", constant, "def f(a, b):\n    return b\n").passed
    always = Contract("f", {"a": "int"}, "def f(a):\n    return 3\n")
    assert receipt(sandboxes, "semantic", always, "def f(a):\n    return 3\n").passed
