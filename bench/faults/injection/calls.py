"""The system calls that change files, and a seccomp filter that makes the kernel ask a supervisor about each one."""

import ctypes
import errno
import os
import platform
import struct
from dataclasses import dataclass

from common.errors import MissingRequirement


@dataclass(frozen=True)
class SystemCall:
    """A system call, with its number on each machine.

    ``form`` says how its arguments are read. path: one path, relative to a folder's descriptor. paths: two of them.
    open: a path with flags. write, pwrite, writev, pwritev: data for a descriptor, at its position or at an offset.
    size, grow: the length of a file. sync: a descriptor. ``first`` is the position of the first folder's descriptor, -1
    if the call has none.
    """

    name: str
    form: str
    x86_64: int | None
    aarch64: int | None
    first: int = 0


CALLS = (
    SystemCall("open", "open", 2, None, -1),
    SystemCall("creat", "creat", 85, None, -1),
    SystemCall("openat", "open", 257, 56),
    SystemCall("write", "write", 1, 64),
    SystemCall("pwrite64", "pwrite", 18, 68),
    SystemCall("writev", "writev", 20, 66),
    SystemCall("pwritev", "pwritev", 296, 70),
    SystemCall("pwritev2", "pwritev", 328, 287),
    SystemCall("ftruncate", "size", 77, 46),
    SystemCall("fallocate", "grow", 285, 47),
    SystemCall("truncate", "truncate", 76, 45, -1),
    SystemCall("fsync", "sync", 74, 82),
    SystemCall("fdatasync", "sync", 75, 83),
    SystemCall("rename", "paths", 82, None, -1),
    SystemCall("renameat", "paths", 264, 38),
    SystemCall("renameat2", "paths", 316, 276),
    SystemCall("link", "paths", 86, None, -1),
    SystemCall("linkat", "paths", 265, 37),
    SystemCall("symlink", "symlink", 88, None, -1),
    SystemCall("symlinkat", "symlink", 266, 36, 1),
    SystemCall("unlink", "path", 87, None, -1),
    SystemCall("unlinkat", "path", 263, 35),
    SystemCall("mkdir", "path", 83, None, -1),
    SystemCall("mkdirat", "path", 258, 34),
    SystemCall("rmdir", "path", 84, None, -1),
)
_COPIES = {
    "x86_64": (40, 326),
    "aarch64": (71, 285),
}  # sendfile, copy_file_range: reported as absent, so that copies use write
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _ASK, _FAIL = 0x7FFF0000, 0x7FC00000, 0x00050000
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_MODE_FILTER, _NEW_LISTENER = 1, 8
_NO_NEW_PRIVILEGES = 38
CHANGING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def by_number() -> dict[int, SystemCall]:
    """The calls by their numbers on this machine; MissingRequirement if they are unknown."""
    machine = platform.machine()
    if machine not in _AUDIT_ARCH:
        raise MissingRequirement(f"faults at system calls need x86-64 or AArch64, and this machine is {machine}")
    return {n: call for call in CALLS if (n := getattr(call, machine)) is not None}


def listen(ask: bool = True) -> int:
    """Make the kernel ask about every changing call of this thread and of all that it starts; or, with ``ask`` False,
    about none.

    Returns the descriptor on which it asks, and which hangs up when all of them have ended; OSError if the kernel
    cannot do this.
    """
    code = b"".join(_filter(platform.machine()) if ask else [_instruction(_RETURN, _ALLOW)])
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    kernel = ctypes.CDLL(None, use_errno=True)
    if kernel.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs is refused")
    listener = int(kernel.syscall(_SECCOMP[platform.machine()], _MODE_FILTER, _NEW_LISTENER, program))
    if listener < 0:
        raise OSError(ctypes.get_errno(), "the kernel refuses a seccomp listener")
    return listener


def _filter(machine: str) -> list[bytes]:
    code = [
        _instruction(_LOAD, _ARCH),
        _instruction(_EQUAL, _AUDIT_ARCH[machine], 1, 0),
        _instruction(_RETURN, _ALLOW),
        _instruction(_LOAD, _NUMBER),
    ]
    for number, call in by_number().items():
        if call.form == "open":
            flags = _instruction(_LOAD, _ARGUMENTS + 8 * (call.first + 2))
            body = [
                flags,
                _instruction(_ANY_BIT, CHANGING, 1, 0),
                _instruction(_RETURN, _ALLOW),
                _instruction(_RETURN, _ASK),
            ]
        else:
            body = [_instruction(_RETURN, _ASK)]
        code += [_instruction(_EQUAL, number, 0, len(body)), *body]
    for number in _COPIES[machine]:
        code += [_instruction(_EQUAL, number, 0, 1), _instruction(_RETURN, _FAIL | errno.ENOSYS)]
    return [*code, _instruction(_RETURN, _ALLOW)]


def _instruction(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, operand)
