"""The sandbox as its callers use it: one zygote, programs one after the other, a new zygote when one dies."""

import itertools
import os
import select
import signal
import socket
import time
from types import TracebackType
from typing import Any

from sandbox import child, protocol, values
from sandbox.backends import CannotStart, Launch
from sandbox.jail import Jail, ZygoteDied
from sandbox.outcomes import Ended, Execution, Limits, Program, SandboxBroken
from sandbox.transcript import ChildBroken, Transcript

_GRACE = 30.0  # seconds that the zygote may be late with its report on a busy machine
_REQUEST_BYTES = 32 << 20


class Sandbox:
    """Runs programs nobody trusts. A context manager; use it in the process and thread that opened it (the
    kernel ends the zygote with that thread).

    backend: the name of what holds here. why: one line on how it was chosen.
    """

    def __init__(self, backend: str, why: str, launch: Launch, limits: Limits) -> None:
        """Use `open_sandbox`, which tests that the back end holds. CannotStart when it does not start."""
        self.backend = backend
        self.why = why
        self.limits = limits
        self._launch = launch
        self._owner = os.getpid()
        self._identities = itertools.count(1)
        self._closed = False
        self._jail: Jail | None = Jail(launch, limits)

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(self, program: Program) -> Execution:
        """Load the program and make its calls; whatever it does is in the Execution.

        Raises ValueError for arguments that cannot cross (the caller's mistake), SandboxBroken when the machinery
        failed twice, RuntimeError after close() or in a forked process.
        """
        if self._closed or os.getpid() != self._owner:
            raise RuntimeError("a sandbox serves the process that opened it, until close(); open another one")
        start = time.monotonic()
        size = len(program.source.encode("utf-8", "surrogatepass"))
        if size > self.limits.source_bytes:
            detail = f"the source has {size} bytes; {self.limits.source_bytes} are accepted"
            return Execution(Ended("unrepresentable", detail), (), 0.0)
        request = _request(program)
        transcript = self._insist(request, len(program.calls))
        return Execution(transcript.refused, tuple(transcript.outcomes), time.monotonic() - start)

    def _insist(self, request: bytes, calls: int) -> Transcript:
        """One attempt, and one more with a new zygote when the machinery fails."""
        try:
            return self._attempt(request, calls)
        except (ZygoteDied, ChildBroken, CannotStart):
            self._discard()
        try:
            return self._attempt(request, calls)
        except (ZygoteDied, ChildBroken, CannotStart) as trouble:
            self._discard()
            raise SandboxBroken(f"the {self.backend} sandbox failed twice ({trouble}); run it again") from trouble

    def _attempt(self, request: bytes, calls: int) -> Transcript:
        if self._jail is None:
            self._jail = Jail(self._launch, self.limits)
        jail = self._jail
        transcript = Transcript(calls, self.limits.output_bytes)
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                identity = next(self._identities)
                jail.start_program(identity, theirs)
            report = self._converse(jail, identity, ours, request, transcript)
            _read_all(ours, transcript)
        if not transcript.ready:
            raise ChildBroken("the child ended before it was confined")
        transcript.close(_reason(report, self.limits))
        return transcript

    def _converse(
        self, jail: Jail, identity: int, channel: socket.socket, request: bytes, transcript: Transcript
    ) -> dict[str, Any]:
        """Send the request and read what comes, until the zygote reports; the report."""
        deadline = time.monotonic() + self.limits.wall_seconds + _GRACE
        channel.setblocking(False)
        unsent = memoryview(request)
        stopped = False
        poll = select.poll()
        poll.register(jail.control, select.POLLIN)
        poll.register(channel, select.POLLIN | select.POLLOUT)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise ZygoteDied("the zygote is silent")
            ready = dict(poll.poll(left * 1000))
            events = ready.get(channel.fileno(), 0)
            if events & select.POLLOUT:
                unsent = _send_some(channel, unsent)
                if not unsent:
                    poll.modify(channel, select.POLLIN)
            over = events & ~select.POLLOUT and not _read_some(channel, transcript)
            if over:
                poll.unregister(channel)
            if (over or transcript.finished) and not stopped:
                jail.stop_program(identity)
                stopped = True
            if jail.control.fileno() in ready:
                report = jail.receive()
                if report.get("report") != identity:
                    raise ZygoteDied(f"the zygote reported on something else: {report}")
                return report

    def _discard(self) -> None:
        if self._jail is not None:
            self._jail.close()
            self._jail = None

    def close(self) -> None:
        """End the zygote and everything it started. Closing twice is harmless."""
        self._closed = True
        if os.getpid() == self._owner:
            self._discard()


def _request(program: Program) -> bytes:
    calls = [[values.encode(argument) for argument in call] for call in program.calls]
    request = protocol.pack({"source": program.source, "entry_point": program.entry_point, "calls": calls})
    if len(request) > _REQUEST_BYTES:
        raise ValueError(f"source and arguments take {len(request)} bytes; {_REQUEST_BYTES} are accepted; send less")
    return request


def _send_some(channel: socket.socket, data: memoryview) -> memoryview:
    try:
        return data[channel.send(data[: 1 << 18]) :]
    except BlockingIOError:
        return data
    except OSError:
        return data[:0]  # the program is gone or does not listen; its end is read elsewhere


def _read_some(channel: socket.socket, transcript: Transcript) -> bool:
    """Read what is there; False at the channel's end."""
    try:
        data = channel.recv(1 << 18)
    except BlockingIOError:
        return True
    except OSError:
        return False
    transcript.feed(data)
    return bool(data)


def _read_all(channel: socket.socket, transcript: Transcript) -> None:
    """What a process that is gone has left in its channel; nobody writes any more, so this ends."""
    channel.settimeout(_GRACE)
    while not transcript.finished and _read_some(channel, transcript):
        continue


def _reason(report: dict[str, Any], limits: Limits) -> Ended:
    """Why there is no more to come from this process, from the zygote's report."""
    stopped, status, cpu = report["stopped"], report["exit"], report["cpu"]
    used = f"{cpu:.2f} s of {limits.seconds:g} s of processor time used"
    if stopped == "cpu" or status == -signal.SIGXCPU or (status == -signal.SIGKILL and cpu >= limits.seconds):
        return Ended("timeout", used)
    if stopped == "asleep":
        return Ended("timeout", f"{limits.seconds:g} s went by while it was waiting; {used}")
    if stopped == "wall":
        return Ended("timeout", f"{limits.wall_seconds:g} s went by; {used}")
    if stopped == "asked" and status == -signal.SIGKILL:
        return Ended("exited", "the program closed its channel")
    if status == child.EXIT_MEMORY:
        return Ended("memory", f"{limits.memory_mb} MiB were used up")
    if status == -signal.SIGKILL:
        return Ended("memory", "the kernel killed it, as it does when the machine is out of memory")
    if status < 0:
        return Ended("exited", f"ended by signal {-status} ({signal.strsignal(-status)})")
    return Ended("exited", f"left with exit status {status}")
