"""The GPUs that the workers of this machine may use, found without importing torch.

NVIDIA     the driver's folder under /proc, or /dev/dxg under WSL2, where that folder does not exist
MIG        a GPU that is cut into parts: ``nvidia-smi -L`` names them, and each is a device of its own
AMD        ROCm's nodes under /sys; torch calls its devices "cuda", too, and obeys CUDA_VISIBLE_DEVICES
"""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from common.errors import BadInput

NVIDIA, WSL, ROCM = Path("/proc/driver/nvidia/gpus"), Path("/dev/dxg"), Path("/sys/class/kfd/kfd/topology/nodes")
NVIDIA_SMI_OF_WSL = "/usr/lib/wsl/lib/nvidia-smi"
SECONDS = 20
"""Timeout of nvidia-smi, which may have to wake a sleeping GPU."""
_LINE = re.compile(r"(?P<part> *)(?P<name>.+?) *\(UUID: (?P<id>[\w-]+)\)")


@dataclass(frozen=True, slots=True)
class Device:
    """``id``: as CUDA_VISIBLE_DEVICES names it, a number or the UUID of a part of a GPU; ``name``: for people."""

    id: str
    name: str


def visible_devices() -> list[str]:
    """The GPUs that workers may use, as CUDA_VISIBLE_DEVICES names them; empty on a machine without GPUs."""
    found = devices()
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if found and allowed is not None:
        return [device for device in allowed.split(",") if device not in ("", "-1")]
    return [device.id for device in found]


def device_groups(gpus: Sequence[str], size: int) -> list[str]:
    """The ``size`` GPUs of each worker, as CUDA_VISIBLE_DEVICES names them; GPUs that are left over are not used. Empty
    on a machine without GPUs. BadInput if a worker cannot have that many."""
    if size > max(1, len(gpus)):
        raise BadInput(
            f"gpus_per_worker={size} under [runner] is more than the {len(gpus)} GPUs that workers may use here; set "
            f"it to {max(1, len(gpus))} or less"
        )
    if size > 1 and any(gpu.startswith("MIG-") for gpu in gpus):
        raise BadInput(
            f"a process sees one part of a GPU (MIG) and gpus_per_worker={size} under [runner] asks for more; set it "
            "to 1, or use whole GPUs"
        )
    return [",".join(gpus[start : start + size]) for start in range(0, len(gpus) - size + 1, size)]


def use_devices(size: int) -> str:
    """Let this process see the GPUs of one worker, before torch is imported; returns the device, "cuda" or "cpu"."""
    if groups := device_groups(visible_devices(), size):
        os.environ["CUDA_VISIBLE_DEVICES"] = groups[0]
    return "cuda" if groups else "cpu"


@cache
def devices() -> tuple[Device, ...]:
    """All GPUs and parts of GPUs of this machine."""
    if NVIDIA.is_dir() or WSL.exists():
        listed = _listed()
        if listed:
            return listed
        count = len(list(NVIDIA.iterdir())) if NVIDIA.is_dir() else 0
        return tuple(Device(str(index), "NVIDIA GPU") for index in range(count))
    nodes = sorted(ROCM.glob("*/gpu_id")) if ROCM.is_dir() else []
    count = sum(node.read_text(encoding="utf-8").strip() not in ("", "0") for node in nodes)
    return tuple(Device(str(index), "AMD GPU") for index in range(count))


def device_notes() -> list[str]:
    """What is special about the devices of this machine, a sentence each."""
    found, notes = devices(), []
    parts = [device for device in found if device.id.startswith("MIG-")]
    if parts:
        notes.append(
            f"{len(parts)} parts of GPUs (MIG): each has a worker and a memory of its own; let CUDA_VISIBLE_DEVICES "
            "name parts of one size, since unlike workers are refused"
        )
    if any(device.name.startswith("AMD") for device in found):
        notes.append(
            "AMD GPUs (ROCm): nightlane was not tried on them; torch and bitsandbytes must be builds for ROCm, and "
            "vLLM has no batch-invariant answers there"
        )
    if "microsoft" in platform.release().lower():
        notes.append(
            "this is WSL2: memory and processors are what .wslconfig grants, and files under /mnt are slow; keep the "
            "workspace in the Linux file system"
        )
        if WSL.exists() and not found:
            notes.append(
                "a GPU of Windows is there, but nvidia-smi lists none; install its driver in Windows, not in WSL"
            )
    return notes


def _listed() -> tuple[Device, ...]:
    """The devices that ``nvidia-smi -L`` lists: the parts of a GPU instead of the GPU; empty where it cannot tell."""
    program = shutil.which("nvidia-smi") or shutil.which(NVIDIA_SMI_OF_WSL)
    if program is None:
        return ()
    try:
        done = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    whole, parts = list[Device](), dict[int, list[Device]]()
    for line in done.stdout.splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        name = found["name"].partition(": ")[2] or found["name"].partition(" Device")[0].strip()
        if found["part"] and whole:
            parts.setdefault(len(whole) - 1, []).append(Device(found["id"], f"{name} of {whole[-1].name}"))
        else:
            whole.append(Device(str(len(whole)), name))
    return tuple(one for number, gpu in enumerate(whole) for one in parts.get(number, [gpu]))
