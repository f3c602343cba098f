"""The peak memory of a probe, as this process measures it."""

import contextlib
import resource
from pathlib import Path


def peak_gb(device: str) -> float:
    """Peak memory in GiB since ``reset_peak``: allocated on the fullest GPU, or resident on a CPU."""
    if device != "cpu":
        import torch

        return round(max(map(torch.cuda.max_memory_allocated, range(torch.cuda.device_count()))) / 2**30, 3)
    with contextlib.suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return round(int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 2**20, 3)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3)


def reset_peak(device: str) -> None:
    """Begin a probe's own peak; where the kernel does not allow it, the worker's peak so far stays in it."""
    if device != "cpu":
        import torch

        for number in range(torch.cuda.device_count()):
            torch.cuda.reset_peak_memory_stats(number)
    else:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
