"""The resident process inside the jail. It forks one confined child per program, watches its processor time, and
reports how it ended. If user namespaces are available, each child has namespaces of its own.

It never sees a program: the caller sends one end of a new socket per program, which the child gets. The control channel
carries {"run": id} with that socket and {"stop": id}; the zygote answers with one report per program. It ends with the
channel and with its parent.
"""

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import sys
import time
from typing import Any

from sandbox import protocol
from sandbox.inside import child
from sandbox.kernel import landlock, seccomp, system

# Imported once, so that programs find them in memory. Others are imported from disk when a program asks.
PRELOADED = (
    "abc",
    "array",
    "base64",
    "bisect",
    "calendar",
    "cmath",
    "collections.abc",
    "contextlib",
    "copy",
    "dataclasses",
    "datetime",
    "decimal",
    "enum",
    "fractions",
    "functools",
    "hashlib",
    "heapq",
    "itertools",
    "json",
    "math",
    "numbers",
    "operator",
    "random",
    "re",
    "statistics",
    "string",
    "struct",
    "textwrap",
    "time",
    "types",
    "typing",
    "unicodedata",
)

_TICK = 0.1  # seconds between two checks of a program's processor time, at most


def main(control_fd: int, settings: dict[str, Any]) -> None:
    """Serve until the control channel ends."""
    if settings["become"] is not None:
        _give_up_root(settings["become"], settings["keep_read_search"])
    system.prctl(system.PR_SET_PDEATHSIG, signal.SIGKILL)
    if settings["parent"] is not None and os.getppid() != settings["parent"]:
        return
    control = socket.socket(fileno=os.dup(control_fd))
    os.dup2(1, control_fd)  # /dev/null
    _forget_the_caller()
    system.prctl(system.PR_SET_DUMPABLE, 0)
    for name in PRELOADED:
        importlib.import_module(name)
    sys.path += settings["path"]
    for name in settings["packages"]:
        with contextlib.suppress(ImportError):  # a program that needs it will fail
            importlib.import_module(name)
    os.environ.clear()
    zygote = Zygote(control, settings)
    zygote.confinement.restrict_files()
    gc.collect()
    gc.freeze()
    zygote.try_namespaces()
    protocol.write_all(control.fileno(), protocol.pack({"ready": os.getpid(), "namespaces": zygote.namespaces}))
    zygote.serve()


def _give_up_root(uid: int, keep_read_search: bool) -> None:
    """Become an unused uid, or nobody where a container maps few uids."""
    try:
        system.become(uid, keep_read_search)
    except OSError:
        system.become(65534, keep_read_search)


def _forget_the_caller() -> None:
    """Reset what a process inherits from the caller: signal handlers, blocked signals, the umask."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE, signal.SIGXFSZ}:
        signal.signal(number, signal.SIG_DFL)  # Python always ignores the last two
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.umask(0o022)


class Zygote:
    def __init__(self, control: socket.socket, settings: dict[str, Any]) -> None:
        self.control = control
        self.settings = settings
        paths = settings["landlock"]
        self.confinement = child.Confinement(
            limits=child.resource_limits(settings["seconds"], settings["memory_mb"]),
            ruleset=None if paths is None else landlock.Ruleset(paths["files"], paths["listings"]),
            capabilities=system.KeptCapabilities(
                1 << system.CAP_DAC_READ_SEARCH if settings["keep_read_search"] else 0
            ),
            filter=seccomp.SystemCallFilter(),
        )
        self.namespaces = False

    def try_namespaces(self) -> None:
        """Find out whether a child can have its own namespaces. Under Landlock this is not tried."""
        if self.settings["landlock"] is not None:
            return
        try:
            pid = system.fork_into_namespaces()
        except OSError:
            return
        if pid == 0:
            os._exit(0)
        self.namespaces = os.waitpid(pid, 0)[1] == 0

    def serve(self) -> None:
        while (received := self._receive()) is not None:
            message, channels = received
            if "run" not in message:
                continue  # a "stop" that crossed our report
            report = self._run(message["run"], channels[0])
            if report is None:
                return
            protocol.write_all(self.control.fileno(), protocol.pack(report))

    def _receive(self) -> tuple[dict[str, Any], list[int]] | None:
        header, channels, _, _ = socket.recv_fds(self.control, protocol.HEADER.size, 1)
        if len(header) < protocol.HEADER.size:
            return None
        body = protocol.read_exactly(self.control.fileno(), protocol.HEADER.unpack(header)[0])
        return None if body is None else (protocol.unpack(body), channels)

    def _run(self, identity: int, channel: int) -> dict[str, Any] | None:
        """Run one program to its end and report on it; None if the caller has ended."""
        mine = os.getpid()
        pid = system.fork_into_namespaces() if self.namespaces else os.fork()
        if pid == 0:
            child.run(channel, mine, self.confinement, self.settings["output_bytes"])
        os.close(channel)
        process = os.pidfd_open(pid)
        try:
            stopped = self._wait(identity, pid, process)
        finally:
            os.kill(pid, signal.SIGKILL)
            _, status, usage = os.wait4(pid, 0)
            os.close(process)
        if mine == 1:
            _sweep()
        if stopped == "abandoned":
            return None
        cpu = usage.ru_utime + usage.ru_stime
        return {"report": identity, "stopped": stopped, "exit": os.waitstatus_to_exitcode(status), "cpu": cpu}

    def _wait(self, identity: int, pid: int, process: int) -> str | None:
        """ "cpu", "asked" or "abandoned" for a program that was stopped; None if it ended by itself."""
        clock = _cpu_clock(pid)
        poll = select.poll()
        poll.register(process, select.POLLIN)
        poll.register(self.control, select.POLLIN)
        cpu = 0.0
        while True:
            remaining = max(0.002, min(_TICK, self.settings["seconds"] - cpu))
            ready = {fd for fd, _ in poll.poll(remaining * 1000)}
            if process in ready:
                return None
            if ready:
                received = self._receive()
                if received is None:
                    return "abandoned"
                if received[0].get("stop") == identity:
                    return "asked"
            cpu = time.clock_gettime(clock)
            if cpu >= self.settings["seconds"]:
                return "cpu"


def _cpu_clock(pid: int) -> int:
    """The processor-time clock of a process that has not been reaped (CPUCLOCK_SCHED of the kernel)."""
    return (~pid << 3) | 2


def _sweep() -> None:
    """As process 1 of our own namespace: nobody outlives the program."""
    try:
        os.kill(-1, signal.SIGKILL)
        while True:
            os.waitpid(-1, 0)
    except (ProcessLookupError, ChildProcessError):
        return
