"""Layer 8: 80 % of the branches, and 80 % of the statements, run under the generated inputs.

The program runs in the sandbox, where a tracer of ours (execution/harness.py) records (line, line) arcs. Outside the
sandbox, coverage.py decides from these arcs which branches ran. A hostile program could forge its arcs, as it could its
values, but that does not help it in the other layers. Comments that exclude code from coverage.py are ignored. A main
guard and every raise are left out, since the inputs here are legal and a guard against illegal ones never runs.
"""

import warnings
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from preferences.certify.receipt import Receipt
from preferences.code_gate.execution.contract_bench import calls
from preferences.code_gate.execution.harness import ARCS, TRACED, traced_source
from preferences.code_gate.execution.program_under_test import CannotRun, ProgramUnderTest
from probes.scoring.execution.calls import describe
from probes.scoring.execution.parser import Unread
from sandbox import Outcome, Returned, RunningProgram

LEAST = 80.0
_LEFT_OUT = [r"^if __name__ == ['\"]__main__['\"]:", r"^\s*raise\b"]


def check(program: ProgramUnderTest) -> Receipt:
    bench = program.bench
    rows = [*program.drawn, *bench.catalogue, *bench.edges]

    def trace(candidate: RunningProgram) -> Outcome:
        calls(candidate, TRACED, rows)
        return candidate.call(ARCS)

    outcome = program.attempt(traced_source(program.source, program.contract), trace)
    if not isinstance(outcome, Returned):
        return Receipt("coverage", False, {"inputs": len(rows)}, f"no arcs were returned: it {describe(outcome)}")
    arcs = sorted(_arcs(outcome.value, program.source))
    try:
        return Receipt(**bench.sandboxes.parser.ask(measure, program.source, arcs, len(rows)))
    except Unread as why:
        raise CannotRun(f"coverage.py cannot read it: {why}") from None


def measure(program: str, arcs: Iterable[tuple[int, int]], inputs: int) -> Receipt:
    """The verdict of coverage.py on the arcs that ran. It compiles the program, so this runs in a Parser process."""
    import coverage

    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings about foreign code
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
    """The returned arcs, without anything that is no pair of lines of this program."""
    last = len(program.splitlines()) + 1
    pairs = value if isinstance(value, list) else []
    return {
        (pair[0], pair[1])
        for pair in pairs
        if isinstance(pair, list)
        and len(pair) == 2
        and all(type(line) is int and -last <= line <= last for line in pair)
    }
