"""Runs one command in a forked process and is asked by the kernel about each call that changes a file of a folder.

It can count the calls, record them with their data, kill the process before one (or in the middle of a write), fail
one with EIO, or have the disk full from one on. Nothing needs root. What is run is imported before the fork, so that a
case costs what the command does and no start of an interpreter. The calling process must have no other Python thread.
"""

import ctypes
import errno
import fcntl
import os
import platform
import select
import signal
import socket
import struct
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bench.faults.calls import Call, by_number, listen
from bench.faults.disk import Change

Kind = Literal["kill", "tear", "main", "worker", "full", "error"]
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_CONTINUE = 1
_AT_FOLDER, _EMPTY_OR_REMOVE_FOLDER = -100, 0x200
_APPENDS = os.O_APPEND
_GET_FD = {"x86_64": 438, "aarch64": 438}
WRITES = ("write", "pwrite", "writev", "pwritev")


@dataclass(frozen=True)
class Fault:
    """At the ``at``-th call that changes the folder, the first being 1. tear: half of a write is done before the
    kill, which takes all processes; main: it takes the first alone; worker: another one, which asks then or later.
    full: from then on whatever needs space fails, the first write after its half. error: EIO, once."""

    kind: Kind
    at: int


@dataclass
class Ended:
    """``code``: the exit status, negative the signal that ended it. ``count``: calls that changed the folder.
    ``where``: the call that the fault met, "" where it met none. ``changes``: what was recorded, if it was."""

    code: int = 0
    count: int = 0
    where: str = ""
    errors: str = ""
    output: str = ""
    hung: bool = False
    changes: list[Change] = field(default_factory=list)


@dataclass
class _Asked:
    """One question of the kernel's, with what it is about."""

    id: int
    thread: int
    call: Call
    arguments: tuple[int, ...]
    change: Change


