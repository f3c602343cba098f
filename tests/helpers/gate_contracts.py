"""Contracts for the tests of the code gate."""

from preferences.code_gate import Contract, Property

MCMC = """
import math
import random

def metropolis_step(state, log_target, sigma):
    proposed = state + random.gauss(0.0, sigma)
    log_ratio = log_target(proposed) - log_target(state)
    accepted = math.log(1.0 - random.random()) < log_ratio
    return (proposed if accepted else state), accepted

def mcmc_sample(log_target, start, n_samples, sigma):
    samples = []
    state = start
    for _ in range(n_samples):
        state, accepted = metropolis_step(state, log_target, sigma)
        samples.append(state)
    return samples
"""
_CAESAR = """
def encode(s, k):
    return "".join(chr((ord(c) - 97 + k) % 26 + 97) if "a" <= c <= "z" else c for c in s)

def decode(s, k):
    return encode(s, -k)
"""
_FOURIER = """
import cmath

def transform(xs):
    n = len(xs)
    result = []
    for k in range(n):
        total = sum(x * cmath.exp(-2j * cmath.pi * k * i / n) for i, x in enumerate(xs))
        total = complex(total)
        result.append((total.real, total.imag))
    return result

def back(parts):
    n = len(parts)
    values = [complex(re, im) for re, im in parts]
    return [(sum(v * cmath.exp(2j * cmath.pi * k * i / n) for k, v in enumerate(values)) / n).real for i in range(n)]
"""

SAMPLE = Contract(
    "mcmc_sample",
    {"log_target": "log_density", "start": "float", "n_samples": "small", "sigma": "positive_float"},
    MCMC,
    invariants=("len(result) == n_samples",),
    compares="shape",
)
STEP = Contract(
    "metropolis_step",
    {"state": "float", "log_target": "log_density", "sigma": "positive_float"},
    MCMC,
    invariants=("len(result) == 2", "isinstance(result[1], bool)"),
    compares="shape",
)
ENCODE = Contract(
    "encode",
    {"s": "text", "k": "small"},
    _CAESAR,
    ("len(result) == len(s)",),
    (Property("round_trip", "decode"), Property("deterministic")),
)
TRANSFORM = Contract("transform", {"xs": "floats"}, _FOURIER, (), (Property("round_trip", "back"),))
TIDY = Contract(
    "tidy",
    {"xs": "ints"},
    "def tidy(xs):\n    return sorted(set(xs))\n",
    ("len(result) <= len(xs)",),
    (Property("idempotent"), Property("order_free", "xs"), Property("keeps_arguments"), Property("deterministic")),
)
TOTAL = Contract(
    "total",
    {"xs": "ints"},
    "def total(xs):\n    return sum(x for x in xs if x > 0)\n",
    ("result >= 0",),
    (Property("order_free", "xs"), Property("keeps_arguments")),
)
FACTORIAL = Contract.from_json(
    {
        "entry_point": "factorial",
        "parameters": {"n": "small"},
        "reference": "import math\n\ndef factorial(n):\n    return math.factorial(n)\n",
        "invariants": ["result >= 1"],
        "cases": [{"args": [n], "expected": value} for n, value in ((0, 1), (1, 1), (3, 6), (4, 24), (5, 120))],
    }
)
PARSE = Contract(
    "parse",
    {"s": "digits"},
    "def parse(s):\n    try:\n        return int(s)\n    except ValueError:\n        return None\n",
    ("result is None or isinstance(result, int)",),
)
FIND = Contract(
    "find",
    {"xs": "ints", "x": "int"},
    "def find(xs, x):\n    return (xs.index(x), True) if x in xs else (-1, False)\n",
    ("len(result) == 2",),
)
FIBONACCI = Contract(
    "fibonacci",
    {"n": "natural"},
    "def fibonacci(n):\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n    return a\n",
    ("result >= 0",),
)
DIVIDE = Contract(
    "divide",
    {"a": "int", "b": "int"},
    "def divide(a, b):\n    if b == 0:\n        raise ValueError('b is zero')\n    return a // b\n",
)
MEAN = Contract(
    "mean",
    {"xs": "any_floats"},
    "def mean(xs):\n    xs = [x for x in xs if abs(x) < 1e300]\n    return sum(xs) / len(xs) if xs else 0.0\n",
)
FLIP = Contract(
    "flip",
    {"rows": "matrix"},
    "def flip(rows):\n    return [list(row) for row in zip(*rows)]\n",
    ("len(result) == len(rows[0])",),
    (Property("keeps_arguments"),),
)
COUNTS = Contract(
    "counts",
    {"s": "text"},
    "def counts(s):\n    found = {}\n    for c in s:\n        found[c] = found.get(c, 0) + 1\n    return found\n",
    ("sum(result.values()) == len(s)",),
)
SLOPE = Contract(
    "slope",
    {"f": "real_function", "x": "float"},
    "def slope(f, x):\n    h = 0.5\n    return (f(x + h) - f(x - h)) / (2 * h)\n",
)
SCAN = Contract(
    "scan",
    {"s": "text"},
    "import re\n\ndef scan(s):\n    return re.findall('[0-9]+', s)\n",
    ("''.join(result).isdigit() or not result",),
)
DAYS = Contract(
    "days",
    {"month": "small"},
    "def days(month):\n    table = {1: 31, 2: 28, 3: 31, 4: 30, 5: 31, 6: 30, 7: 31, 8: 31, 9: 30}\n"
    "    return table.get(month, 0)\n",
)
