"""Every class of bug that a gate of four layers let through is refused, by the layer that is meant for it."""

from collections.abc import Iterator

import pytest
from gate_contracts import COUNTS, DIVIDE, ENCODE, FACTORIAL, FIND, MEAN, PARSE, SAMPLE, STEP, TOTAL
from long_cases import but_one_in

from preferences.code_gate import Contract, ContractSandboxes, catches, certify
from sandbox import Limits

SAMPLER = """
import math
import random

def metropolis_step(state, log_target, sigma):
    proposed = state + random.gauss(0.0, sigma)
    log_ratio = log_target(proposed) - log_target(state)
    accepted = math.log(1.0 - random.random()) < log_ratio
    {end}

def mcmc_sample(log_target, start, n_samples, sigma):
    samples = []
    state = start
    for _ in range(n_samples):
        {body}
    return samples
"""
END = "return (proposed if accepted else state), accepted"
STEPPED = "state, accepted = metropolis_step(state, log_target, sigma)"


def sampler(*body: str, end: str = END) -> str:
    return SAMPLER.format(end=end, body="\n        ".join(body))


def stepper(end: str, ratio: str = "min(1.0, math.exp(min(0.0, difference)))") -> str:
    return f"""
import math
import random

def metropolis_step(state, log_target, sigma):
    proposed = state + random.gauss(0.0, sigma)
    difference = log_target(proposed) - log_target(state)
    accepted = random.random() < {ratio}
    {end}
"""


CHECKED = "def total(xs):\n    {check}\n    return sum(x for x in xs if x > 0)\n"
COUNTING = "def counts(s):\n    found = {{}}\n    for c in s:\n        {body}\n    return found\n"

