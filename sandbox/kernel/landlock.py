"""Landlock, the kernel's file sandbox: only listed paths may be accessed, and only read.

Documented in the kernel's userspace-api/landlock. Runs inside the jail. TCP is refused from ABI 4 on, signals and
abstract sockets out of the domain from ABI 6 on; the seccomp filter forbids all three anyway.
"""

import ctypes
import errno
import os
import struct

from sandbox.kernel import system

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_PATH_BENEATH = 1
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # how many bits of file rights an ABI knows; 16 from ABI 5 on


def abi() -> int:
    """The kernel's Landlock ABI, 1 or more; OSError (ENOSYS, EOPNOTSUPP) if it is missing or disabled."""
    return system.syscall(_CREATE, 0, 0, 1)


class Ruleset:
    """Forbids everything except reading `files` (a directory: its tree) and listing `listings`."""

    def __init__(self, files: list[str], listings: list[str]) -> None:
        version = abi()
        handled = (1 << _FILE_RIGHTS.get(version, 16)) - 1
        network = 0b11 if version >= 4 else 0
        scoped = 0b11 if version >= 6 else 0
        size = 24 if version >= 6 else 16 if version >= 4 else 8
        attribute = ctypes.create_string_buffer(struct.pack("=QQQ", handled, network, scoped), 24)
        self._fd = system.syscall(_CREATE, system.address(attribute), size, 0)
        for path in files:
            self._allow(path, _READ_FILE | _READ_DIR)
        for path in listings:
            self._allow(path, _READ_DIR)

    def _allow(self, path: str, rights: int) -> None:
        try:
            target = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError as trouble:
            if trouble.errno == errno.ENOENT:
                return  # nothing to read, nothing to allow
            raise
        try:
            allowed = rights if os.path.isdir(path) else rights & ~_READ_DIR
            rule = ctypes.create_string_buffer(struct.pack("=Qi", allowed, target), 12)
            system.syscall(_ADD, self._fd, _PATH_BENEATH, system.address(rule), 0)
        finally:
            os.close(target)

    def enter(self) -> None:
        """Confine the calling thread for good, and all that it starts."""
        system.syscall(_RESTRICT, self._fd, 0)
