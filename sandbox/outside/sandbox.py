"""The Sandbox: one zygote that runs one program after the other, and a new zygote when one dies."""

import itertools
import os
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TypeVar

from sandbox.outcomes import Ended, Execution, Limits, Program, ProgramBroke, Returned, SandboxBroken
from sandbox.outside.backends import Launch
from sandbox.outside.jail import Jail
from sandbox.outside.running_program import Ask, RunningProgram

T = TypeVar("T")

# Uses nearly all that a program may use, so that it fails on a machine that cannot give that.
_DEMANDING = """
import time
def demand(size, seconds):
    held = bytearray(size)
    held[::4096] = b"x" * len(held[::4096])
    while time.process_time() < seconds: pass
    return held[0]
"""
_SHARE = 0.75  # of the seconds
_MIB_PER_SECOND = 100  # touching a page takes time


class Sandbox:
    """Runs untrusted programs. A context manager for the process and thread that opened it (the kernel ends the zygote
    with that thread).

    backend: the name of the back end. why: one line on how it was chosen.
    """

    def __init__(self, backend: str, launch: Launch, limits: Limits) -> None:
        """Use `open_sandbox`, which tests the back end. CannotStart if it does not start."""
        self.backend = backend
        self.limits = limits
        self._launch = launch
        self._owner = os.getpid()
        self._identities = itertools.count(1)
        self._closed = False
        self._live: RunningProgram | None = None
        self._jail: Jail | None = Jail(launch, limits)
        each = "a process and namespaces of its own" if self._jail.namespaces else "a process of its own"
        self.why = f"{backend} started, its self-test found nothing that gets out, and each program has {each}"

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(self, program: Program) -> Execution:
        """Load the program and make its calls.

        ValueError for arguments that have no form (the caller's mistake). SandboxBroken if the sandbox or the machine
        failed twice, and with another program, too. RuntimeError after close() or in a forked process.
        """
        begun = time.monotonic()

        def attempt() -> Execution:
            with self.start(program.source, program.entry_point) as candidate:
                outcomes = candidate.calls(program.entry_point, program.calls)
            return Execution(candidate.loaded, () if candidate.loaded else outcomes, time.monotonic() - begun)

        try:
            return run_twice(attempt, self)
        except ProgramBroke as trouble:
            return Execution(Ended("broke_sandbox", str(trouble)), (), time.monotonic() - begun)

    def start(self, source: str, needs: str = "", asks: Mapping[str, Ask] | None = None) -> RunningProgram:
        """Load a program for calls until it is closed; one at a time.

        needs: a function that it must define. asks: functions that the program may call and that run outside.
        SandboxBroken if the sandbox failed: call this within `run_twice`.
        """
        if self._closed or os.getpid() != self._owner:
            raise RuntimeError("a sandbox serves the process that opened it, until close(); open another one")
        if self._live is not None and not self._live.closed:
            raise RuntimeError("a sandbox runs one program at a time; close the one that runs, or open another sandbox")
        if self._jail is None or self._jail.closed:
            self._jail = Jail(self._launch, self.limits)
            if self._closed:  # interrupted meanwhile
                self._jail.hang_up()
        self._live = candidate = RunningProgram(self._jail, next(self._identities), self.limits, asks or {})
        try:
            candidate.load(source, needs)
        except BaseException:
            candidate.close()
            raise
        return candidate

    def serves(self) -> bool:
        """Whether a good program that uses nearly all that a program may use runs here and now."""
        limits = self.limits
        size = min(limits.memory_mb - 64, 1 + int(_MIB_PER_SECOND * min(limits.seconds, 10))) << 20
        try:
            with self.start(_DEMANDING, "demand") as good:
                return good.call("demand", size, _SHARE * limits.seconds) == Returned(ord("x"))
        except SandboxBroken:
            self.discard()
            return False

    def interrupt(self) -> None:
        """From another thread: end the program that runs, and run no more. Close it when that thread is done."""
        self._closed = True
        if (jail := self._jail) is not None:
            jail.hang_up()

    def discard(self) -> None:
        """End the zygote; the next program gets a new one."""
        if self._jail is not None:
            self._jail.close()
            self._jail = None

    def close(self) -> None:
        """End the zygote and everything it started. Closing twice is harmless."""
        self._closed = True
        if os.getpid() == self._owner:
            self.discard()


def run_twice(attempt: Callable[[], T], *sandboxes: Sandbox) -> T:
    """Call attempt(), which uses the sandboxes, and again with new zygotes if the sandbox or the machine failed.

    If that fails twice, ProgramBroke if the sandboxes then run another program, and else SandboxBroken.
    """
    for _ in range(2):
        try:
            return attempt()
        except SandboxBroken as trouble:
            failure = trouble
            for sandbox in sandboxes:
                sandbox.discard()
    if all(sandbox.serves() for sandbox in sandboxes):
        raise ProgramBroke(f"the sandbox failed with it twice, and not with another program ({failure})") from failure
    raise SandboxBroken(
        f"the {sandboxes[0].backend} sandbox failed twice, and with a program known to be good, too ({failure}); "
        "try again on a quieter machine"
    ) from failure
