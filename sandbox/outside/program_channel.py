"""The channel to one program, which also watches its time.

Time counts only while the caller waits for the program and the program does not wait for a processor.
"""

import re
import select
import signal
import socket
import struct
import time
from typing import Any

from common.readable import is_readable
from sandbox import protocol
from sandbox.inside import child
from sandbox.outcomes import Ended, Limits, SandboxBroken
from sandbox.outside.jail import Jail, ZygoteDied
from sandbox.outside.process_stats import process_time

_GRACE = 30.0  # seconds to wait for the zygote's report on a busy machine
_TICK = 0.05  # seconds between two checks of a program that takes long
_LATE = 0.01  # seconds that this process may be late itself, each time
_CHUNK = 1 << 18
_SMALL = 16 * 1024  # an exception's frame: 700 characters of twelve bytes, with a margin
_MOST_ANSWERS = 16 << 20  # bytes of all frames of one program, because reading them takes our time, not the program's
_MOST_MEMORY = 32 << 20  # bytes of our memory for a value: half a million numbers, or 170,000 lists
_PART, _CONTAINER = 60, 120  # bytes that a number or a short text takes, and an empty list or dict
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+"')
_CREDENTIALS = struct.Struct("3i")  # struct ucred: process, user, group


class Starved(SandboxBroken):
    """The machine did not let the program run, or killed it."""


