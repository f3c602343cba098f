"""The source that goes into the sandbox: a program and the code around it, whose names begin with `nightlane_`."""

from preferences.code_gate.contract.contract import Contract

ARCS = "nightlane_arcs"
TRACED = "nightlane_traced"
_CALL = "nightlane_call"
_EVENTS = 20_000  # traced per call

_FUNCTIONS = """

import math as nightlane_math

def nightlane_first(x):
    return x[0] if isinstance(x, (list, tuple)) else x

def nightlane_square(x):
    return sum(part * part for part in x) if isinstance(x, (list, tuple)) else x * x

nightlane_functions = {{{table}}}

def {call}(*arguments):
    return {entry}(*[nightlane_functions[place][value] if place in nightlane_functions else value
                     for place, value in enumerate(arguments)])
"""

# The same arcs that coverage.py's own tracer (coverage/pytracer.py) would record: (line, line), entered from -first
# and left to -first, where first is the first line of the function.
_TRACER = """
import sys as nightlane_sys
from opcode import opmap as nightlane_opmap

def nightlane_watch(filename):
    arcs = set()
    resume, handler = nightlane_opmap["RESUME"], nightlane_opmap["PUSH_EXC_INFO"]
    version, left = nightlane_sys.version_info[:2], 0

    def started(frame, event, argument):
        if frame.f_code.co_filename != filename:
            return None
        code, first = frame.f_code.co_code, frame.f_code.co_firstlineno
        last = -first if code[frame.f_lasti + 1] == 0 else frame.f_lineno  # else a generator goes on

        def step(frame, event, argument):
            nonlocal last, left
            left -= 1
            if left < 0:  # a long loop repeats itself, and traced code is ten times as slow
                nightlane_sys.settrace(None)
                return None
            if event == "line" and code[frame.f_lasti] != handler:
                arcs.add((last, frame.f_lineno))
                last = frame.f_lineno
            elif event == "return":
                after = frame.f_lasti if version == (3, 13) else frame.f_lasti + 2
                if after >= len(code) or code[after] != resume:  # else it yields
                    if version >= (3, 14) and frame.f_lineno != last:
                        arcs.add((last, frame.f_lineno))
                        last = frame.f_lineno
                    arcs.add((last, -first))
            return step

        return step

    def run(action, *arguments):
        nonlocal left
        left = {events}
        nightlane_sys.settrace(started)
        try:
            return action(*arguments)
        finally:
            nightlane_sys.settrace(None)

    return arcs, run

nightlane_seen, nightlane_run = nightlane_watch("<nightlane program>")
nightlane_run(exec, compile({source!r}, "<nightlane program>", "exec", dont_inherit=True), globals())

def {traced}(*arguments):
    nightlane_run({call}, *arguments)

def {arcs}():
    return [list(arc) for arc in sorted(nightlane_seen)]
"""


def call_name(contract: Contract) -> str:
    """The function that is called with a row of arguments."""
    return _CALL if contract.functions else contract.entry_point


def callable_source(program: str, contract: Contract) -> str:
    """The program; for function-valued parameters, also a `call_name` that looks the functions up by name."""
    return program + _resolver(contract)


def traced_source(program: str, contract: Contract) -> str:
    """A source with TRACED, which calls the program and returns None, and ARCS, which returns the arcs so far."""
    tracer = _TRACER.format(source=program, call=call_name(contract), traced=TRACED, arcs=ARCS, events=_EVENTS)
    return tracer + _resolver(contract)


def reference_source(contract: Contract) -> str:
    """The reference, and a function for each invariant, which takes the arguments and the result."""
    parts = [callable_source(contract.reference, contract)]
    names = ", ".join((*contract.parameters, "result"))
    for number, invariant in enumerate(contract.invariants):
        parts.append(f"\n\ndef {invariant_name(number)}({names}):\n    return bool(\n{invariant}\n)\n")
    return "".join(parts)


def invariant_name(number: int) -> str:
    return f"nightlane_invariant_{number}"


def _resolver(contract: Contract) -> str:
    if not contract.functions:
        return ""
    rows = (
        f"{place}: {{{', '.join(f'{name!r}: {source}' for name, source in functions.items())}}}"
        for place, functions in contract.functions.items()
    )
    return _FUNCTIONS.format(table=", ".join(rows), call=_CALL, entry=contract.entry_point)
