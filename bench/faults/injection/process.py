"""Another process, as /proc shows it: its memory, the position of its descriptors, and what it has started."""

import ctypes
import os
import signal


def kill_all(pid: int) -> None:
    """Kill a process and all that it started."""
    for process in [pid, *_descendants(pid)]:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue


def process_of(thread: int) -> int:
    """The process that a thread belongs to."""
    with open(f"/proc/{thread}/status", encoding="utf-8", errors="replace") as stream:
        return int(next(line for line in stream if line.startswith("Tgid")).split()[1])


def _descendants(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as stream:
            children = [int(pid) for pid in stream.read().split()]
    except OSError:
        return []
    return [process for child in children for process in (child, *_descendants(child))]


def position_of(thread: int, descriptor: int, path: str) -> int:
    """The position in the file at which a descriptor writes next."""
    with open(f"/proc/{thread}/fdinfo/{descriptor}", encoding="ascii") as stream:
        lines = dict(line.split(":", 1) for line in stream if ":" in line)
    if int(lines["flags"], 8) & os.O_APPEND:
        return os.path.getsize(path)
    return int(lines["pos"])


def text_at(thread: int, address: int) -> str:
    """A string that ends with a zero byte."""
    data = b""
    while b"\0" not in data and len(data) < 8192:
        data += memory_at(thread, address + len(data), 256 - (address + len(data)) % 256)
    return os.fsdecode(data.split(b"\0", 1)[0])


def memory_at(thread: int, address: int, length: int) -> bytes:
    handle = os.open(f"/proc/{thread}/mem", os.O_RDONLY)
    try:
        return os.pread(handle, length, address)
    finally:
        os.close(handle)


def signed(value: int) -> int:
    """A descriptor, from the argument of a call."""
    return ctypes.c_int(value & 0xFFFFFFFF).value
