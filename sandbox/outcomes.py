"""What goes into the sandbox and what comes out: frozen, typed, plain.

    Execution.loaded     None | Raised | Ended     did the source load, and is the entry point there?
    Execution.outcomes   Returned | Raised | Ended, one per call

Errors:

    RuntimeError
    ├── SandboxUnavailable   no back end holds on this machine; nothing is run
    ├── SandboxBroken        the machinery failed, or the machine was too busy; says nothing about the program
    └── ProgramBroke         this program made the machinery fail, and another one did not: it has failed
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from sandbox.values import Value

Reason: TypeAlias = Literal["timeout", "memory", "exited", "output", "unrepresentable", "broke_sandbox"]


class SandboxUnavailable(RuntimeError):
    """No back end holds here. The message gives what was found and the exact command that fixes it."""


class SandboxBroken(RuntimeError):
    """The machinery failed, or the machine let nothing run. Retryable, and never to be read as "the program failed"."""


class ProgramBroke(RuntimeError):
    """Each time this program was tried the sandbox failed, and straight after it a demanding one ran as it should."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use. A program is one process with one thread; there is no limit to set for that.

    seconds: processor time for loading and all calls together, and as much again asleep. Waiting for a processor is
    not counted, nor is the time between calls, so a busy machine does not fail a program: one that got neither its
    time nor an end after `patience` is run again, and then a program known to be good tells whose fault it is.
    memory_mb: address space of the whole process in MiB, of which the interpreter takes about 25.
    output_bytes: JSON bytes of one returned value. source_bytes: UTF-8 bytes of the source.
    """

    seconds: float = 2.0
    memory_mb: int = 256
    output_bytes: int = 64 * 1024
    source_bytes: int = 256 * 1024

    def __post_init__(self) -> None:
        if not 0.05 <= self.seconds <= 3600:
            raise ValueError(f"seconds={self.seconds} is outside [0.05, 3600]; give processor seconds per program")
        if not 96 <= self.memory_mb <= 1 << 20:
            raise ValueError(f"memory_mb={self.memory_mb} is outside [96, 1048576]; the interpreter needs some itself")
        if not 64 <= self.output_bytes <= 16 << 20:
            raise ValueError(f"output_bytes={self.output_bytes} is outside [64, 16777216]; give bytes per value")
        if not 1 <= self.source_bytes <= 16 << 20:
            raise ValueError(f"source_bytes={self.source_bytes} is outside [1, 16777216]; give bytes of UTF-8")

    @property
    def patience(self) -> float:
        """Clock seconds to wait for a program that the machine does not let run."""
        return 20 * self.seconds + 20

    @property
    def wall_seconds(self) -> float:
        """Clock seconds a program gets where /proc does not tell how long it waited for a processor."""
        return 10 * self.seconds + 1


@dataclass(frozen=True, slots=True)
class Program:
    """A source text, the function in it to call, and the positional arguments of each call.

    The calls run in order in one process; each gets fresh arguments, but the module's globals live on between them.
    `Sandbox.start` is for calls that depend on what came before, or that a test function makes.
    """

    source: str
    entry_point: str
    calls: tuple[tuple[Value, ...], ...]

    def __post_init__(self) -> None:
        if not self.entry_point.isidentifier():
            raise ValueError(f"entry_point={self.entry_point!r} is not a Python name; give the function to call")


@dataclass(frozen=True, slots=True)
class Returned:
    """The call gave a value, which was checked again outside: exact plain types, nothing else.

    changed: what the call made of lists, dicts and sets it was given, by position; for calls made one at a time.
    """

    value: Value
    changed: Mapping[int, Value] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Raised:
    """Python raised: the type's name and the message, cut at 100 and 500 characters. All are the program's words.

    builtin: the nearest built-in ancestor of the type, ValueError for json's JSONDecodeError; "" where unknown.
    """

    exception: str
    message: str
    builtin: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Ended:
    """No value and no exception: the process ended, or what it returned cannot cross.

    timeout, memory and exited end the process, and every later call of the program gets the same. output (a value
    over the limit) and unrepresentable (another type, a cycle, something else than a frame) may concern one call.
    broke_sandbox: the program cannot be told from a machine that fails, but for another one that runs there.
    memory is rare: a program that asks for too much mostly gets Raised("MemoryError") and goes on.
    """

    reason: Reason
    detail: str


Outcome: TypeAlias = Returned | Raised | Ended


@dataclass(frozen=True, slots=True)
class Execution:
    """What one program did. `outcomes` has one entry per call when `loaded` is None and is empty otherwise.

    seconds: time on the clock, the sandbox's own work included.
    """

    loaded: Raised | Ended | None
    outcomes: tuple[Outcome, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One back end on this machine: does it hold, and why (one line, for `nightlane doctor`)."""

    backend: str
    works: bool
    why: str
