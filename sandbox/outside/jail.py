"""Starts one zygote under a back end, gives it programs, and ends it with all that it started."""

import contextlib
import functools
import marshal
import os
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from sandbox import protocol
from sandbox.outcomes import Limits, SandboxBroken
from sandbox.outside.backends import CannotStart, Launch

# Our modules that run inside, in import order. They are sent over the control channel, so the jail needs no folder.
_SHARED = ("set_order", "values", "protocol", "raising")
_OWN = ("kernel.system", "kernel.seccomp", "kernel.landlock", "inside.child", "inside.zygote")
_PACKAGES = ("sandbox", "sandbox.kernel", "sandbox.inside")
_BOOT = """
import json, marshal, os, sys, types
def read(size):
    data = b""
    while len(data) < size:
        part = os.read(0, size - len(data))
        if not part:
            sys.exit(0)
        data += part
    return data
message = json.loads(read(int.from_bytes(read(4), "big")))
for name, code in message["modules"]:
    module = sys.modules[name] = types.ModuleType(name)
    package, _, own_name = name.rpartition(".")
    if package:
        setattr(sys.modules[package], own_name, module)
    exec(marshal.loads(bytes.fromhex(code)), module.__dict__)
sys.modules["sandbox.inside.zygote"].main(0, message["settings"])
"""
_START_SECONDS = 30.0
_END_SECONDS = 2.0


class ZygoteDied(SandboxBroken):
    """The control channel ended or had an invalid message."""


class Jail:
    """One running zygote. `control` is readable when a report has come or the zygote has ended.

    namespaces: whether each program has namespaces of its own, besides those of the jail.
    """

    def __init__(self, launch: Launch, limits: Limits) -> None:
        """Start it and wait until it is ready; CannotStart with its last error if it does not get ready."""
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
                lines = errors.read()[-2000:].decode("utf-8", "replace").strip().splitlines()
                raise CannotStart(lines[-1] if lines else str(trouble)) from None

    def _greet(self, launch: Launch, limits: Limits) -> None:
        settings = launch.settings | {
            "seconds": limits.seconds,
            "memory_mb": limits.memory_mb,
            "output_bytes": limits.output_bytes,
        }
        self.control.settimeout(_START_SECONDS)
        self.control.sendall(protocol.pack({"modules": _compiled(), "settings": settings}))
        self.namespaces = bool(self.receive()["namespaces"])

    @property
    def closed(self) -> bool:
        return self.control.fileno() < 0

    def start_program(self, identity: int, channel: socket.socket) -> None:
        """Start a program that reads and writes `channel`; ZygoteDied if the zygote has ended."""
        self._send({"run": identity}, [channel.fileno()])

    def stop_program(self, identity: int) -> None:
        """Have the program killed if it runs; its report comes in any case."""
        self._send({"stop": identity}, [])

    def _send(self, message: dict[str, int], channels: list[int]) -> None:
        try:
            socket.send_fds(self.control, [protocol.pack(message)], channels)
        except OSError as trouble:
            raise ZygoteDied(f"the zygote does not listen: {trouble}") from None

    def receive(self) -> dict[str, Any]:
        """The next message from the zygote, which is trusted; ZygoteDied if there is none."""
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
        """The process id of the zygote, or of bwrap around it."""
        return int(self._process.pid)

    def hang_up(self) -> None:
        """From any thread: end the control channel. The zygote kills its program and ends, and waiting calls return."""
        with contextlib.suppress(OSError):  # not connected: it has ended already
            self.control.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it and everything it started, and wait for that. Closing twice is harmless."""
        if self.closed:
            return
        with self.control:
            if not self._ended_gracefully():
                # Its programs end with it, because it is process 1 of their namespace or by a signal.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.kill()
                self._process.wait()
            self._drain()

    def _ended_gracefully(self) -> bool:
        """End the control channel, so that the zygote kills its program and ends; False if it does not end in time."""
        with contextlib.suppress(OSError):  # not connected: it has ended already
            self.control.shutdown(socket.SHUT_WR)
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _drain(self) -> None:
        """Wait until the other end of the control channel is closed: a zygote may outlive its bwrap by a moment."""
        self.control.settimeout(_END_SECONDS)
        with contextlib.suppress(OSError):
            while self.control.recv(1 << 16):
                continue


@functools.cache
def _compiled() -> list[tuple[str, str]]:
    """The names and the compiled code, in hexadecimal, of our modules that run inside. Python is the same there, and
    would spend a fifth of its start on compiling them."""
    folder = Path(__file__).parents[1]
    texts = [(name, "") for name in _PACKAGES]
    for name in (*_SHARED, *_OWN):
        path = folder.joinpath(*name.split(".")).with_suffix(".py")
        texts.append((f"sandbox.{name}", path.read_text(encoding="utf-8")))
    return [(name, marshal.dumps(compile(text, f"<{name}>", "exec", dont_inherit=True)).hex()) for name, text in texts]
