"""What memory this process has taken."""

from pathlib import Path


def peak_mb() -> float:
    """MiB of resident memory at the most since this process was started. The peak that getrusage has begins at that of
    the process that started it, which may be a worker with a model."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
