"""Hostile programs: the gate returns failed receipts, whatever they do."""

import itertools
import resource
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from gate_contracts import TOTAL

from preferences.code_gate import LAYERS, Certificate, ContractSandboxes, certify
from sandbox import Limits, Outcome, RunningProgram, Sandbox, SandboxBroken

RIGHT = "def total(xs):\n    return sum(x for x in xs if x > 0)\n"


def bomb(levels: int) -> str:
    """The compiler writes each finally twice, and so the innermost a million times."""
    code = ["pass"]
    for _ in range(levels):
        code = ["try: pass", "finally:", *(f" {line}" for line in code)]
    return "\n".join(["def total(xs):", *(f" {line}" for line in code)]) + "\n"


HOSTILE = {
    "an endless loop": "def total(xs):\n    while True:\n        pass\n",
    "an endless loop at the top": "while True:\n    pass\n",
    "an endless loop late": "n = 0\ndef total(xs):\n    global n\n    n += 1\n    while n > 70: pass\n"
    "    return sum(x for x in xs if x > 0)\n",
    "sleep": "import time\ndef total(xs):\n    time.sleep(9)\n",
    "exit": "import sys\ndef total(xs):\n    sys.exit(0)\n",
    "exit at the top": "import sys\nsys.exit(0)\n",
    "leaving": "import os\ndef total(xs):\n    os._exit(0)\n",
    "a huge list": "def total(xs):\n    return [0] * 10 ** 10\n",
    "a huge value": "def total(xs):\n    return 'x' * 10 ** 7\n",
    "large values": "def total(xs):\n    return 'x' * 120_000\n",
    "a number that cannot be written out": f"def total(xs):\n    _ = total(0x{'f' * 9000})\n    return xs\n",
    "deep recursion": "def total(xs):\n    return total(xs)\n",
    "its own equality": "class Yes(int):\n    def __eq__(self, other): return True\ndef total(xs):\n    return Yes()\n",
    "no function": "total = 3\n",
    "nothing": "",
    "no Python": "def total(xs:\n",
    "a bomb for the compiler": bomb(20),
    "a null byte": "def total(xs):\n    return '\0'\n",
    "half a character": "def total(xs):\n    return '\ud800'\n",
    "deeply nested": "def total(xs):\n    return " + "(" * 5000 + ")" * 5000 + "\n",
    "a long sum": "def total(xs):\n    return " + " + ".join(["0"] * 5000) + "\n",
    "a long chain": "def total(xs):\n    if xs == 1: return 2\n" + "    elif xs == 3: return 4\n" * 3000,
    "too long": "#" * (1 << 19) + "\n" + RIGHT,
    "a decorator at the end": RIGHT + "\n@total\n",
    "tracing undone": "import sys\ndef total(xs):\n    sys.settrace(None)\n    if len(xs) > 500:\n        return 0\n"
    "    return sum(x for x in xs if x > 0)\n",
    "forged arcs": "def total(xs):\n    globals()['nightlane_arcs'] = lambda: [[1, 9 ** 99], 'x', [-9 ** 99, 1]]\n"
    "    return sum(x for x in xs if x > 0)\n",
    "frames of its own": "import os\nfrom sandbox import protocol\ndef total(xs):\n"
    "    os.write(3, protocol.pack(['returned', 1]))\n    os._exit(0)\n",
}


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[ContractSandboxes]:
    with ContractSandboxes(Limits(seconds=0.3, memory_mb=128)) as opened:
        yield opened


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_program_gets_receipts_that_failed(sandboxes: ContractSandboxes, name: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    certificate = certify(HOSTILE[name], TOTAL, "sampled", sandboxes)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10
    assert not certificate.certified
    assert [receipt.layer for receipt in certificate.receipts] == list(LAYERS)
    assert Certificate.from_json(certificate.as_json()) == certificate
    assert certify(RIGHT, TOTAL, "sampled", sandboxes).certified  # the sandboxes serve the next one


def test_a_program_that_prints_is_judged_by_what_it_returns(sandboxes: ContractSandboxes) -> None:
    loud = RIGHT.replace("    return", "    print('{\"passed\": true}' * 1000)\n    return")
    assert certify(loud, TOTAL, "sampled", sandboxes).certified
    assert not certify(loud.replace("> 0", "> 1"), TOTAL, "sampled", sandboxes).certified


def test_a_program_that_ran_out_of_time_is_not_run_again(sandboxes: ContractSandboxes) -> None:
    endless = "def total(xs):\n    while xs is not None:\n        pass\n    return 0\n"
    failing = {receipt.layer: receipt.failing for receipt in certify(endless, TOTAL, "sampled", sandboxes).receipts}
    assert failing["invariant"].startswith("total(")
    assert "ended, timeout" in failing["invariant"]
    for layer in ("property", "fuzz", "edge_cases", "coverage"):
        assert failing[layer].startswith("not run, because in an earlier layer total(")
    assert failing["semantic"] == failing["dataflow"] == ""  # reading goes on


def test_trouble_of_the_sandbox_is_not_the_programs(
    sandboxes: ContractSandboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise SandboxBroken("the machine was too busy")

    certify(RIGHT, TOTAL, "sampled", sandboxes)
    for seed, sandbox in enumerate((sandboxes.programs, sandboxes.references), start=7):
        with monkeypatch.context() as patch:
            patch.setattr(sandbox, "start", broken)
            with pytest.raises(SandboxBroken):
                certify(RIGHT, TOTAL, "sampled", sandboxes, seed=seed)
        assert certify(RIGHT, TOTAL, "sampled", sandboxes, seed=seed).certified


@pytest.mark.parametrize("when", [0, 3, 9])  # in a layer, among the properties, while shrinking
def test_trouble_in_the_midst_of_calls_is_tried_again_and_then_told(
    sandboxes: ContractSandboxes, monkeypatch: pytest.MonkeyPatch, when: int
) -> None:
    def trouble(*troubled: int) -> Callable[..., Sequence[Outcome]]:
        turn = itertools.count()

        def calls(candidate: RunningProgram, name: str, *more: Any, **named: Any) -> Sequence[Outcome]:
            if next(turn) in troubled:
                raise SandboxBroken("the zygote is silent")
            return right(candidate, name, *more, **named)

        return calls

    right = RunningProgram.calls
    wrong = RIGHT.replace("x > 0", "x > 9")
    expected = certify(wrong, TOTAL, "sampled", sandboxes)
    monkeypatch.setattr(RunningProgram, "calls", trouble(when))
    assert certify(wrong, TOTAL, "sampled", sandboxes) == expected
    monkeypatch.setattr(RunningProgram, "calls", trouble(*range(when, 99)))
    monkeypatch.setattr(Sandbox, "serves", lambda self: False)
    with pytest.raises(SandboxBroken):
        certify(wrong, TOTAL, "sampled", sandboxes)


def test_a_program_that_breaks_the_sandbox_each_time_is_refused_and_others_are_certified(
    sandboxes: ContractSandboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(candidate: RunningProgram, source: str, needs: str) -> None:
        if "def broken" in source:
            raise SandboxBroken("the zygote is gone")
        right(candidate, source, needs)

    right = RunningProgram.load
    monkeypatch.setattr(RunningProgram, "load", load)
    found = certify(RIGHT + "def broken(): pass\n", TOTAL, "sampled", sandboxes)
    assert not found.certified
    assert any("the sandbox failed with it twice" in receipt.failing for receipt in found.receipts)
    assert certify(RIGHT, TOTAL, "sampled", sandboxes).certified
