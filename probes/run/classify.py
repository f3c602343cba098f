"""Turns an exception around a probe into a Failure of some kind. failures.py has the consequences of each kind."""

import errno
import re

from common.redaction import redacted
from probes.result.reading import Failure, Probe
from probes.run.failures import FailureKind
from probes.scoring import ScorerBroken

MEMORY_SIGNS = re.compile("out of memory|can't allocate memory|Cannot allocate memory")
"""Texts of errors of a GPU without memory, of torch's allocator on a CPU, and of the operating system."""
DEVICE_SIGNS = re.compile(
    "CUDA error|CUBLAS_STATUS|CUDNN_STATUS|cuDNN error|NCCL error|device-side assert|illegal memory access|HIP error"
)
"""Texts of errors after which a process cannot use its device any more."""


def classify(error: Exception) -> FailureKind:
    """The one place where an exception becomes a kind of failure."""
    name, text = type(error).__name__, str(error)
    if name in ("Diverged", "Untrainable"):
        return "diverged" if name == "Diverged" else "untrainable"
    if isinstance(error, ScorerBroken):
        return "scorer"
    if name == "ServerBroken":  # its message is about the server, not about this device
        return "server"
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or "No space left" in text or "os error 28" in text:  # safetensors raises an exception of its own
        return "disk"
    if name == "OutOfMemoryError" or isinstance(error, MemoryError) or MEMORY_SIGNS.search(text):
        return "oom"
    if name == "AcceleratorError" or DEVICE_SIGNS.search(text):
        return "device"
    return "error"


def failure_of(probe: Probe, error: Exception) -> Failure:
    return Failure(probe.id, probe.seed, classify(error), _one_line(error))


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return redacted(f"{type(error).__name__}: {text}")[:400]
