"""Runs one command in a forked process; the kernel asks the supervisor about each call that changes a file of a folder.

The supervisor can count the calls, record them with their data, kill the process before one (or in the middle of a
write), fail one with EIO, or report a full disk from one on. A command that needs none of this runs at full speed,
because the kernel does not ask. Root is not needed. Modules are imported before the fork, so that a case does not start
an interpreter. The calling process must have no other Python thread.
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

from bench.faults.injection.calls import SystemCall, by_number, listen
from bench.faults.injection.changes import ChangesBelow, needs_space, written_data
from bench.faults.injection.disk import FileChange
from bench.faults.injection.process import kill_all, process_of

Kind = Literal["kill", "tear", "main", "worker", "full", "error"]
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_CONTINUE = 1
_GET_FD = {"x86_64": 438, "aarch64": 438}
WRITES = ("write", "pwrite", "writev", "pwritev")


@dataclass(frozen=True)
class Fault:
    """A fault at the ``at``-th call that changes the folder, counted from 1.

    kill: all processes are killed. tear: the same, after half of a write. main: only the first process is killed.
    worker: only another process is killed, at this call or the next one that it makes. full: from this call on, every
    call that needs space fails, the first write after half of its data. error: the call fails with EIO, once.
    """

    kind: Kind
    at: int


@dataclass
class ProcessResult:
    """``code``: the exit status, or minus the signal that ended the process. ``count``: calls that changed the folder.
    ``where``: the call that the fault hit, "" if none. ``changes``: the recorded calls, if they were recorded."""

    code: int = 0
    count: int = 0
    where: str = ""
    stderr: str = ""
    stdout: str = ""
    hung: bool = False
    changes: list[FileChange] = field(default_factory=list)


@dataclass
class _Question:
    """A question of the kernel about one call."""

    id: int
    thread: int
    call: SystemCall
    arguments: tuple[int, ...]
    change: FileChange


@dataclass
class _Run:
    """A command under supervision, and what has happened to it."""

    pid: int
    listener: int
    fault: Fault | None
    record: bool
    stderr: Path
    result: ProcessResult = field(default_factory=ProcessResult)
    killed: bool = False
    disk_full: bool = False


class Supervisor:
    """Supervises commands that work on the files under ``root``."""

    def __init__(self, root: Path, scratch: Path, timeout: float = 60.0) -> None:
        self.root, self.scratch, self.timeout = os.path.realpath(root), scratch, timeout
        self.changes = ChangesBelow(self.root)
        self.calls = by_number()
        self.kernel = ctypes.CDLL(None, use_errno=True)

    def run(
        self,
        command: Callable[[], int],
        fault: Fault | None = None,
        record: bool = False,
        stdin: str = "",
        count: bool = False,
    ) -> ProcessResult:
        """Run a command, which returns its exit code. Its calls are counted with ``count``, a fault or a record."""
        out, err, input_file = (self.scratch / name for name in ("stdout", "stderr", "stdin"))
        input_file.write_text(stdin, encoding="utf-8")
        for path in (out, err):
            path.write_bytes(b"")
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            _child(command, theirs, input_file, out, err, ask=count or record or fault is not None)
        theirs.close()
        _, listeners, _, _ = socket.recv_fds(ours, 1, 1)
        ours.close()
        if not listeners:
            os.waitpid(pid, 0)
            raise OSError(err.read_text(encoding="utf-8", errors="replace").strip()[-200:])
        run = _Run(pid, listeners[0], fault, record, err)
        try:
            self._serve(run)
        finally:
            os.close(run.listener)
        _, status = os.waitpid(pid, 0)
        result = run.result
        result.code = os.waitstatus_to_exitcode(status)
        result.stderr, result.stdout = (path.read_text(encoding="utf-8", errors="replace") for path in (err, out))
        return result

    def _serve(self, run: _Run) -> None:
        """Answer the kernel until the last process that can make a call has ended."""
        poll, deadline = select.poll(), time.monotonic() + self.timeout
        poll.register(run.listener, select.POLLIN)
        while True:
            ready = poll.poll(1000)
            if time.monotonic() > deadline:
                run.result.hung = run.killed = True
                kill_all(run.pid)
                deadline += 10
            if not ready:
                continue
            if not ready[0][1] & select.POLLIN:
                return
            if (question := self._receive(run)) is not None:
                self._decide(run, question)

    def _receive(self, run: _Run) -> _Question | None:
        """The next question about a call that changes the folder. Any other call is allowed here."""
        data = bytearray(80)
        try:
            fcntl.ioctl(run.listener, _RECEIVE, data)
        except OSError as error:  # the process was killed meanwhile
            if error.errno in (errno.ENOENT, errno.EINTR):
                return None
            raise
        number, thread = struct.unpack_from("=QI", data)
        call = self.calls[struct.unpack_from("=i", data, 16)[0]]
        arguments = struct.unpack_from("=6Q", data, 32)
        change = None if run.killed else self.changes.of_call(thread, call, arguments, run.record)
        if change is None:
            _answer(run.listener, number)
            return None
        return _Question(number, thread, call, arguments, change)

    def _decide(self, run: _Run, question: _Question) -> None:
        """Count and record the call; then allow it, or inject the fault."""
        result, fault = run.result, run.fault
        result.count += 1
        if run.record:
            result.changes.append(question.change._replace(stderr_bytes=run.stderr.stat().st_size))
        if fault is None or result.count < fault.at or not _hits(run, fault, question.thread):
            _answer(run.listener, question.id)
            return
        if not result.where:
            result.where = f"{question.call.name} {os.path.relpath(question.change.path, self.root)}"
        if fault.kind == "worker":
            os.kill(process_of(question.thread), signal.SIGKILL)
        elif fault.kind == "full":
            self._fill_disk(run, question)
        elif fault.kind == "error":
            _answer(run.listener, question.id, -errno.EIO if result.count == fault.at else None)
        else:
            if fault.kind == "tear" and question.call.form in WRITES:
                self._write_half(question)
            run.killed = True
            if fault.kind == "main":
                os.kill(run.pid, signal.SIGKILL)
                _answer(run.listener, question.id)
            else:
                kill_all(run.pid)

    def _fill_disk(self, run: _Run, question: _Question) -> None:
        """A call that needs space fails; the first write does half of its work."""
        if not needs_space(question.change):
            _answer(run.listener, question.id)
        elif not run.disk_full and question.call.form in WRITES and (written := self._write_half(question)):
            run.disk_full = True
            _answer(run.listener, question.id, written)
        else:
            run.disk_full = True
            _answer(run.listener, question.id, -errno.ENOSPC)

    def _write_half(self, question: _Question) -> int:
        """Write half of the data through the process's own descriptor; returns the number of bytes."""
        data = written_data(question.thread, question.call, question.arguments)
        half = data[: len(data) // 2]
        if not half:
            return 0
        process = os.pidfd_open(process_of(question.thread))
        number = _GET_FD[platform.machine()]
        copy = int(self.kernel.syscall(number, process, ctypes.c_int(question.arguments[0]), 0))
        os.close(process)
        if copy < 0:
            raise OSError(ctypes.get_errno(), "the kernel does not give out the descriptor of another process")
        try:
            if question.call.form.startswith("p"):
                return os.pwrite(copy, half, question.change.offset)
            return os.write(copy, half)
        finally:
            os.close(copy)


def _hits(run: _Run, fault: Fault, thread: int) -> bool:
    """Whether the fault hits this call. A worker is killed only once, and only at a call of a process that is not the
    first."""
    return fault.kind != "worker" or (not run.result.where and process_of(thread) != run.pid)


def _answer(listener: int, number: int, value: int | None = None) -> None:
    """Allow the call, or make it return a number; a negative number is an error."""
    if value is None:
        response = struct.pack("=QqiI", number, 0, 0, _CONTINUE)
    else:
        response = struct.pack("=QqiI", number, max(value, 0), min(value, 0), 0)
    try:
        fcntl.ioctl(listener, _SEND, response)
    except OSError as error:
        if error.errno != errno.ENOENT:  # the process was killed meanwhile
            raise


def _child(
    command: Callable[[], int], theirs: socket.socket, input_file: Path, out: Path, err: Path, ask: bool
) -> None:
    """Run the command in the forked process, and exit; never returns."""
    code = 1
    try:
        os.setsid()
        for number, path, flags in ((0, input_file, os.O_RDONLY), (1, out, os.O_WRONLY), (2, err, os.O_WRONLY)):
            os.dup2(os.open(path, flags | (0 if number == 0 else os.O_APPEND)), number)
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", buffering=1, closefd=False)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        listener = listen(ask)
        socket.send_fds(theirs, [b"1"], [listener])
        os.close(listener)
        theirs.close()
        code = command()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
