"""Runs untrusted Python functions and returns only typed values. Linux; the standard library only.

    with open_sandbox() as sandbox:
        execution = sandbox.run(Program("def add(a, b): return a + b", "add", ((1, 2), ("x", 3))))
        execution.outcomes  # (Returned(value=3), Raised(exception='TypeError', message='can only concatenate ...'))

        with sandbox.start("def add(a, b): return a + b", "add") as candidate:
            add = candidate.function("add")  # a function to call here, in a property test say; it runs in the sandbox
            assert add(1, 2) == 3

Inputs go in; expected values never do. The caller compares the returned values outside.

outside/   runs in the caller's process: back ends, the zygote's start, the channel to a program
inside/    runs in the jail: the zygote, and one child for each program
kernel/    Landlock, the seccomp filter, system calls; used on both sides, as are values, protocol and raising here

    caller ── control channel ── zygote ── fork ──> one confined process per program
      └────────────── a socket of its own for each program ─────────────┘

The zygote is a resident Python process inside bubblewrap, or under Landlock where bubblewrap does not work. It never
sees a program, and a program has no access to the control channel. Under both back ends a program is one process with
one thread behind the same seccomp filter and limits: it can read the standard library, compute and answer. Under
bubblewrap it also has namespaces of its own if the kernel allows that.

Output of a program is discarded. `random` starts from a fixed seed and sets of strings have a fixed order, so that a
program returns the same values each time. Time limits are in processor time, so a busy machine fails no program. If the
sandbox fails with a program and then works with one known to be good, the program has failed.

A harmless program cannot do these things either: start threads or processes, open sockets (so no asyncio), create
temporary files, import installed packages. Under Landlock it can still ask whether a file of the host exists and how
large it is, because Landlock does not control stat; it can open none. The calls of one program share one process.
"""

from sandbox.outcomes import (
    Diagnosis,
    Ended,
    Execution,
    Limits,
    Outcome,
    Program,
    ProgramBroke,
    Raised,
    Returned,
    SandboxBroken,
    SandboxUnavailable,
)
from sandbox.outside.running_program import Ask, RunningProgram
from sandbox.outside.sandbox import Sandbox, run_twice
from sandbox.outside.self_test import diagnose, open_sandbox, remedy
from sandbox.raising import ProgramEnded
from sandbox.values import EncodedValue, Value, canonical, decode, encode

__all__ = [
    "Ask",
    "Diagnosis",
    "EncodedValue",
    "Ended",
    "Execution",
    "Limits",
    "Outcome",
    "Program",
    "ProgramBroke",
    "ProgramEnded",
    "Raised",
    "Returned",
    "RunningProgram",
    "Sandbox",
    "SandboxBroken",
    "SandboxUnavailable",
    "Value",
    "canonical",
    "decode",
    "diagnose",
    "encode",
    "open_sandbox",
    "remedy",
    "run_twice",
]
