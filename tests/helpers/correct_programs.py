"""Programs by hand that keep the contracts of gate_contracts.py, each in another style."""

from gate_contracts import (
    COUNTS,
    DAYS,
    DIVIDE,
    ENCODE,
    FACTORIAL,
    FIBONACCI,
    FIND,
    FLIP,
    MCMC,
    MEAN,
    PARSE,
    SAMPLE,
    SCAN,
    SLOPE,
    STEP,
    TIDY,
    TOTAL,
    TRANSFORM,
)

from preferences.code_gate import Contract

CORRECT: tuple[tuple[Contract, str], ...] = (
    (SAMPLE, MCMC),
    (
        SAMPLE,
        """
import math
import random


def mcmc_sample(log_target, start, n_samples, sigma):
    state, current = start, log_target(start)
    chain = [0.0] * n_samples
    for i in range(n_samples):
        proposal = random.gauss(state, sigma)
        new = log_target(proposal)
        if new >= current or random.random() < math.exp(new - current):
            state, current = proposal, new
        chain[i] = state
    return chain
""",
    ),
    (
        SAMPLE,
        """
from math import exp
from random import gauss, random


class Chain:
    def __init__(self, log_target, start, sigma):
        self.log_target = log_target
        self.state = start
        self.sigma = sigma

    def step(self):
        proposal = self.state + gauss(0, self.sigma)
        ratio = exp(min(0.0, self.log_target(proposal) - self.log_target(self.state)))
        accepted = random() < ratio
        if accepted:
            self.state = proposal
        return self.state, accepted


def mcmc_sample(log_target, start, n_samples, sigma):
    chain = Chain(log_target, start, sigma)
    samples, hits = [], 0
    while len(samples) < n_samples:
        state, accepted = chain.step()
        if accepted:
            hits += 1
        samples.append(state)
    return samples
""",
    ),
    (
        SAMPLE,
        """
import math, random

def step(state, log_target, sigma):
    proposed = state + random.uniform(-sigma, sigma)
    try:
        ratio = math.exp(log_target(proposed) - log_target(state))
    except OverflowError:
        ratio = 1.0
    if random.random() < ratio:
        return proposed, True
    return state, False

def mcmc_sample(log_target, start, n_samples, sigma):
    samples = []
    state = start
    for _ in range(n_samples):
        new, accepted = step(state, log_target, sigma)
        if accepted:
            state = new
            samples.append(state)
        else:
            samples.append(state)
    return samples
""",
    ),
    (
        SAMPLE,
        """
import math, random

def mcmc_sample(log_target, start, n_samples, sigma):
    def steps(state):
        while True:
            yield state
            proposed = state + random.gauss(0, sigma)
            difference = log_target(proposed) - log_target(state)
            if math.log(random.random() or 1e-300) < difference:
                state = proposed
    chain = steps(start)
    return [next(chain) for _ in range(n_samples)]
""",
    ),
    (STEP, MCMC[: MCMC.index("def mcmc_sample")]),
    (
        STEP,
        """
import math
import random

def metropolis_step(state, log_target, sigma):
    proposed = random.gauss(state, sigma)
    difference = log_target(proposed) - log_target(state)
    if difference > 0 or math.exp(difference) > random.random():
        return proposed, True
    return state, False
""",
    ),
    (
        ENCODE,
        """
def shift(c, k):
    if not ("a" <= c <= "z"):
        return c
    return chr(ord("a") + (ord(c) - ord("a") + k) % 26)

def encode(s, k):
    result = ""
    for c in s:
        result += shift(c, k)
    return result
""",
    ),
    (
        ENCODE,
        """
import string

def encode(text, places):
    small = string.ascii_lowercase
    places %= 26
    return text.translate(str.maketrans(small, small[places:] + small[:places]))
""",
    ),
    (
        ENCODE,
        """
def encode(s, k):
    if not s:
        return s
    c = s[0]
    if "a" <= c <= "z":
        c = chr((ord(c) - 97 + k) % 26 + 97)
    return c + encode(s[1:], k)
""",
    ),
    (
        TRANSFORM,
        """
from math import cos, pi, sin

def transform(xs):
    n = len(xs)
    result = []
    for k in range(n):
        re = im = 0.0
        for i, x in enumerate(xs):
            angle = 2 * pi * k * i / n
            re += x * cos(angle)
            im -= x * sin(angle)
        result.append((re, im))
    return result
""",
    ),
    (TIDY, "def tidy(xs):\n    return sorted(dict.fromkeys(xs))\n"),
    (
        TIDY,
        """
def tidy(xs):
    result = []
    for x in sorted(xs):
        if not result or result[-1] != x:
            result.append(x)
    return result
""",
    ),
    (
        TIDY,
        """
from bisect import bisect_left

def tidy(xs):
    result = []
    for x in xs:
        place = bisect_left(result, x)
        if place == len(result) or result[place] != x:
            result.insert(place, x)
    return result
""",
    ),
    (
        TIDY,
        """
def merge(left, right):
    if not left or not right:
        return left or right
    if left[0] == right[0]:
        return [left[0]] + merge(left[1:], right[1:])
    if left[0] < right[0]:
        return [left[0]] + merge(left[1:], right)
    return [right[0]] + merge(left, right[1:])

def tidy(xs):
    if len(xs) < 2:
        return list(xs)
    half = len(xs) // 2
    return merge(tidy(xs[:half]), tidy(xs[half:]))
""",
    ),
    (
        TOTAL,
        """
def total(xs):
    result = 0
    for x in xs:
        if x > 0:
            result += x
    return result
""",
    ),
    (
        TOTAL,
        "def total(values):\n    kept = []\n    for v in values:\n        if v > 0:\n            kept.append(v)\n"
        "    return sum(kept)\n",
    ),
    (
        TOTAL,
        """
def total(xs):
    \"\"\"The positive ones added up.\"\"\"
    if not xs:
        return 0
    first, *rest = xs
    return max(first, 0) + total(rest)
""",
    ),
    (
        TOTAL,
        """
from functools import reduce

def total(xs):
    return reduce(lambda a, x: a + x if x > 0 else a, xs, 0)
""",
    ),
    (
        TOTAL,
        """
def total(xs):
    i = result = 0
    while i < len(xs):
        x = xs[i]
        i += 1
        if x <= 0:
            continue
        result += x
    return result
""",
    ),
    (
        TOTAL,
        """
def positive(x):
    return x > 0

def total(xs):
    return sum(filter(positive, xs))

if __name__ == "__main__":
    print(total([1, 2, 3]))
    print(total([]))
""",
    ),
    (FACTORIAL, "def factorial(n):\n    if n == 0:\n        return 1\n    return n * factorial(n - 1)\n"),
    (
        FACTORIAL,
        """
def factorial(n):
    if n == 0:
        return 1
    if n == 1:
        return 1
    result = 1
    for i in range(2, n + 1):
        result *= i
    return result
""",
    ),
    (FACTORIAL, "def factorial(n):\n    return n * factorial(n - 1) if n > 1 else 1\n"),
    (
        FACTORIAL,
        """
from functools import lru_cache

@lru_cache(maxsize=None)
def factorial(n: int) -> int:
    assert n >= 0, "no factorial below zero"
    if n < 2:
        return 1
    return n * factorial(n - 1)
""",
    ),
    (
        PARSE,
        """
def parse(s):
    try:
        value = int(s)
    except (ValueError, TypeError):
        value = None
    return value
""",
    ),
    (
        PARSE,
        """
def parse(s):
    try:
        return int(s)
    except Exception as error:
        if not isinstance(error, ValueError):
            raise
        return None
""",
    ),
    (
        PARSE,
        """
from contextlib import suppress

def parse(s):
    with suppress(ValueError):
        return int(s)
    return None
""",
    ),
    (
        FIND,
        """
def find(xs, x):
    for i, y in enumerate(xs):
        if y == x:
            return i, True
    return -1, False
""",
    ),
    (
        FIND,
        """
def find(xs, x):
    found, place = False, -1
    for i in range(len(xs)):
        if xs[i] == x:
            found, place = True, i
            break
    return place, found
""",
    ),
    (
        FIND,
        """
def find(xs, x):
    try:
        return xs.index(x), True
    except ValueError:
        return -1, False
""",
    ),
    (
        FIND,
        """
def look(xs, x):
    for i, y in enumerate(xs):
        if y == x:
            return i
    return None

def find(xs, x):
    place = look(xs, x)
    ok = place is not None
    return (place if ok else -1, ok)
""",
    ),
    (
        FIBONACCI,
        """
def fibonacci(n, known={0: 0, 1: 1}):
    if n not in known:
        known[n] = fibonacci(n - 1) + fibonacci(n - 2)
    return known[n]
""",
    ),
    (
        FIBONACCI,
        """
def fibonacci(n):
    def go(k):
        if k == 0:
            return 0, 1
        a, b = go(k // 2)
        c, d = a * (2 * b - a), a * a + b * b
        return (d, c + d) if k % 2 else (c, d)
    return go(n)[0]
""",
    ),
    (
        FIBONACCI,
        """
def numbers():
    a, b = 0, 1
    while True:
        yield a
        a, b = b, a + b

def fibonacci(n):
    for place, value in enumerate(numbers()):
        if place == n:
            return value
""",
    ),
    (
        DIVIDE,
        """
def check(b):
    if b == 0:
        raise ValueError("cannot divide by zero")

def divide(a, b):
    check(b)
    return a // b
""",
    ),
    (
        DIVIDE,
        """
def divide(a, b):
    try:
        return a // b
    except ZeroDivisionError as error:
        raise ValueError("b is zero") from error
""",
    ),
    (
        MEAN,
        """
def mean(xs):
    count, total = 0, 0.0
    for x in xs:
        if abs(x) < 1e300:
            count, total = count + 1, total + x
    if count == 0:
        return 0.0
    return total / count
""",
    ),
    (
        MEAN,
        """
import statistics

def mean(xs):
    usable = [float(x) for x in xs if -1e300 < x < 1e300]
    return statistics.fmean(usable) if usable else 0.0
""",
    ),
    (FLIP, "def flip(rows):\n    return [[row[i] for row in rows] for i in range(len(rows[0]))]\n"),
    (
        FLIP,
        """
def flip(rows):
    height, width = len(rows), len(rows[0])
    result = [[None] * height for _ in range(width)]
    for i in range(height):
        for j in range(width):
            result[j][i] = rows[i][j]
    return result
""",
    ),
    (COUNTS, "from collections import Counter\n\ndef counts(s):\n    return dict(Counter(s))\n"),
    (
        COUNTS,
        """
from collections import defaultdict

def counts(s):
    found = defaultdict(int)
    for c in s:
        found[c] += 1
    return found
""",
    ),
    (COUNTS, "def counts(s):\n    return {c: s.count(c) for c in s}\n"),
    (SLOPE, "def slope(f, x):\n    above, below = f(x + 0.5), f(x - 0.5)\n    return above - below\n"),
    (
        SCAN,
        """
def scan(s):
    found, current = [], ""
    for c in s:
        if c in "0123456789":
            current += c
        elif current:
            found.append(current)
            current = ""
    if current:
        found.append(current)
    return found
""",
    ),
    (
        SCAN,
        """
def next_number(s, start):
    while start < len(s) and not "0" <= s[start] <= "9":
        start += 1
    end = start
    while end < len(s) and "0" <= s[end] <= "9":
        end += 1
    return end, s[start:end]

def scan(s):
    found = []
    place = 0
    while place < len(s):
        place, number = next_number(s, place)
        if number:
            found.append(number)
    return found
""",
    ),
    (
        DAYS,
        """
def days(month):
    if month < 1 or month > 9:
        return 0
    if month == 2:
        return 28
    if month in (4, 6, 9):
        return 30
    return 31
""",
    ),
    (
        DAYS,
        """
def days(month):
    match month:
        case 2:
            return 28
        case 4 | 6 | 9:
            return 30
        case 1 | 3 | 5 | 7 | 8:
            return 31
        case _:
            return 0
""",
    ),
)
