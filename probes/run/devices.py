"""The GPUs that the workers of this machine may use."""

import os
from pathlib import Path

NVIDIA = Path("/proc/driver/nvidia/gpus")


def visible_devices() -> list[str]:
    """The GPUs that workers may use, as CUDA_VISIBLE_DEVICES names them; empty on a machine without GPUs."""
    if not NVIDIA.is_dir():
        return []
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return [device for device in allowed.split(",") if device not in ("", "-1")]
    return [str(index) for index in range(len(list(NVIDIA.iterdir())))]
