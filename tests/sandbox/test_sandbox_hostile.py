"""What programs do on purpose, case by case; test_sandbox_hostile_suite.py has the whole table of attacks.

Each attack fails, and the next program is served as usual (see `run`).
"""

import os
import platform
from pathlib import Path
from typing import Any

import pytest
from jailed import Run, alive, own

from sandbox import Ended, Raised, Returned, protocol

FILES = """
import os
def f(paths):
    done = []
    for path in paths:
        for name, action in (
            ("read", lambda: open(path, "rb").read(1)), ("list", lambda: os.listdir(path)),
            ("write", lambda: open(path, "ab")), ("create", lambda: open(path + "/x", "w")),
            ("mkdir", lambda: os.mkdir(path + "/y")), ("unlink", lambda: os.unlink(path)),
            ("rename", lambda: os.rename(path, path + "z")), ("link", lambda: os.link(path, "/tmp/z")),
            ("symlink", lambda: os.symlink(path, "/tmp/z")), ("chmod", lambda: os.chmod(path, 0o777)),
            ("truncate", lambda: os.truncate(path, 0)), ("mkfifo", lambda: os.mkfifo(path + "/f")),
        ):
            try: action()
            except OSError: continue
            done.append((name, path))
    return done
"""


def test_no_file_of_the_host_can_be_read_listed_or_changed(run: Run, tmp_path: Path) -> None:
    public = tmp_path / "public"
    public.write_text("secret")
    public.chmod(0o666)
    here = Path(__file__).resolve()
    paths = [
        "/etc/passwd",
        "/etc",
        "/proc",
        "/proc/self/environ",
        "/proc/self/mem",
        "/sys",
        "/tmp",
        "/var/tmp",
        "/home",
    ]
    paths += ["/dev/shm", "/dev/null", str(public), str(tmp_path), str(here), str(here.parents[2])]
    assert run(FILES, (paths,)).outcomes == (Returned([]),)
    assert public.read_text() == "secret"


def test_no_link_of_the_host_can_be_read(run: Run, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("secret")
    source = """
import os
def f(path):
    try: return os.readlink(path)
    except OSError: return None
"""
    assert run(source, (str(tmp_path / "link"),), ("/proc/self/exe",)).outcomes == (Returned(None), Returned(None))


def test_nobody_can_be_signalled(run: Run) -> None:
    before = own()
    source = """
import os, signal
def f(pids):
    done = []
    for pid in (-1, 0, 1, 2, os.getppid(), -os.getppid(), *pids):
        for action in (os.kill, os.killpg):
            for number in (0, signal.SIGKILL, signal.SIGSTOP):
                try: action(pid, number)
                except OSError: continue
                done.append((pid, number))
    return done
"""
    assert run(source, (sorted(before | {os.getpid()}),)).outcomes == (Returned([]),)
    assert alive(before) == before


# name: (x86_64, aarch64, arguments)
SYSTEM_CALLS: dict[str, Any] = {
    "clone": (56, 220, (17, 0, 0, 0, 0)),
    "vfork": (58, -1, ()),
    "clone3": (435, 435, (0, 0)),
    "ptrace": (101, 117, (16, 1, 0, 0)),
    "process_vm_readv": (310, 270, (1, 0, 0, 0, 0, 0)),
    "process_vm_writev": (311, 271, (1, 0, 0, 0, 0, 0)),
    "tgkill": (234, 131, (1, 1, 0)),
    "tkill": (200, 130, (1, 0)),
    "rt_sigqueueinfo": (129, 138, (1, 0, 0)),
    "pidfd_open": (434, 434, (1, 0)),
    "pidfd_getfd": (438, 438, (0, 0, 0)),
    "kcmp": (312, 272, (1, 1, 0, 0, 0)),
    "unshare": (272, 97, (0x10000000,)),
    "setns": (308, 268, (0, 0)),
    "mount": (165, 40, (0, 0, 0, 0, 0)),
    "chroot": (161, 51, (0,)),
    "chdir": (80, 49, (0,)),
    "bpf": (321, 280, (0, 0, 0)),
    "perf_event_open": (298, 241, (0, 0, 0, 0, 0)),
    "io_uring_setup": (425, 425, (1, 0)),
    "userfaultfd": (323, 282, (0,)),
    "memfd_create": (319, 279, (0, 0)),
    "shmget": (29, 194, (0, 4096, 0o1600)),
    "msgget": (68, 186, (0, 0o1600)),
    "mq_open": (240, 180, (0, 0, 0, 0)),
    "add_key": (248, 217, (0, 0, 0, 0, 0)),
    "socketpair": (53, 199, (1, 1, 0, 0)),
    "prctl": (157, 167, (1, 0)),
    "seccomp": (317, 277, (0, 0, 0)),
    "setsid": (112, 157, ()),
    "setuid": (105, 146, (0,)),
    "timer_create": (222, 107, (0, 0, 0)),
    "inotify_init1": (294, 26, (0,)),
    "sched_setaffinity": (203, 122, (0, 0, 0)),
    "setpriority": (141, 140, (0, 0, 19)),
    "fcntl F_SETOWN": (72, 25, (3, 8, 1)),
    "fcntl F_SETFL": (72, 25, (3, 4, 0o20000)),
    "ioctl FIOSETOWN": (16, 29, (3, 0x8901, 0)),
    "ioctl TIOCSTI": (16, 29, (0, 0x5412, 0)),
    "prlimit64 of another": (302, 261, (1, 7, 0, 0)),
    "openat for writing": (257, 56, (-100, 0, 1)),
}


def test_system_calls_that_reach_beyond_the_process_are_refused(run: Run) -> None:
    column = {"x86_64": 0, "aarch64": 1}[platform.machine()]
    calls = [(name, row[column], row[2]) for name, row in SYSTEM_CALLS.items() if row[column] >= 0]
    source = """
import ctypes
def f(calls):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    allowed = []
    for name, number, arguments in calls:
        result = libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
        if result != -1 or ctypes.get_errno() not in (1, 38):
            allowed.append((name, result, ctypes.get_errno()))
    return allowed
"""
    assert run(source, (calls,)).outcomes == (Returned([]),)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="x32 is an ABI of x86_64")
