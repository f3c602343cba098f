"""Which system calls a program may make: a list of the harmless ones; everything else fails with EPERM.

So there is no fork and no thread, no exec, no socket, no signal to anybody, no ptrace, no namespace, no shared memory,
no io_uring, and no file opened for writing; no limit, clock or processor of another process is seen or set. Calls are
also refused by which a process could wait or be killed without using processor time (membarrier, its own limits,
dropping pages and files from memory), because that looks like a machine too busy to judge. The filter is the same under
every back end. Runs inside the jail.
"""

import ctypes
import errno
import os
import struct

from sandbox.kernel import system

# name: (x86_64, aarch64); None where the machine has no such call
_ALLOWED: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63),
    "write": (1, 64),
    "readv": (19, 65),
    "writev": (20, 66),
    "pread64": (17, 67),
    "close": (3, 57),
    "close_range": (436, 436),
    "lseek": (8, 62),
    "dup": (32, 23),
    "dup2": (33, None),
    "dup3": (292, 24),
    "stat": (4, None),
    "fstat": (5, 80),
    "lstat": (6, None),
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "access": (21, None),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "getcwd": (79, 17),
    "getdents64": (217, 61),
    "poll": (7, None),
    "ppoll": (271, 73),
    "select": (23, None),
    "pselect6": (270, 72),
    "mmap": (9, 222),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "mprotect": (10, 226),
    "brk": (12, 214),
    "sched_yield": (24, 124),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "rt_sigsuspend": (130, 133),
    "rt_sigtimedwait": (128, 137),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "pause": (34, None),
    "alarm": (37, None),
    "getitimer": (36, 102),
    "setitimer": (38, 103),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "times": (100, 153),
    "getrusage": (98, 165),
    "getrlimit": (97, 163),
    "sysinfo": (99, 179),
    "uname": (63, 160),
    "umask": (95, 166),
    "getrandom": (318, 278),
    "getpid": (39, 172),
    "getppid": (110, 173),
    "gettid": (186, 178),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "rseq": (334, 293),
    "set_robust_list": (273, 99),
    "exit": (60, 93),
    "exit_group": (231, 94),
}

_PRIVATE = 128
_WAITS_AND_WAKES = (0, 1, 3, 4, 5, 9, 10)  # of futex; others lend their priority to any thread of the machine
# (265 and 393: wait until a time of day)
_CLOCKS = (*range(8), 11)
_OWN_CPU_CLOCKS = tuple((~0 << 3 | kind) & 0xFFFFFFFF for kind in (2, 6))  # process and thread number 0: one's own

# Calls that are harmless with some values of one argument. fcntl and ioctl can otherwise aim SIGKILL at any process
# (F_SETOWN).
_BY_VALUE: dict[str, tuple[tuple[int, int], int, tuple[int, ...]]] = {
    "madvise": ((28, 233), 2, (0, 1, 2, 3, 4, 8, 14, 15)),  # MADV_NORMAL to DONTNEED, FREE, (NO)HUGEPAGE
    "futex": ((202, 98), 1, (*_WAITS_AND_WAKES, *(op | _PRIVATE for op in _WAITS_AND_WAKES), 265, 393)),
    "sched_getaffinity": ((204, 123), 0, (0,)),  # its own
    "clock_gettime": ((228, 113), 0, (*_CLOCKS, *_OWN_CPU_CLOCKS)),
    "clock_getres": ((229, 114), 0, (*_CLOCKS, *_OWN_CPU_CLOCKS)),
    "clock_nanosleep": ((230, 115), 0, _CLOCKS),
    "fcntl": ((72, 25), 1, (0, 1, 2, 3, 1030)),  # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC
    "ioctl": ((16, 29), 1, (0x5401, 0x5413, 0x541B, 0x5450, 0x5451)),  # TCGETS, TIOCGWINSZ, FIONREAD, FIO(N)CLEX
}
_OPEN: dict[str, tuple[tuple[int | None, int | None], int]] = {"open": ((2, None), 1), "openat": ((257, 56), 2)}
_READ_LIMITS = (302, 261)  # prlimit64
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_ABSENT = (435, 437)  # clone3 and openat2: "no such call" makes the C library fall back to one that is judged

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _JUMP, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x05, 0x06
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16
_MODE_FILTER = 2


