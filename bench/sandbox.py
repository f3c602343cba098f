"""Benchmark of the sandbox: every hostile program on every back end, and the time per program.

    python -m bench.sandbox [--json]

Each back end that works here runs all of testing/attacks; started by root, it also runs them as an unprivileged user.
The time is measured for small functions with 20 inputs each, and compared with a new jail for each program (bubblewrap
alone, without filter and limits) and with no protection. Progress goes to stderr. Exit status 0 if the sandbox holds,
else 1.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from sandbox import Program, Returned, Sandbox, SandboxUnavailable, diagnose, open_sandbox
from sandbox.outside import backends, interpreter
from testing.attacks import ATTACKS
from testing.hostile_answers import Judged
from testing.hostile_answers import text as judged_text
from testing.hostile_suite import SuiteResult, as_ordinary_user, run_suite

PROGRAMS_MEASURED, INPUTS, EVERY = 200, 20, 5  # the alternatives run every fifth program: they take long
ENDS = ("returned", "raised", "timeout", "memory", "exited", "output", "unrepresentable", "broke_sandbox", "broken")

# Functions as models write them, by the kind of their input.
FUNCTIONS: tuple[tuple[str, str], ...] = (
    ("number", "def f(n): return [p for p in range(2, n) if all(p % d for d in range(2, int(p**0.5) + 1))]"),
    ("text", "def f(text): return ''.join(c for c in text.lower() if c.isalnum())[::-1]"),
    ("text", "from collections import Counter\ndef f(text): return Counter(text.split()).most_common(3)"),
    ("numbers", "def f(items): return sorted(set(items), key=lambda x: (-items.count(x), x))"),
    ("text", "import re\ndef f(text): return re.findall(r'[aeiou]+[^aeiou ]', text)"),
    ("rows", "def f(rows): return [list(column) for column in zip(*rows)]"),
    ("numbers", "import heapq\ndef f(items): return heapq.nlargest(5, items), heapq.nsmallest(5, items)"),
    (
        "number",
        """
from functools import lru_cache
@lru_cache(None)
def f(n): return n if n < 2 else f(n - 1) + f(n - 2)
""",
    ),
    (
        "numbers",
        """
def f(items):
    best = total = items[0]
    for item in items[1:]:
        total = max(item, total + item)
        best = max(best, total)
    return best
""",
    ),
    (
        "text",
        """
from dataclasses import dataclass
@dataclass
class Run:
    letter: str
    length: int
def f(text):
    runs = []
    for letter in text:
        if runs and runs[-1].letter == letter:
            runs[-1].length += 1
        else:
            runs.append(Run(letter, 1))
    return [(run.letter, run.length) for run in runs]
