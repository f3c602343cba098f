"""What a process used, as the kernel counts it: processor time, time in the queue for a processor, peak memory."""

from dataclasses import dataclass
from pathlib import Path

_NANOSECOND = 1e-9


@dataclass(frozen=True, slots=True)
class ProcessTime:
    """Seconds that a process computed and that it queued for a processor; the rest of its life it slept.

    ready: it is computing, queueing or waiting for a disk at this moment, and its last wait is not yet counted.
    """

    computed: float
    queued: float
    ready: bool


def process_time(pid: int) -> ProcessTime | None:
    """None where the kernel does not tell: the process is gone, /proc is hidden, or scheduler statistics are off."""
    try:
        computed, queued, turns = map(int, Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split())
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except (OSError, ValueError, IndexError):
        return None
    if turns == 0:
        return None
    return ProcessTime(computed * _NANOSECOND, queued * _NANOSECOND, state in ("R", "D"))


def peak_mb() -> float:
    """Peak resident memory of this process in MiB since it was started. The peak of getrusage would begin at that of
    the parent process, which may be a worker with a model."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