# name, contract, program, the layer that is meant for it
PLANTED: tuple[tuple[str, Contract, str, str], ...] = (
    (
        "rejected proposals not appended",
        SAMPLE,
        sampler(STEPPED, "if accepted:", "    samples.append(state)"),
        "dataflow",
    ),
    (
        "continue on rejection",
        SAMPLE,
        sampler(STEPPED, "if not accepted:", "    continue", "samples.append(state)"),
        "dataflow",
    ),
    (
        "the state moves and is kept on acceptance only",
        SAMPLE,
        sampler(
            "new, accepted = metropolis_step(state, log_target, sigma)",
            "if accepted:",
            "    state = new",
            "    samples.append(state)",
        ),
        "dataflow",
    ),
    (
        "a status by its place",
        SAMPLE,
        sampler(
            "result = metropolis_step(state, log_target, sigma)",
            "state = result[0]",
            "if result[1]:",
            "    samples += [state]",
        ),
        "dataflow",
    ),
    (
        "a status by an attribute",
        SAMPLE,
        "import collections\nStep = collections.namedtuple('Step', 'state accepted')\n"
        + sampler(
            "result = metropolis_step(state, log_target, sigma)",
            "state = result.state",
            "if result.accepted:",
            "    samples.append(state)",
            end="return Step(proposed if accepted else state, accepted)",
        ),
        "dataflow",
    ),
    (
        "a step thrown away",
        SAMPLE,
        sampler("_, _ = metropolis_step(state, log_target, sigma)", "samples.append(state)"),
        "semantic",
    ),
    (
        "a step thrown away whole",
        SAMPLE,
        sampler("_ = metropolis_step(state, log_target, sigma)", "samples.append(state)"),
        "semantic",
    ),
    (
        "a burn-in that goes nowhere",
        SAMPLE,
        sampler("metropolis_step(state, log_target, sigma)", STEPPED, "samples.append(state)"),
        "semantic",
    ),
    ("the always-True flag", STEP, stepper("return proposed, True"), "semantic"),
    (
        "the always-True flag by a name",
        STEP,
        stepper("accepted = True\n    return proposed, accepted").replace(
            "    accepted = random.random() < min(1.0, math.exp(min(0.0, difference)))\n", ""
        ),
        "semantic",
    ),
    (
        "a flag that is computed and always True",
        STEP,
        stepper("return (proposed if accepted else state), accepted or not accepted"),
        "differential",
    ),
    ("the one-element tuple", STEP, stepper("return (proposed if accepted else state,)"), "invariant"),
    ("the one-element tuple again", STEP, stepper("return (proposed if accepted else state,)"), "differential"),
    (
        "exp overflow",
        SAMPLE,
        sampler(STEPPED, "samples.append(state)").replace(
            "math.log(1.0 - random.random()) < log_ratio", "random.random() < math.exp(log_ratio)"
        ),
        "edge_cases",
    ),
    ("exp overflow in a step", STEP, stepper(END, "min(1.0, math.exp(difference))"), "edge_cases"),
    (
        "the missing import",
        ENCODE,
        "def encode(s, k):\n"
        "    return ''.join(string.ascii_lowercase[(ord(c) - 97 + k) % 26] if 'a' <= c <= 'z' else c "
        "for c in s)\n",
        "semantic",
    ),
    (
        "a helper nobody wrote, on a branch nobody takes",
        TOTAL,
        "def total(xs):\n    if len(xs) > 10 ** 9:\n        return add_up_in_chunks(xs)\n"
        "    return sum(x for x in xs if x > 0)\n",
        "semantic",
    ),
    (
        "a helper of another function's scope",
        TOTAL,
        "def total(xs):\n    def kept():\n        def good(x):\n            return x > 0\n"
        "        return [x for x in xs if x > 0]\n    return sum(filter(good, kept()))\n",
        "semantic",
    ),
    ("assert to pass", TOTAL, CHECKED.format(check="pass"), "semantic"),
    ("assert to assert True", TOTAL, CHECKED.format(check="assert True"), "semantic"),
    ("an assert of a tuple", TOTAL, CHECKED.format(check="assert (xs is not None, 'a list')"), "semantic"),
    ("a check of which pass is left", TOTAL, CHECKED.format(check="if xs is None:\n        pass"), "semantic"),
    (
        "a checking function of which pass is left",
        DIVIDE,
        "def check_divisor(b):\n    pass\n\ndef divide(a, b):\n    check_divisor(b)\n    if b == 0:\n"
        "        raise ValueError('b')\n    return a // b\n",
        "semantic",
    ),
    (
        "a status that callers trust",
        TOTAL,
        "def is_good(x):\n    return True\n\ndef total(xs):\n    return sum(x for x in xs if is_good(x) and x > 0)\n",
        "semantic",
    ),
    (
        "a swallowed exception",
        PARSE,
        "def parse(s):\n    try:\n        return int(s)\n    except:\n        return None\n",
        "semantic",
    ),
    (
        "a swallowed exception in a loop",
        TOTAL,
        "def total(xs):\n    result = 0\n    for x in xs:\n        try:\n            result += max(x, 0)\n"
        "        except Exception:\n            continue\n    return result\n",
        "semantic",
    ),
    (
        "a swallowed exception that is printed",
        PARSE,
        "def parse(s):\n    try:\n        return int(s)\n    except (ValueError, Exception) as e:\n        print(e)\n"
        "        return None\n",
        "semantic",
    ),
    (
        "everything suppressed",
        PARSE,
        "import contextlib\n\ndef parse(s):\n    with contextlib.suppress(Exception):\n        return int(s)\n",
        "semantic",
    ),
    ("a literal", FACTORIAL, "def factorial(n):\n    return 6\n", "semantic"),
    (
        "a table of the cases",
        FACTORIAL,
        "def factorial(n):\n    if n == 3:\n        return 6\n    if n == 4:\n        return 24\n    if n == 5:\n"
        "        return 120\n    return 1\n",
        "semantic",
    ),
    ("a dict of the cases", FACTORIAL, "def factorial(n):\n    return {3: 6, 4: 24, 5: 120}.get(n, 1)\n", "semantic"),
    (
        "a dict of the cases by a name",
        FACTORIAL,
        "KNOWN = {3: 6, 4: 24, 5: 120}\n\ndef factorial(n):\n    if n in KNOWN:\n"
        "        return KNOWN[n]\n    return 1\n",
        "semantic",
    ),
    (
        "a match of the cases",
        FACTORIAL,
        "def factorial(n):\n    match n:\n        case 3:\n            return 6\n        case 4:\n"
        "            return 24\n"
        "    return 1\n",
        "semantic",
    ),
    (
        "a loop of one turn",
        FIND,
        "def find(xs, x):\n    for i, y in enumerate(xs):\n        if y == x:\n            return i, True\n"
        "        else:\n            return -1, False\n    return -1, False\n",
        "dataflow",
    ),
    (
        "a parameter never read",
        ENCODE,
        "def encode(s, k):\n    return ''.join(chr((ord(c) - 96) % 26 + 97) if 'a' <= c <= 'z' else c for c in s)\n",
        "dataflow",
    ),
    (
        "a parameter overwritten",
        ENCODE,
        "def encode(s, k):\n    k = 3\n    return ''.join(chr((ord(c) - 97 + k) % 26 + 97) if 'a' <= c <= 'z' else c "
        "for c in s)\n",
        "dataflow",
    ),
    ("an inverse that is not one", ENCODE, "def encode(s, k):\n    return s[::-1]\n", "edge_cases"),
    ("a nan of its own", MEAN, "def mean(xs):\n    return sum(xs) / len(xs) if xs else 0.0\n", "edge_cases"),
    ("a count lost", COUNTS, COUNTING.format(body="found[c] = 1"), "invariant"),
    (
        "a case no input goes into",
        TOTAL,
        "def total(xs):\n    result = 0\n    for x in xs:\n        if x > 0:\n            result += x\n"
        "        elif x > 10 ** 6:\n            result -= x\n            result *= 2\n    return result\n",
        "coverage",
    ),
    (
        "the wrong answer for one number",
        TOTAL,
        "def total(xs):\n    return sum(x for x in xs if x > 0 and x != 23)\n",
        "differential",
    ),
)


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[ContractSandboxes]:
    with ContractSandboxes(Limits(seconds=0.5)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("contract", "program", "layer"), but_one_in(2, [row[1:] for row in PLANTED]), ids=[row[0] for row in PLANTED]
)
def test_a_planted_bug_is_refused_by_the_layer_that_is_meant_for_it(
    sandboxes: ContractSandboxes, contract: Contract, program: str, layer: str
) -> None:
    certificate = certify(program, contract, "sampled", sandboxes)
    assert not certificate.certified
    assert layer in certificate.failed, certificate.reason


def test_what_only_reading_finds_and_what_only_extremes_find(sandboxes: ContractSandboxes) -> None:
    """The bugs that passed invariant, differential, property and fuzz are caught by one of the later four alone."""
    later = {
        "the always-True flag": ("differential", "semantic"),
        "a burn-in that goes nowhere": ("semantic",),
        "a helper nobody wrote, on a branch nobody takes": ("semantic", "coverage"),
        "assert to pass": ("semantic",),
        "a swallowed exception": ("semantic",),
        "exp overflow": ("edge_cases",),
        "exp overflow in a step": ("edge_cases",),
        "a case no input goes into": ("coverage",),
    }
    certificates = []
    for name, contract, program, _ in PLANTED:
        if name in later:
            certificates.append(certify(program, contract, "sampled", sandboxes))
            assert certificates[-1].failed == later[name], certificates[-1].reason
    alone = {catch.layer: catch.alone for catch in catches(certificates, "code").layers}
    assert alone["semantic"] == 3
    assert alone["edge_cases"] == 2
    assert alone["coverage"] == 1
