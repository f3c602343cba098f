"""The back ends that work on this machine, and the descendants of a process, for tests of the sandbox."""

import os
from collections.abc import Callable
from pathlib import Path

import sandbox as api

BACKENDS = [diagnosis.backend for diagnosis in api.diagnose() if diagnosis.works]
LIMITS = api.Limits(seconds=0.3, memory_mb=128, output_bytes=4096)

Run = Callable[..., api.Execution]


def descendants(root: int) -> set[int]:
    """All living descendants of a process, without zombies."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            except OSError:
                continue  # it ended meanwhile
            if fields[0] != "Z":
                parents[int(entry.name)] = int(fields[1])
    found: set[int] = set()
    grown = True
    while grown:
        new = {pid for pid, parent in parents.items() if parent == root or parent in found}
        grown = not new <= found
        found |= new
    return found


def alive(pids: set[int]) -> set[int]:
    states = {}
    for pid in pids:
        try:
            states[pid] = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
        except OSError:
            continue
    return {pid for pid, state in states.items() if state != "Z"}


def own() -> set[int]:
    return descendants(os.getpid())