def test_the_other_system_call_table_of_x86_is_closed(run: Run) -> None:
    source = "import ctypes\ndef f(): return ctypes.CDLL(None).syscall(ctypes.c_long(0x40000000 + 39))"
    (outcome,) = run(source).outcomes
    assert isinstance(outcome, Ended)
    assert outcome.reason == "exited"


FORGED = [
    protocol.pack(message)
    for message in (
        ["ready"],
        ["loaded"],
        ["returned", "forged"],
        {"report": 1, "stopped": None, "exit": 0, "cpu": 0.0},
        {"run": 1},
        {"stop": 1},
    )
] + [
    b"\xff" * 64,
    b"\0\0\0\x02[]",
    b"\0\0\0\x05" + b"[" * 5,
    b"\0\0\x10\0" + b"[" * 4096,
    b"\0\0\0\x03NaN",
    b'\0\0\0\x12["returned",1e999]',
]


@pytest.mark.parametrize("when", ["load", "call"])
@pytest.mark.parametrize("frame", FORGED)
def test_a_forged_frame_only_ever_speaks_for_the_program_that_wrote_it(run: Run, frame: bytes, when: str) -> None:
    source = f"""
import os
def forge():
    for fd in range(64):
        try: os.write(fd, {frame!r})
        except OSError: pass
def f(x):
    if {when!r} == "call": forge()
    return x
if {when!r} == "load": forge()
"""
    execution = run(source, (1,), (2,), (3,))  # and `run` sees that the next program is not touched by it
    if execution.loaded is None:
        assert len(execution.outcomes) == 3
        for outcome in execution.outcomes:
            assert isinstance(outcome, Returned | Ended)
            if isinstance(outcome, Returned):
                assert outcome.value in (1, 2, 3, "forged")


def test_nothing_of_another_program_is_left_in_memory(run: Run) -> None:
    run("def f(x): return x", ("a-secret-of-another",))
    source = """
import gc
def f(reverse):
    gc.unfreeze()
    for holder in gc.get_objects():
        if isinstance(holder, (list, dict, tuple, set)):
            for value in list(holder.values() if isinstance(holder, dict) else holder):
                if type(value) is str and value[::-1] == reverse:
                    return True
    return False
"""
    assert run(source, ("rehtona-fo-terces-a",)).outcomes == (Returned(False),)
    assert run(source + "here = 'a-secret'", ("terces-a",)).outcomes == (Returned(True),)  # it does look


def test_a_message_that_attacks_when_it_is_read_is_harmless(run: Run) -> None:
    source = """
class Bad(Exception):
    def __str__(self): raise SystemExit
class Text(str):
    def __getitem__(self, key): raise SystemExit
class Worse(Exception):
    def __str__(self): return Text("text")
def f(x): raise (Worse if x else Bad)
"""
    assert run(source, (0,), (1,)).outcomes == (
        Raised("Bad", "(its message cannot be read: SystemExit)"),
        Raised("Worse", "text"),
    )
