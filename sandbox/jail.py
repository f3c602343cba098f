"""The caller's handle on one zygote: start it under a back end, hand it programs, end it and all it started."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from sandbox import protocol
from sandbox.backends import CannotStart, Launch
from sandbox.outcomes import Limits, SandboxBroken

# Files of ours that run inside, in import order. They travel over the control channel, so no directory is opened.
_INSIDE = ("set_order", "values", "protocol", "raising", "system", "seccomp", "landlock", "child", "zygote")
_BOOT = """
import json, os, sys, types
def read(size):
    data = b""
    while len(data) < size:
        part = os.read(0, size - len(data))
        if not part:
            sys.exit(0)
        data += part
    return data
message = json.loads(read(int.from_bytes(read(4), "big")))
sys.modules["sandbox"] = package = types.ModuleType("sandbox")
for name, text in message["modules"]:
    module = sys.modules["sandbox." + name] = types.ModuleType("sandbox." + name)
    setattr(package, name, module)
    exec(compile(text, "<sandbox." + name + ">", "exec"), module.__dict__)
sys.modules["sandbox.zygote"].main(0, message["settings"])
"""
_START_SECONDS = 30.0
_END_SECONDS = 2.0


class ZygoteDied(SandboxBroken):
    """The control channel ended, or what came over it makes no sense."""


class Jail:
    """One running zygote. `control` is readable when a report has arrived or the zygote is gone.

    namespaces: whether each program gets namespaces of its own, beside those of the jail.
    """

    def __init__(self, launch: Launch, limits: Limits) -> None:
        """Start it and wait until it is ready; CannotStart with what it said when it does not get there."""
        self.control, theirs = socket.socketpair()
        with theirs, tempfile.TemporaryFile() as errors:
            try:
                self._process = subprocess.Popen(
                    [*launch.command, _BOOT],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    env=launch.environment,
                    cwd="/",
                    start_new_session=True,
                )
            except OSError as trouble:
                self.control.close()
                raise CannotStart(f"{launch.command[0]} cannot be run: {trouble.strerror}") from None
            theirs.close()
            try:
                self._greet(launch, limits)
            except (OSError, ValueError, KeyError, ZygoteDied) as trouble:
                self.close()
                errors.seek(0)
                said = errors.read()[-2000:].decode("utf-8", "replace").strip().splitlines()
                raise CannotStart(said[-1] if said else str(trouble)) from None

    def _greet(self, launch: Launch, limits: Limits) -> None:
        here = Path(__file__).parent
        modules = [(name, (here / f"{name}.py").read_text(encoding="utf-8")) for name in _INSIDE]
        settings = launch.settings | {
            "seconds": limits.seconds,
            "memory_mb": limits.memory_mb,
            "output_bytes": limits.output_bytes,
        }
        self.control.settimeout(_START_SECONDS)
        self.control.sendall(protocol.pack({"modules": modules, "settings": settings}))
        self.namespaces = bool(self.receive()["namespaces"])

    @property
    def closed(self) -> bool:
        return self.control.fileno() < 0

    def start_program(self, identity: int, channel: socket.socket) -> None:
        """Have a program run that will read and write `channel`; ZygoteDied when nobody is there."""
        self._send({"run": identity}, [channel.fileno()])

    def stop_program(self, identity: int) -> None:
        """Have the program killed if it still runs; its report comes either way."""
        self._send({"stop": identity}, [])

    def _send(self, message: dict[str, int], channels: list[int]) -> None:
        try:
            socket.send_fds(self.control, [protocol.pack(message)], channels)
        except OSError as trouble:
            raise ZygoteDied(f"the zygote does not listen: {trouble}") from None

    def receive(self) -> dict[str, Any]:
        """The next message from the zygote, which is ours and keeps the format; ZygoteDied when there is none."""
        size = protocol.HEADER.unpack(self._exactly(protocol.HEADER.size))[0]
        message: dict[str, Any] = protocol.unpack(self._exactly(size))
        return message

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            try:
                part = self.control.recv(size - len(data))
            except OSError as trouble:
                raise ZygoteDied(f"the zygote does not answer: {trouble}") from None
            if not part:
                raise ZygoteDied("the zygote is gone")
            data += part
        return data

    @property
    def pid(self) -> int:
        """The process that we started: the zygote, or bwrap around it."""
        return int(self._process.pid)

    def hang_up(self) -> None:
        """End the control channel, from any thread: the zygote kills its program and leaves; who waits here wakes."""
        with contextlib.suppress(OSError):  # not connected: it is gone already
            self.control.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it and everything it started, and return when that is gone. Closing twice is harmless."""
        if self.closed:
            return
        with self.control:
            if not self._ends_by_itself():
                # Its programs are tied to it: as process 1 of their namespace, or by the signal that they get then.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.kill()
                self._process.wait()
            self._drain()

    def _ends_by_itself(self) -> bool:
        """The zygote leaves at the end of its control channel, after killing a program that still runs."""
        with contextlib.suppress(OSError):  # not connected: it is gone already
            self.control.shutdown(socket.SHUT_WR)
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _drain(self) -> None:
        """Wait until nobody holds the other end of the control channel: a zygote may outlive its bwrap by a moment."""
        self.control.settimeout(_END_SECONDS)
        with contextlib.suppress(OSError):
            while self.control.recv(1 << 16):
                continue
