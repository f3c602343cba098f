"""System calls that Python does not offer, by ctypes. Runs inside the jail; x86_64 and aarch64 only."""

import ctypes
import functools
import os
import platform
import signal

_WORDS = 7  # the number of a system call, and its arguments
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long
_LIBC.syscall.argtypes = [ctypes.c_long] * _WORDS
_LIBC.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
_HOLDING_GIL = ctypes.PyDLL(None, use_errno=True)  # fork while holding the GIL, or the child may wait for it for ever
_HOLDING_GIL.syscall.restype = ctypes.c_long
_HOLDING_GIL.syscall.argtypes = [ctypes.c_long] * _WORDS
# Looked up here once, since a program's process would have to look them up each time.
_BEFORE_FORK = ctypes.pythonapi.PyOS_BeforeFork
_AFTER_FORK_IN_CHILD = ctypes.pythonapi.PyOS_AfterFork_Child
_AFTER_FORK_IN_PARENT = ctypes.pythonapi.PyOS_AfterFork_Parent

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
CAP_DAC_READ_SEARCH = 2

_CAPABILITY_VERSION_3 = 0x20080522
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CLONE = {"x86_64": 56, "aarch64": 220}
_OWN_NAMESPACES = 0x10000000 | 0x08000000 | 0x04000000 | 0x00020000 | 0x02000000
"""User, System V IPC, host name, mounts, control groups. Not process ids: the first process of such a namespace ignores
every signal with the default action, alarms included. Not the network: such a namespace takes long to make, the jail
has an empty one, and no program has a socket."""


@functools.cache
def machine() -> str:
    """x86_64 or aarch64; NotImplementedError for others, whose system call numbers differ."""
    name = platform.machine()
    if name not in _CAPSET or ctypes.sizeof(ctypes.c_void_p) != 8:
        raise NotImplementedError(f"the sandbox knows 64-bit x86_64 and aarch64, not {name}; run it on one of these")
    return name


def syscall(number: int, *arguments: int) -> int:
    """Call the kernel; OSError if it refuses."""
    result = int(_LIBC.syscall(number, *arguments, *_ZEROS[len(arguments) :]))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


_ZEROS = (0,) * (_WORDS - 1)


def prctl(option: int, argument: int, third: int = 0) -> None:
    """prctl(2); OSError if the kernel refuses."""
    if _LIBC.prctl(option, argument, third, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def address(buffer: ctypes.Array[ctypes.c_char] | ctypes.Structure) -> int:
    return ctypes.addressof(buffer)


def become(uid: int, keep_read_search: bool) -> None:
    """Change from root to `uid` and give up all capabilities.

    keep_read_search keeps CAP_DAC_READ_SEARCH, for an interpreter in a directory that only root may enter. Landlock
    still limits what may be read.
    """
    if keep_read_search:
        prctl(PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    if keep_read_search:
        KeptCapabilities(1 << CAP_DAC_READ_SEARCH).enter()


class KeptCapabilities:
    """Gives up all capabilities of a process except those in the bits of `kept`. Made once, for many processes."""

    def __init__(self, kept: int) -> None:
        bits = kept.to_bytes(4, "little")
        self._header = ctypes.create_string_buffer(_CAPABILITY_VERSION_3.to_bytes(4, "little") + bytes(4), 8)
        self._sets = ctypes.create_string_buffer(bits + bits + bytes(16), 24)
        self._call = (_CAPSET[machine()], address(self._header), address(self._sets))

    def enter(self) -> None:
        syscall(*self._call)


def fork_into_namespaces() -> int:
    """os.fork() with the child in new namespaces; OSError if that is not allowed.

    The child has all capabilities over its own, empty namespaces until it gives them up.
    """
    number, flags = _CLONE[machine()], _OWN_NAMESPACES | signal.SIGCHLD
    _BEFORE_FORK()
    pid: int = _HOLDING_GIL.syscall(number, flags, 0, 0, 0, 0, 0)
    if pid == 0:
        _AFTER_FORK_IN_CHILD()
        return 0
    error = ctypes.get_errno()
    _AFTER_FORK_IN_PARENT()
    if pid < 0:
        raise OSError(error, os.strerror(error))
    return pid
