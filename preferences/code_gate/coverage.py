"""Layer 8: 80 % of the branches, and 80 % of the statements, run under the generated inputs.

The program runs in the sandbox, where a tracer of ours (harness.py) records (line, line) arcs. coverage.py is given
them out here and decides what is a branch. The arcs are this program's word, as its values are: code that meant to
forge them could, and gains nothing by it in the other layers. Comments that ask coverage.py to look away are not
heeded. Left out are a main guard, and every raise: a guard against inputs that are not legal meets none here.
"""

import warnings
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from preferences.certify.receipt import Receipt
from preferences.code_gate.contract_bench import calls
from preferences.code_gate.harness import ARCS, TRACED, traced_source
from preferences.code_gate.program_under_test import CannotRun, ProgramUnderTest
from probes.scoring.execution.calls import describe
from probes.scoring.execution.parser import Unread
from sandbox import Candidate, Outcome, Returned

LEAST = 80.0
_LEFT_OUT = [r"^if __name__ == ['\"]__main__['\"]:", r"^\s*raise\b"]


def check(program: ProgramUnderTest) -> Receipt:
    bench = program.bench
    rows = [*program.drawn, *bench.catalogue, *bench.edges]

    def trace(candidate: Candidate) -> Outcome:
        calls(candidate, TRACED, rows)
        return candidate.call(ARCS)

    outcome = program.attempt(traced_source(program.source, program.contract), trace)
    if not isinstance(outcome, Returned):
        return Receipt("coverage", False, {"inputs": len(rows)}, f"no arcs came back: it {describe(outcome)}")
    arcs = sorted(_arcs(outcome.value, program.source))
    try:
        return Receipt(**bench.sandboxes.parser.ask(measure, program.source, arcs, len(rows)))
    except Unread as why:
        raise CannotRun(f"coverage.py cannot read it: {why}") from None


def measure(program: str, arcs: Iterable[tuple[int, int]], inputs: int) -> Receipt:
    """What coverage.py says of a program and the arcs that ran. It compiles the program: in the process of a Parser."""
    import coverage

    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Python warns of in foreign code concerns nobody here
        path = Path(folder).resolve() / "program.py"
        path.write_text(program, encoding="utf-8", newline="")
        measured = coverage.Coverage(data_file=None, config_file=False, branch=True)
        measured.set_option("report:exclude_lines", _LEFT_OUT)
        measured.set_option("report:partial_branches", [])
        measured.get_data().add_arcs({str(path): [(start, end) for start, end in arcs]})
        try:
            _, statements, _, missing, _ = measured.analysis2(str(path))
            branches = measured.branch_stats(str(path))
        except coverage.exceptions.CoverageException as error:
            return Receipt("coverage", False, {}, f"coverage.py cannot read it: {error}"[:300])
        finally:
            measured.get_data().close()
    exits = sum(every for every, _ in branches.values())
    taken = sum(some for _, some in branches.values())
    figures = {
        "inputs": inputs,
        "statement_percent": _percent(len(statements) - len(missing), len(statements)),
        "branches": exits,
        "branch_percent": _percent(taken, exits),
    }
    if min(figures["branch_percent"], figures["statement_percent"]) >= LEAST:
        return Receipt("coverage", True, figures)
    partly = sorted({line for line, (every, some) in branches.items() if some < every} | set(missing))
    return Receipt("coverage", False, figures, f"not or only partly run: line {', '.join(map(str, partly[:12]))}")


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1) if whole else 100.0


def _arcs(value: object, program: str) -> set[tuple[int, int]]:
    """What came back, as far as it is pairs of lines of this program."""
    last = len(program.splitlines()) + 1
    pairs = value if isinstance(value, list) else []
    return {
        (pair[0], pair[1])
        for pair in pairs
        if isinstance(pair, list)
        and len(pair) == 2
        and all(type(line) is int and -last <= line <= last for line in pair)
    }
