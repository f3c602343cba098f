"""Passes calls from test code to a program, and remembers them for the note on what went wrong."""

import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from probes.scoring.execution.failure_classes import FailureClass, class_of
from sandbox import EncodedValue, Ended, Outcome, Raised, Returned, RunningProgram, Value

MOST_SHOWN = 1000
"""Characters of a note."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a program's function and its outcome."""

    name: str
    arguments: Sequence[Value]
    named: Mapping[str, Value]
    outcome: Outcome

    @property
    def failure_class(self) -> FailureClass:
        return "ASSERTION_FAIL" if isinstance(self.outcome, Returned) else class_of(self.outcome)

    @property
    def note(self) -> str:
        shown = [_show(value) for value in self.arguments]
        shown += [f"{name}={_show(value)}" for name, value in self.named.items()]
        note = f"{self.name}({', '.join(shown)}) {describe(self.outcome)}"
        return note if len(note) <= MOST_SHOWN else note[:MOST_SHOWN] + "..."


@dataclass
class Relay:
    """Passes calls from the tests on to the program and remembers the last one.

    ``broken_call`` is the first call since `begin` that gave neither a value nor an exception. The tests see an
    exception in its place. If they catch it, the check still fails.
    """

    program: RunningProgram
    entry_point: str
    last: Call | None = field(default=None)
    broken_call: Call | None = field(default=None)

    def begin(self) -> None:
        self.broken_call = None

    def ask(self, name: str) -> Callable[..., Outcome]:
        function = self.entry_point if name == "candidate" else name

        def call(*arguments: EncodedValue, **named: EncodedValue) -> Outcome:
            outcome = self.program.forward(function, arguments, named)
            self.last = Call(function, arguments, named, outcome)
            if self.broken_call is None and (isinstance(outcome, Ended) or _out_of_memory(outcome)):
                self.broken_call = self.last
            return outcome

        return call

    def explain(self, outcome: Outcome, unread: str) -> tuple[FailureClass, str]:
        """Why a test did not run to its end, as a class and a note: the program's last call if that gave no value, else
        the test's own exception. unread: why the tests could not read a value."""
        if self.broken_call is not None:
            return self.broken_call.failure_class, self.broken_call.note
        note = self.last.note if self.last else ""
        if unread:
            return "ASSERTION_FAIL", f"{note} ({unread})"
        if isinstance(outcome, Returned):
            return "OTHER_RUNTIME", "the tests pass an argument that cannot cross"
        return class_of(outcome), note or describe(outcome)


def _out_of_memory(outcome: Outcome) -> bool:
    """Whether it is an exception that our memory limit caused."""
    return isinstance(outcome, Raised) and outcome.builtin == "MemoryError"


def describe(outcome: Outcome) -> str:
    """An outcome as the end of a sentence about the program."""
    match outcome:
        case Returned(value):
            return f"gave {_show(value)}"
        case Raised(exception, message):
            return f"raised {exception}: {message}"[:300].rstrip(": ")
        case Ended(reason, detail):
            return f"ended, {reason}: {detail}"


def _show(value: Value | EncodedValue) -> str:
    """A value, shortened where it is long or nested."""
    if isinstance(value, EncodedValue):
        try:
            value = value.value
        except ValueError:
            return "something that is no value"
    try:
        return _SHORT.repr(value)
    except ValueError:  # an integer of more digits than Python converts
        return f"a very large {type(value).__name__}"


_SHORT = reprlib.Repr()
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = _SHORT.maxset = 12
_SHORT.maxstring = _SHORT.maxother = 160
_SHORT.maxlevel = 4
