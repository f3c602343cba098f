"""The types that go into the sandbox and come out.

    Execution.loaded     None | Raised | Ended     did the source load, and is the entry point there?
    Execution.outcomes   Returned | Raised | Ended, one per call

Errors:

    RuntimeError
    ├── SandboxUnavailable   no back end works on this machine; nothing is run
    ├── SandboxBroken        the sandbox failed, or the machine was too busy; says nothing about the program
    └── ProgramBroke         the sandbox failed with this program and worked with another: the program has failed
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from sandbox.values import Value

Reason: TypeAlias = Literal["timeout", "memory", "exited", "output", "unrepresentable", "broke_sandbox"]


class SandboxUnavailable(RuntimeError):
    """No back end works here. The message has the reasons and the command that fixes it."""


class SandboxBroken(RuntimeError):
    """The sandbox failed, or the machine was too busy. Worth a retry; it does not mean that the program failed."""


class ProgramBroke(RuntimeError):
    """The sandbox failed each time with this program, and then ran a demanding one that is known to be good."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use. A program is always one process with one thread.

    seconds: processor time for loading and all calls together, and the same again asleep. Waiting for a processor and
    the time between calls do not count, so a busy machine fails no program. A program that has neither used its time
    nor ended after `starvation_seconds` is run again, and then a program known to be good shows whose fault it is.
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
    def starvation_seconds(self) -> float:
        """Wall-clock seconds to wait for a program that gets no processor."""
        return 20 * self.seconds + 20

    @property
    def wall_seconds(self) -> float:
        """Wall-clock seconds of a program where /proc does not show how long it waited for a processor."""
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
    """The call returned a value of plain types, which was checked outside.

    changed: the new values of lists, dicts and sets that the call changed, by position; for calls made one at a time.
    """

    value: Value
    changed: Mapping[int, Value] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Raised:
    """The call raised: the type's name and the message, cut at 100 and 500 characters. The program chose both.

    builtin: the nearest built-in ancestor of the type, ValueError for json's JSONDecodeError; "" where unknown.
    """

    exception: str
    message: str
    builtin: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Ended:
    """Neither a value nor an exception: the process ended, or it returned something that is no plain value.

    timeout, memory and exited end the process, and every later call of the program gets the same. output (a value over
    the limit) and unrepresentable (another type, a cycle, no valid frame) may concern one call. broke_sandbox: the
    sandbox failed with this program and worked with another. memory is rare: a program that asks for too much mostly
    gets Raised("MemoryError") and goes on.
    """

    reason: Reason
    detail: str


Outcome: TypeAlias = Returned | Raised | Ended


@dataclass(frozen=True, slots=True)
class Execution:
    """What one program did. `outcomes` has one entry per call when `loaded` is None and is empty otherwise.

    seconds: wall clock, the sandbox's own work included.
    """

    loaded: Raised | Ended | None
    outcomes: tuple[Outcome, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Whether one back end works on this machine, and why (one line, for `nightlane doctor`)."""

    backend: str
    works: bool
    why: str