class ProgramChannel:
    """The channel to a program that `jail` starts. `ended`: why no more frames come; None while the program runs.
    `memory`: about how many bytes all frames so far take here."""

    def __init__(self, jail: Jail, identity: int, limits: Limits) -> None:
        self.ended: Ended | None = None
        self._jail, self._identity, self._limits = jail, identity, limits
        self._frames = protocol.FrameBuffer(max(limits.output_bytes + protocol.ENVELOPE, _SMALL))
        self.memory = 0
        self._received, self._most = 0, _MOST_ANSWERS + limits.output_bytes
        self._unsent = memoryview(b"")
        self._waited = 0.0
        self._pid = 0
        self._asleep = ""
        self._stopping = False
        self._report: dict[str, Any] | None = None
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._channel.setblocking(False)
            self._channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)  # the first frame has the process id
            try:
                jail.start_program(identity, theirs)
            except SandboxBroken:
                self._channel.close()
                raise
        self._poll = select.poll()
        self._poll.register(jail.control, select.POLLIN)
        self._poll.register(self._channel, select.POLLIN)

    def send(self, data: bytes) -> None:
        """Queue `data`; the next receive() sends it."""
        self._unsent = memoryview(bytes(self._unsent) + data)

    def receive(self) -> Any:
        """The program's next frame, or None if no more come; `ended` says why. `memory` grows by what the frame takes.

        SandboxBroken if the sandbox failed or the program got no processor.
        """
        while self.ended is None:
            try:
                if (body := self._frames.next_body()) is not None:
                    self._received += len(body)
                    if self._received > self._most:
                        self.end(Ended("output", f"all values of a program may take {self._most} bytes; give less"))
                        continue
                    if (memory := memory_of(body)) > _MOST_MEMORY:
                        self.end(Ended("output", "a value has too many parts; give less"))
                        continue
                    self.memory += memory
                    return protocol.unpack(body)
            except protocol.FrameTooLarge as refusal:
                self.end(Ended("output", str(refusal)))
            except ValueError as refusal:
                self.end(not_a_value(str(refusal)))
            else:
                if self._report is None:
                    self._exchange()
                else:
                    self.ended = self._reason(self._report)
        return None

    def end(self, reason: Ended) -> None:
        """End the program for this reason."""
        self.ended = reason
        self._stop()

    @property
    def closed(self) -> bool:
        return self._channel.fileno() < 0

    def close(self) -> None:
        """End the program if it runs. Closing twice is harmless."""
        if not self.closed:
            with self._channel:
                try:
                    self._stop()
                except SandboxBroken:
                    self._jail.close()

    def _exchange(self) -> None:
        """Send what can be sent, wait until more can be sent or read and do that; then check the program's time."""
        if self._unsent:
            self._send_some()
        self._poll.modify(self._channel, select.POLLIN | (select.POLLOUT if self._unsent else 0))
        begun = time.monotonic()
        ready = dict(self._poll.poll(1000 * max(_TICK, self._limits.seconds - self._waited)))
        elapsed = time.monotonic() - begun
        self._waited += max(0.0, elapsed - _LATE) if ready else elapsed
        events = ready.get(self._channel.fileno(), 0)
        if events & select.POLLOUT:
            self._send_some()
        if events & ~select.POLLOUT:
            if not self._read_some():
                self._stop()  # it closed its channel, or has ended
        elif self._jail.control.fileno() in ready:
            self._take_report()
        if self._waited >= self._limits.seconds and self._report is None:
            self._check_time()

    def _check_time(self) -> None:
        """Stop a program that has slept for longer than it may compute. The zygote watches its processor time."""
        seconds = self._limits.seconds
        used = process_time(self._pid)
        if used is not None and not used.ready and self._waited - used.computed - used.queued >= seconds:
            self._asleep = f"{seconds:g} s went by while it was waiting"
        elif used is None and self._waited >= self._limits.wall_seconds:
            self._asleep = f"{self._limits.wall_seconds:g} s went by"
        elif used is not None and self._waited >= self._limits.starvation_seconds:
            self._stop()
            raise Starved(f"in {self._waited:.0f} s the machine gave it {used.computed:.2f} s of processor time")
        if self._asleep:
            self._stop()

    def _send_some(self) -> None:
        try:
            self._unsent = self._unsent[self._channel.send(self._unsent[:_CHUNK]) :]
        except BlockingIOError:
            return
        except OSError:
            self._unsent = self._unsent[:0]  # the program has ended or does not read; its end is handled elsewhere

    def _read_some(self) -> bool:
        """Read available data; False at the channel's end."""
        try:
            data = self._channel.recv(_CHUNK) if self._pid else self._read_first()
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._frames.feed(data)
        return bool(data)

    def _read_first(self) -> bytes:
        """The first bytes. The kernel adds the process id; the program is not loaded yet."""
        data, notes, _, _ = self._channel.recvmsg(_CHUNK, socket.CMSG_SPACE(_CREDENTIALS.size))
        if notes:
            self._pid = _CREDENTIALS.unpack(notes[0][2][: _CREDENTIALS.size])[0]
            self._channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
        return data

    def _stop(self) -> None:
        """Have the process killed if it runs, and wait for the report on it."""
        if not self._stopping:
            self._stopping = True
            self._jail.stop_program(self._identity)
        deadline = time.monotonic() + _GRACE
        while self._report is None:
            if not is_readable(self._jail.control, deadline - time.monotonic()):
                raise ZygoteDied("the zygote is silent")
            self._take_report()

    def _take_report(self) -> None:
        report = self._jail.receive()
        if report.get("report") != self._identity:
            raise ZygoteDied(f"the zygote reported on something else: {report}")
        while self._read_some() and is_readable(self._channel, 0):
            continue  # data that the ended process left; it ends, since nobody writes any more
        self._report = report

    def _reason(self, report: dict[str, Any]) -> Ended:
        """Why the process ended; Starved if the machine was the reason."""
        stopped, status, cpu = report["stopped"], report["exit"], report["cpu"]
        seconds = self._limits.seconds
        used = f"{cpu:.2f} s of {seconds:g} s of processor time used"
        if stopped == "cpu" or status == -signal.SIGXCPU or (status == -signal.SIGKILL and cpu >= seconds):
            return Ended("timeout", used)
        if self._asleep:
            return Ended("timeout", f"{self._asleep}; {used}")
        if status == -signal.SIGKILL and stopped is None:
            raise Starved("the kernel killed it, as it does when the machine is out of memory")
        if status == -signal.SIGKILL:
            return Ended("exited", "the program closed its channel")
        if status == child.EXIT_MEMORY:
            return Ended("memory", f"{self._limits.memory_mb} MiB were used up")
        if status < 0:
            return Ended("exited", f"ended by signal {-status} ({signal.strsignal(-status)})")
        return Ended("exited", f"left with exit status {status}")


def memory_of(body: bytes) -> int:
    """About how many bytes the values of a frame take in this process, by its commas, colons and brackets outside of
    strings. JSON of a few bytes can stand for an object of a hundred."""
    estimate = _parts_memory(body)
    strings = (body.count(b'"') - body.count(b'\\"')) // 2
    if estimate <= _MOST_MEMORY or strings * _PART > _MOST_MEMORY:
        return estimate
    return len(body) + estimate - sum(_parts_memory(string[0]) for string in _STRINGS.finditer(body))


def _parts_memory(body: bytes) -> int:
    parts, containers = body.count(b",") + body.count(b":"), body.count(b"[") + body.count(b"{")
    return len(body) + _PART * parts + _CONTAINER * containers


def not_a_value(why: str) -> Ended:
    """For a program that wrote something else than a valid frame."""
    return Ended("unrepresentable", f"the program wrote something else than a value: {why}"[:500])
