"""Runs a function that somebody else wrote, and only returns typed values. Linux; the standard library only.

    with open_sandbox() as sandbox:
        execution = sandbox.run(Program("def add(a, b): return a + b", "add", ((1, 2), ("x", 3))))
        execution.outcomes  # (Returned(value=3), Raised(exception='TypeError', message='can only concatenate ...'))

        with sandbox.start("def add(a, b): return a + b", "add") as candidate:
            add = candidate.function("add")  # a property test can call this out here; each call happens in there
            assert add(1, 2) == 3

Inputs go in; expected values never do. The caller compares what comes out, with its own plain values, out here.

    caller ── control channel ── zygote ── fork ──> one confined process per program
      └────────────── a socket of its own for each program ─────────────┘

The zygote is a resident Python inside bubblewrap, or under Landlock where bubblewrap does not work. It never sees a
program; a program never holds an end of the control channel. Under either back end a program is one process with
one thread behind the same seccomp filter and limits: it can read the standard library, compute and answer. Under
bubblewrap it also begins in namespaces of its own, where the kernel lets users make them.

What a program prints is thrown away. `random` starts from the same seed and sets of strings have the same order
every time, so that a program gives the same values tomorrow. Its time is processor time: a busy machine is waited for.
A program with which the sandbox itself fails has failed, where a program known to be good is served after it.

What a program cannot do, although it might mean well: start threads or processes, open sockets (so no asyncio), create
temporary files, import installed packages. Under Landlock it can still ask whether a file of the host exists and how
large it is (Landlock does not judge stat); it can open none. The calls of one program share one process.
"""

from sandbox.candidate import Ask, Candidate
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
from sandbox.raising import ProgramEnded
from sandbox.self_test import diagnose, open_sandbox, remedy
from sandbox.session import Sandbox, run_twice
from sandbox.values import EncodedValue, Value, canonical, decode, encode

__all__ = [
    "Ask",
    "Candidate",
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