class _FilterProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


class SystemCallFilter:
    """The filter as the kernel takes it. Build it once, `install` it in each program's process."""

    def __init__(self) -> None:
        code = instructions(system.machine())
        self._code = ctypes.create_string_buffer(b"".join(code), 8 * len(code))
        self._program = _FilterProgram(len(code), ctypes.addressof(self._code))

    def install(self) -> None:
        """Confine the calling thread for good. Needs no_new_privs; OSError where the kernel has no seccomp."""
        system.prctl(system.PR_SET_SECCOMP, _MODE_FILTER, system.address(self._program))


def instructions(machine: str) -> list[bytes]:
    """The filter in BPF, one instruction of eight bytes each.

    The number is searched by halves: the kernel runs each new filter on all numbers before it lets a process go on.
    """
    code = [_do(_LOAD, _ARCH), _do(_EQUAL, _AUDIT_ARCH[machine], 1, 0), _do(_RETURN, _KILL), _do(_LOAD, _NUMBER)]
    if machine == "x86_64":
        code += [_do(_AT_LEAST, _X32_BIT, 0, 1), _do(_RETURN, _KILL)]
    judged = _judged(0 if machine == "x86_64" else 1)
    ends = {number + 1: [_refuse()] for number in judged}
    return code + _searched([(0, [_refuse()]), *sorted((ends | judged).items())])


def _judged(column: int) -> dict[int, list[bytes]]:
    """By number of each system call that is not always refused: the instructions that judge it, ending in a return."""
    found: dict[int | None, list[bytes]] = {numbers[column]: [_do(_RETURN, _ALLOW)] for numbers in _ALLOWED.values()}
    for pair, index, values in _BY_VALUE.values():
        body = [_argument(index)]
        for value in values:
            body += [_do(_EQUAL, value, 0, 1), _do(_RETURN, _ALLOW)]
        found[pair[column]] = [*body, _refuse()]
    for numbers, index in _OPEN.values():
        found[numbers[column]] = [_argument(index), _do(_ANY_BIT, _WRITING, 1, 0), _do(_RETURN, _ALLOW), _refuse()]
    own = [_argument(0), _do(_EQUAL, 0, 1, 0), _refuse(), *_unless_zero(2), *_unless_zero(2, high=True)]
    found[_READ_LIMITS[column]] = [*own, _do(_RETURN, _ALLOW)]
    found.update({number: [_do(_RETURN, _fail(errno.ENOSYS))] for number in _ABSENT})
    return {number: body for number, body in found.items() if number is not None}


def _searched(intervals: list[tuple[int, list[bytes]]]) -> list[bytes]:
    """The body of the interval that the loaded number lies in. The intervals are sorted, each with its first number."""
    firsts = [at for at, (_, body) in enumerate(intervals) if at == 0 or body != intervals[at - 1][1]]
    if len(firsts) == 1:
        return intervals[0][1]
    middle = firsts[len(firsts) // 2]
    below = _searched(intervals[:middle])
    return [_do(_AT_LEAST, intervals[middle][0], 0, 1), _do(_JUMP, len(below)), *below, *_searched(intervals[middle:])]


def _argument(index: int, high: bool = False) -> bytes:
    """Load one half of an argument, the low one: those judged by value are C ints."""
    return _do(_LOAD, _ARGUMENTS + 8 * index + 4 * high)


def _unless_zero(index: int, high: bool = False) -> list[bytes]:
    """Refuse unless this half of a pointer is NULL's."""
    return [_argument(index, high), _do(_EQUAL, 0, 1, 0), _refuse()]


def _refuse() -> bytes:
    return _do(_RETURN, _fail(errno.EPERM))


def _fail(error: int) -> int:
    return 0x00050000 | error


def _do(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, operand)
