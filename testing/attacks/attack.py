"""The type of a hostile program, and the lines with which most of them begin."""

import textwrap
from dataclasses import dataclass

TRYING = """\
class Same(int):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 1

def tried(*actions):
    done = []
    for name, action in actions:
        try:
            result = action()
        except Exception:
            continue
        if result is not False:
            done.append(name)
    return {"done": done} if done else Same()
"""

KERNEL = (
    TRYING
    + """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
ARM = os.uname().machine == "aarch64"

def call(x86_64, aarch64, *arguments):
    wide = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    result = libc.syscall(ctypes.c_long(aarch64 if ARM else x86_64), *wide)
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result
"""
)


@dataclass(frozen=True, slots=True)
class Attack:
    """A program whose `f(x)` harms the host if it can, and then returns a value that may pass for the right one.

    x: the input (`nonce`, `number`) and the targets on the host (see `Host.target`). A program that succeeded returns
    {"done": [what, ...]}.
    """

    name: str
    group: str
    source: str


def attack(group: str, name: str, source: str, before: str = "") -> Attack:
    return Attack(name, group, before + textwrap.dedent(source).lstrip("\n"))


def trying(group: str, name: str, source: str) -> Attack:
    """An attack that can use `tried(("what", action), ...)`: the report, or an object that equals everything."""
    return attack(group, name, source, TRYING)


def kernel(group: str, name: str, source: str) -> Attack:
    """An attack that can use `tried`, `libc` and `call(number on x86_64, number on aarch64, argument, ...)`."""
    return attack(group, name, source, KERNEL)
