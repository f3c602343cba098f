"""Targets for hostile programs on this machine, which are watched: files, listeners, processes, secrets.

All carry a marker of this run, so that other work on the machine is not reported.
"""

import contextlib
import os
import resource
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

REPOSITORY = Path(__file__).parents[2]
VARIABLE = "HOSTILE_SUITE_SECRET"
_SIGNALS = ("SIGUSR1", "SIGUSR2", "SIGURG", "SIGIO")  # signals that no user and no terminal sends
_PLACES = ("/", "/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run", "/home", "/mnt", "/usr/lib")
_SLEEPER = "import time\nwhile True: time.sleep(60)"


@dataclass(frozen=True, slots=True)
class Process:
    parent: int
    state: str
    name: str


def processes() -> dict[int, Process]:
    """All processes except zombies, by process id."""
    table = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb", buffering=0) as stream:
                    head, _, tail = stream.read().decode(errors="replace").rpartition(")")
            except OSError:
                continue  # the process has just ended
            state, parent = tail.split()[:2]
            if state not in "ZX":
                table[int(entry)] = Process(int(parent), state, head.partition("(")[2])
    return table


def below(root: int, table: dict[int, Process]) -> set[int]:
    """All descendants of `root` in `table`."""
    descendants: set[int] = set()
    new = {root}
    while new:
        new = {pid for pid, process in table.items() if process.parent in new} - descendants
        descendants |= new
    return descendants