class Supervisor:
    """Of commands that work on the files under ``root``."""

    def __init__(self, root: Path, scratch: Path, seconds: float = 60.0) -> None:
        self.root, self.scratch, self.seconds = os.path.realpath(root), scratch, seconds
        self.calls = by_number()
        self.kernel = ctypes.CDLL(None, use_errno=True)

    def run(self, act: Callable[[], int], fault: Fault | None = None, record: bool = False, answers: str = "") -> Ended:
        """``act`` returns the exit code; ``answers``: its standard input."""
        out, err, given = (self.scratch / name for name in ("stdout", "stderr", "stdin"))
        given.write_text(answers, encoding="utf-8")
        for path in (out, err):
            path.write_bytes(b"")
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            _child(act, theirs, given, out, err)
        theirs.close()
        _, handed, _, _ = socket.recv_fds(ours, 1, 1)
        ours.close()
        if not handed:
            os.waitpid(pid, 0)
            raise OSError(err.read_text(encoding="utf-8", errors="replace").strip()[-200:])
        ended = Ended()
        try:
            self._serve(pid, handed[0], fault, record, err, ended)
        finally:
            os.close(handed[0])
        _, status = os.waitpid(pid, 0)
        ended.code = os.waitstatus_to_exitcode(status)
        ended.errors, ended.output = (path.read_text(encoding="utf-8", errors="replace") for path in (err, out))
        return ended

    def _serve(self, pid: int, listener: int, fault: Fault | None, record: bool, err: Path, ended: Ended) -> None:
        """Answer until the last process that can ask has ended."""
        poll, ends, full, killed = select.poll(), time.monotonic() + self.seconds, False, False
        poll.register(listener, select.POLLIN)
        while True:
            ready = poll.poll(1000)
            if time.monotonic() > ends:
                ended.hung = killed = True
                self._kill(pid)
                ends += 10
            if not ready:
                continue
            if not ready[0][1] & select.POLLIN:
                return
            question = bytearray(80)
            try:
                fcntl.ioctl(listener, _RECEIVE, question)
            except OSError as error:  # whoever asked was killed meanwhile
                if error.errno in (errno.ENOENT, errno.EINTR):
                    continue
                raise
            number, thread = struct.unpack_from("=QI", question)
            call = self.calls[struct.unpack_from("=i", question, 16)[0]]
            arguments = struct.unpack_from("=6Q", question, 32)
            change = None if killed else self._change(thread, call, arguments, record)
            if change is None:
                _answer(listener, number)
                continue
            ended.count += 1
            if record:
                ended.changes.append(change._replace(said=err.stat().st_size))
            asked = _Asked(number, thread, call, arguments, change)
            if fault is None or ended.count < fault.at or (fault.kind == "worker" and ended.where):
                _answer(listener, number)
                continue
            if fault.kind == "worker":
                if (victim := _process_of(thread)) == pid:
                    _answer(listener, number)
                    continue
                os.kill(victim, signal.SIGKILL)
            if ended.count == fault.at or not ended.where:
                ended.where = f"{call.name} {os.path.relpath(change.path, self.root)}"
            if fault.kind == "worker":
                continue
            if fault.kind in ("kill", "tear", "main"):
                if fault.kind == "tear" and call.form in WRITES:
                    self._half(asked)
                killed = True
                if fault.kind == "main":
                    os.kill(pid, signal.SIGKILL)
                    _answer(listener, number)
                else:
                    self._kill(pid)
            elif fault.kind == "error":
                _answer(listener, number, -errno.EIO if ended.count == fault.at else None)
            elif not self._needs_space(asked):
                _answer(listener, number)
            elif not full and call.form in WRITES and (done := self._half(asked)):
                full = True
                _answer(listener, number, done)
            else:
                full = True
                _answer(listener, number, -errno.ENOSPC)

    def _kill(self, pid: int) -> None:
        """The whole process and whatever it started."""
        for one in [pid, *_descendants(pid)]:
            try:
                os.kill(one, signal.SIGKILL)
            except ProcessLookupError:
                continue

    # what a call is about

    def _change(self, thread: int, call: Call, arguments: tuple[int, ...], record: bool) -> Change | None:
        """The change that the call would make to a file under the root; None where it makes none."""
        try:
            return self._read(thread, call, arguments, record)
        except (FileNotFoundError, ProcessLookupError):  # a descriptor that is none, or a process that is gone
            return None

    def _read(self, thread: int, call: Call, arguments: tuple[int, ...], record: bool) -> Change | None:
        form, first = call.form, call.first
        if form in ("path", "paths", "open", "creat", "truncate", "symlink"):
            folder = arguments[first] if first >= 0 else _AT_FOLDER
            path = self._path(thread, folder, arguments[first + 1])
            if form == "paths":
                place = first + 2 if first >= 0 else 1
                other = self._path(
                    thread, arguments[place] if first >= 0 else _AT_FOLDER, arguments[place + (first >= 0)]
                )
                return Change("link" if "link" in call.name else "rename", path, other) if self._ours(other) else None
            if form == "symlink":
                path = self._path(thread, arguments[1] if first > 0 else _AT_FOLDER, arguments[2 if first > 0 else 1])
                return Change("symlink", path, _text(thread, arguments[0])) if self._ours(path) else None
            if not self._ours(path):
                return None
            if form in ("open", "creat"):
                flags = arguments[first + 2] if form == "open" else os.O_CREAT | os.O_TRUNC
                there = os.path.exists(path)
                if there and flags & os.O_TRUNC and not flags & os.O_EXCL:
                    return Change("size", path, offset=0)
                return Change("create", path) if flags & os.O_CREAT and not there else None
            if form == "truncate":
                return Change("size", path, offset=arguments[1])
            if call.name.startswith("mkdir"):
                return None if os.path.isdir(path) else Change("mkdir", path)
            flags = arguments[2] if call.name == "unlinkat" else 0
            gone = "rmdir" if call.name == "rmdir" or flags & _EMPTY_OR_REMOVE_FOLDER else "unlink"
            return Change(gone, path) if os.path.lexists(path) else None
        path = os.readlink(f"/proc/{thread}/fd/{_signed(arguments[0])}")
        if not self._ours(path) or path.endswith(" (deleted)"):
            return None
        if form == "sync":
            return Change("sync", path)
        if form == "size":
            return Change("size", path, offset=arguments[1])
        if form == "grow":
            return Change("grow", path, offset=arguments[2] + arguments[3]) if not arguments[1] else None
        offset = arguments[3] if form.startswith("p") else _position(thread, _signed(arguments[0]), path)
        data = self._data(thread, call, arguments) if record else b""
        return Change("write", path, offset=offset, data=data)

    def _ours(self, path: str) -> bool:
        return path == self.root or path.startswith(self.root + "/")

    def _path(self, thread: int, folder: int, address: int) -> str:
        text = _text(thread, address)
        if not text.startswith("/"):
            folder = _signed(folder)
            at = f"/proc/{thread}/cwd" if folder == _AT_FOLDER else f"/proc/{thread}/fd/{folder}"
            text = f"{os.readlink(at)}/{text}"
        head, tail = os.path.split(os.path.normpath(text))
        return os.path.join(os.path.realpath(head), tail)

    def _data(self, thread: int, call: Call, arguments: tuple[int, ...]) -> bytes:
        if call.form in ("write", "pwrite"):
            return _memory(thread, arguments[1], arguments[2])
        vectors = _memory(thread, arguments[1], 16 * arguments[2])
        return b"".join(_memory(thread, *struct.unpack_from("=QQ", vectors, at)) for at in range(0, len(vectors), 16))

    # faults

    def _needs_space(self, asked: _Asked) -> bool:
        change = asked.change
        if change.kind == "size":
            return os.path.exists(change.path) and change.offset > os.path.getsize(change.path)
        return change.kind in ("write", "create", "mkdir", "grow", "link", "symlink")

    def _half(self, asked: _Asked) -> int:
        """Do half of a write on the process's own descriptor; how many bytes."""
        data = self._data(asked.thread, asked.call, asked.arguments)
        half = data[: len(data) // 2]
        if not half:
            return 0
        process = os.pidfd_open(_process_of(asked.thread))
        number = _GET_FD[platform.machine()]
        copy = int(self.kernel.syscall(number, process, ctypes.c_int(asked.arguments[0]), 0))
        os.close(process)
        if copy < 0:
            raise OSError(ctypes.get_errno(), "the descriptor of another process is refused")
        try:
            if asked.call.form.startswith("p"):
                return os.pwrite(copy, half, asked.change.offset)
            return os.write(copy, half)
        finally:
            os.close(copy)


def _answer(listener: int, number: int, value: int | None = None) -> None:
    """Let the call go on, or have it return a number; a negative one is an error."""
    if value is None:
        response = struct.pack("=QqiI", number, 0, 0, _CONTINUE)
    else:
        response = struct.pack("=QqiI", number, max(value, 0), min(value, 0), 0)
    try:
        fcntl.ioctl(listener, _SEND, response)
    except OSError as error:
        if error.errno != errno.ENOENT:  # it was killed meanwhile
            raise


def _child(act: Callable[[], int], theirs: socket.socket, given: Path, out: Path, err: Path) -> None:
    """In the forked process: never returns."""
    code = 1
    try:
        os.setsid()
        for number, path, flags in ((0, given, os.O_RDONLY), (1, out, os.O_WRONLY), (2, err, os.O_WRONLY)):
            os.dup2(os.open(path, flags | (0 if number == 0 else _APPENDS)), number)
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", buffering=1, closefd=False)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        listener = listen()
        socket.send_fds(theirs, [b"1"], [listener])
        os.close(listener)
        theirs.close()
        code = act()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _process_of(thread: int) -> int:
    with open(f"/proc/{thread}/status", encoding="utf-8", errors="replace") as stream:
        return int(next(line for line in stream if line.startswith("Tgid")).split()[1])


def _descendants(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as stream:
            own = [int(one) for one in stream.read().split()]
    except OSError:
        return []
    return [one for child in own for one in (child, *_descendants(child))]


def _position(thread: int, descriptor: int, path: str) -> int:
    with open(f"/proc/{thread}/fdinfo/{descriptor}", encoding="ascii") as stream:
        lines = dict(line.split(":", 1) for line in stream if ":" in line)
    if int(lines["flags"], 8) & os.O_APPEND:
        return os.path.getsize(path)
    return int(lines["pos"])


def _text(thread: int, address: int) -> str:
    """A string of another process."""
    found = b""
    while b"\0" not in found and len(found) < 8192:
        found += _memory(thread, address + len(found), 256 - (address + len(found)) % 256)
    return os.fsdecode(found.split(b"\0", 1)[0])


def _memory(thread: int, address: int, length: int) -> bytes:
    handle = os.open(f"/proc/{thread}/mem", os.O_RDONLY)
    try:
        return os.pread(handle, length, address)
    finally:
        os.close(handle)


def _signed(value: int) -> int:
    return ctypes.c_int(value & 0xFFFFFFFF).value