""",
    ),
)

_ALONE = """
import json, sys
source, inputs = json.load(sys.stdin)
names = {}
exec(source, names)
print(json.dumps([names["f"](x) for x in inputs]))
"""


@dataclass(frozen=True, slots=True)
class ProgramCost:
    """Milliseconds per program, everything included."""

    name: str
    programs: int
    median_ms: float
    p90_ms: float


@dataclass(frozen=True, slots=True)
class Report:
    """not_run: the back ends and users that were not tried, and why."""

    suites: tuple[SuiteResult, ...]
    not_run: tuple[str, ...]
    judged: Judged | None
    costs: tuple[ProgramCost, ...]

    @property
    def holds(self) -> bool:
        return bool(self.suites) and all(part.holds for part in (*self.suites, self.judged) if part is not None)

    def groups(self) -> dict[str, Counter[str]]:
        """How the attacks of each group ended, over all runs."""
        found: dict[str, Counter[str]] = {attack.group: Counter() for attack in ATTACKS}
        for suite in self.suites:
            for result in suite.results:
                found[result.group][result.ended] += 1
        return found


def main(as_json: bool) -> int:
    report = measure()
    if as_json:
        print(json.dumps({"holds": report.holds, **asdict(report), "groups": report.groups()}))
    else:
        print("\n".join(text(report)))
    return 0 if report.holds else 1


def measure() -> Report:
    found = diagnose()
    works = [diagnosis.backend for diagnosis in found if diagnosis.works]
    not_run = [f"{diagnosis.backend}: {diagnosis.why}" for diagnosis in found if not diagnosis.works]
    suites = []
    for backend in works:
        for suite in _suites(backend):
            if isinstance(suite, str):
                not_run.append(f"{backend} as an ordinary user: {suite}")
            else:
                suites.append(suite)
    return Report(tuple(suites), tuple(not_run), judged() if works else None, tuple(costs(works)) if works else ())


def judged() -> Judged:
    """Score the hostile answers in a separate process, to measure the memory that scoring takes."""
    _progress("the same programs as answers of an evaluation")
    command = [sys.executable, "-m", "testing.hostile_answers", "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if not done.stdout:
        raise RuntimeError(f"judging hostile answers ended with {done.returncode}; see what it said above")
    return Judged.parse(done.stdout)


def _suites(backend: str) -> Iterator[SuiteResult | str]:
    _progress(f"{len(ATTACKS)} hostile programs on {backend}")
    yield run_suite(backend)
    if os.geteuid() == 0:
        _progress(f"{len(ATTACKS)} hostile programs on {backend}, as an ordinary user")
        try:
            yield as_ordinary_user(backend)
        except SandboxUnavailable as trouble:
            yield str(trouble)


def costs(works: list[str]) -> Iterator[ProgramCost]:
    """Measure back ends and alternatives alternately, so that a busy moment affects all of them."""
    _progress(f"time for {PROGRAMS_MEASURED} programs of {INPUTS} inputs")
    with ExitStack() as stack:
        resident = {name: stack.enter_context(open_sandbox(backend=name)) for name in works}
        alone = _alternatives(works)
        seconds: dict[str, list[float]] = {name: [] for name in (*resident, *alone)}
        for number in range(-len(FUNCTIONS), PROGRAMS_MEASURED):  # those below zero warm up
            kind, source = FUNCTIONS[number % len(FUNCTIONS)]
            inputs = [_input(kind, random.Random(1000 * number + i)) for i in range(INPUTS)]
            answers = {}
            for name in resident:
                begun = time.perf_counter()
                answers[name] = _in_sandbox(resident[name], source, inputs)
                seconds[name] += [time.perf_counter() - begun] if number >= 0 else []
            for name, command in alone.items() if number % EVERY == 0 else ():
                begun = time.perf_counter()
                answers[name] = _by_itself(command, source, inputs)
                seconds[name] += [time.perf_counter() - begun] if number >= 0 else []
            if len({json.dumps(answer) for answer in answers.values()}) != 1:
                raise RuntimeError(f"the back ends disagree about {source!r}: {answers}")
    for name, taken in seconds.items():
        p90 = statistics.quantiles(taken, n=10, method="inclusive")[-1]
        yield ProgramCost(name, len(taken), round(1000 * statistics.median(taken), 2), round(1000 * p90, 2))


def _alternatives(works: list[str]) -> dict[str, list[str]]:
    fresh = {"a fresh bubblewrap jail each": [*backends.bubblewrap().command, _ALONE]} if "bubblewrap" in works else {}
    python = str(interpreter.find().executable)
    return {**fresh, "a plain python -I -S each, no protection": [python, "-I", "-S", "-c", _ALONE]}


def _in_sandbox(sandbox: Sandbox, source: str, inputs: list[Any]) -> list[Any]:
    execution = sandbox.run(Program(source, "f", tuple((x,) for x in inputs)))
    return [outcome.value for outcome in execution.outcomes if isinstance(outcome, Returned)]


def _by_itself(command: list[str], source: str, inputs: list[Any]) -> list[Any]:
    asked = json.dumps([source, inputs])
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=True)
    answers: list[Any] = json.loads(done.stdout)
    return answers


def _input(kind: str, generator: random.Random) -> Any:
    def numbers(count: int) -> list[int]:
        return [generator.randrange(-50, 50) for _ in range(count)]

    match kind:
        case "number":
            return generator.randrange(60)
        case "numbers":
            return numbers(60)
        case "rows":
            return [numbers(8) for _ in range(8)]
    return " ".join("".join(generator.choices("aaeiobcdlnrst", k=5)) for _ in range(20))


def text(report: Report) -> Iterator[str]:
    """The lines of the report for a terminal."""
    tried = f"{len(ATTACKS)} hostile programs, {len(report.suites)} times"
    yield f"The sandbox holds: {tried}." if report.holds else f"THE SANDBOX DOES NOT HOLD ({tried})."
    yield ""
    yield (
        f"{'back end':<12}{'user':<11}{'python':<9}{'programs':>8}{'false passes':>14}{'on the host':>13}"
        f"{'replaced':>10}{'left running':>14}{'evaluations ended':>19}{'peak MB':>9}{'seconds':>9}"
    )
    for suite in report.suites:
        results = suite.results
        yield (
            f"{suite.backend:<12}{suite.user:<11}{suite.python:<9}{len(results):>8}"
            f"{sum(result.passed_checks > 0 for result in results):>14}"
            f"{sum(bool(result.effects) for result in results):>13}"
            f"{sum(result.zygote == 'replaced' for result in results):>10}"
            f"{sum(result.left_running for result in results):>14}{suite.ended_evaluations:>19}{suite.peak_mb:>9.0f}"
            f"{suite.seconds:>9.1f}"
        )
        yield from (f"  NOT HARMLESS  {result}" for result in suite.harmful)
    yield from (f"not run  {why}" for why in report.not_run)
    yield ""
    yield from _groups_text(report)
    if report.judged is not None:
        yield ""
        yield judged_text(report.judged)
    yield ""
    yield from _costs_text(report)


def _groups_text(report: Report) -> Iterator[str]:
    groups = report.groups()
    sizes = Counter(attack.group for attack in ATTACKS)
    ends = [end for end in ENDS if any(group[end] for group in groups.values())]
    yield f"{'group':<12}{'programs':>8}  " + "".join(f"{end:>{len(end) + 2}}" for end in ends)
    for name, counts in groups.items():
        yield f"{name:<12}{sizes[name]:>8}  " + "".join(f"{counts[end] or '':>{len(end) + 2}}" for end in ends)
    yield f"{'all':<12}{len(ATTACKS):>8}  " + "".join(
        f"{sum(group[end] for group in groups.values()):>{len(end) + 2}}" for end in ends
    )
    yield "unrepresentable: not a plain value; mostly an object that equals everything, the last resort"


def _costs_text(report: Report) -> Iterator[str]:
    residents = {suite.backend for suite in report.suites}
    bases = [cost for cost in report.costs if cost.name in residents]
    title = f"ms per program of {INPUTS} inputs"
    yield f"{title:<42}{'programs':>8}{'median':>9}{'p90':>9}" + "".join(f"{'x ' + base.name:>14}" for base in bases)
    for cost in report.costs:
        ratios = "".join(f"{cost.median_ms / base.median_ms:>14.2f}" for base in bases)
        yield f"{cost.name:<42}{cost.programs:>8}{cost.median_ms:>9.1f}{cost.p90_ms:>9.1f}{ratios}"


def _progress(what: str) -> None:
    print(f"bench sandbox: {what} ...", file=sys.stderr, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    sys.exit(main(parser.parse_args().json))