class Host:
    """A world-writable folder, listeners, a process of the same user, and secrets. A context manager.

    `target` names them; `effects` reports and repairs what happened to them since the last call.
    """

    def __init__(self) -> None:
        self.marker = f"hostile-{secrets.token_hex(6)}"
        self.process = f"h-{secrets.token_hex(6)}"  # the kernel keeps 15 characters of a name
        self.other = f"other-{secrets.token_hex(12)}"
        self._ipc = secrets.randbits(30) | 1
        self._secrets = {what: secrets.token_hex(16) for what in ("environment", "canary", "ssh key")}
        self._signals: list[int] = []

    def __enter__(self) -> "Host":
        self.folder = Path(tempfile.mkdtemp(prefix="suite-"))
        self.folder.chmod(0o777)
        self._write_files()
        self._listen()
        self._variable = os.environ.get(VARIABLE)
        os.environ[VARIABLE] = self._secrets["environment"]
        self._start_bystander()
        self._before = self._state()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_bystander()
        for listener in (*self._listeners.values(), self._udp):
            listener.close()
        os.environ.pop(VARIABLE, None)
        if self._variable is not None:
            os.environ[VARIABLE] = self._variable
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def bystander(self) -> int:
        return self._bystander.pid

    def target(self, number: int) -> dict[str, Any]:
        """The argument of call `number`: a new nonce and the targets, without any secret."""
        return {
            "nonce": secrets.token_hex(16),
            "number": number,
            "marker": self.marker,
            "process": self.process,
            "other": self.other[::-1],  # backwards, so that a search for it does not find this
            "variable": VARIABLE,
            "folder": str(self.folder),
            "canary": str(self.folder / "canary"),
            "fifo": str(self.folder / "fifo"),
            "home": str(self.folder / "home"),
            "repository": str(REPOSITORY),
            "socket": str(self.folder / "socket"),
            "abstract": self.marker,
            "port": self._listeners["TCP"].getsockname()[1],
            "ipc": self._ipc,
            "bystander": self.bystander,
            "caller": os.getpid(),
        }

    @contextlib.contextmanager
    def signals_caught(self) -> Iterator[None]:
        """Report signals to this process as effects. Works in the main thread only."""
        previous = {}
        with contextlib.suppress(ValueError):
            for name in _SIGNALS:
                previous[name] = signal.signal(getattr(signal, name), self._note)
        try:
            yield
        finally:
            for name, handler in previous.items():
                signal.signal(getattr(signal, name), handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        self._signals.append(number)

    def effects(self, texts: Iterable[str]) -> list[str]:
        """What happened to the host, and which secrets are in `texts`, the output of the program."""
        now = self._state()
        effects = [f"changed {what}" for what in now if now[what] != self._before[what]]
        effects += [f"connected to {name}" for name, listener in self._listeners.items() if _accepted(listener)]
        effects += ["sent a datagram"] if _received(self._udp) else []
        effects += [f"sent the caller signal {number}" for number in self._signals]
        output = "\0".join(texts)
        effects += [f"got at the secret of the {what}" for what, secret in self._secrets.items() if secret in output]
        effects += ["got at the secret of another program"] if self.other in output else []
        if effects:
            self._repair()
        return effects

    def _state(self) -> dict[str, Any]:
        return {
            "the canary's folder": {str(path): _look(path) for path in sorted(self.folder.rglob("*"))},
            "a folder of the host": [place for place in self._places() if self._marked(place)],
            "the bystander": _condition(self.bystander),
            "the caller": _condition(os.getpid()),
            "System V IPC": [name for name in ("shm", "msg", "sem") if self._has_key(Path("/proc/sysvipc", name))],
            "the keyring": self.marker in _text(Path("/proc/keys")),
            "mounts": str(self.folder) in _text(Path("/proc/self/mountinfo")),
            "the host's name": socket.gethostname(),
        }

    @staticmethod
    def _places() -> set[str]:
        library = Path(os.__file__).parent
        return {*_PLACES, os.getcwd(), tempfile.gettempdir(), str(REPOSITORY), str(library), f"{library}/json"}

    def _marked(self, place: str) -> bool:
        with contextlib.suppress(OSError):
            return any(self.marker in name for name in os.listdir(place))
        return False

    def _has_key(self, listing: Path) -> bool:
        return any(line.split()[:1] == [str(self._ipc)] for line in _text(listing).splitlines())

    def _write_files(self) -> None:
        keys = self.folder / "home" / ".ssh"
        keys.mkdir(parents=True, exist_ok=True)
        for path, what in ((self.folder / "canary", "canary"), (keys / "id_rsa", "ssh key")):
            path.write_text(self._secrets[what])
            path.chmod(0o666)
        for folder in (self.folder / "home", keys):
            folder.chmod(0o777)
        with contextlib.suppress(FileExistsError):
            os.mkfifo(self.folder / "fifo")

    def _listen(self) -> None:
        while True:  # until a port is free for both
            tcp, self._udp = socket.create_server(("127.0.0.1", 0)), socket.socket(type=socket.SOCK_DGRAM)
            try:
                self._udp.bind(tcp.getsockname())
                break
            except OSError:
                tcp.close()
                self._udp.close()
        unix, abstract = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        unix.bind(str(self.folder / "socket"))
        (self.folder / "socket").chmod(0o777)
        abstract.bind("\0" + self.marker)
        self._listeners = {"TCP": tcp, "a Unix socket": unix, "an abstract socket": abstract}
        self._udp.setblocking(False)
        for listener in self._listeners.values():
            listener.listen()
            listener.setblocking(False)

    def _start_bystander(self) -> None:
        self._bystander = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _SLEEPER], env={VARIABLE: self._secrets["environment"]}
        )

    def _end_bystander(self) -> None:
        self._bystander.kill()
        self._bystander.wait()

    def _repair(self) -> None:
        """Set the host up again, so that the next program is not blamed for this one."""
        self._signals.clear()
        self._end_bystander()
        self._start_bystander()
        for place in self._places():
            with contextlib.suppress(OSError):
                for name in os.listdir(place):
                    if self.marker in name:
                        Path(place, name).unlink()
        for path in self.folder.iterdir():
            if self.marker in path.name:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        self._write_files()
        self._before = self._state()


def _look(path: Path) -> tuple[Any, ...]:
    found = path.lstat()
    content = path.read_bytes() if stat.S_ISREG(found.st_mode) else b""
    return found.st_mode, found.st_uid, found.st_mtime_ns, found.st_nlink, content, os.listxattr(path)


def _condition(pid: int) -> tuple[Any, ...] | None:
    """Priority, affinity and limits of a process; None if it is stopped or has ended."""
    state = next(iter(_text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()), "X")
    if state in "TtZX":
        return None
    limits = tuple(resource.prlimit(pid, kind) for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE))
    return os.getpriority(os.PRIO_PROCESS, pid), os.sched_getaffinity(pid), limits


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _accepted(listener: socket.socket) -> bool:
    found = False
    with contextlib.suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
            found = True
    return found


def _received(receiver: socket.socket) -> bool:
    with contextlib.suppress(BlockingIOError):
        return bool(receiver.recv(64))
    return False
