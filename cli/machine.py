"""Examines this machine: packages, devices, sandboxes, the endpoint, the disk. ``nightlane doctor`` prints it."""

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

from agent.workspace.file_status import FileStatus
from agent.workspace.folder import Workspace
from common.redaction import redacted_address
from common.wording import count
from probes.run.devices import device_groups, device_notes, devices, visible_devices
from sandbox import diagnose, remedy

PACKAGES = (
    "torch",
    "transformers",
    "trl",
    "peft",
    "bitsandbytes",
    "datasets",
    "optuna",
    "langgraph",
    "langgraph-checkpoint-sqlite",
    "openai",
    "pandas",
)


def file_lines(statuses: Sequence[FileStatus]) -> list[str]:
    """A line for each file or group of files of a workspace."""
    return [f"{'ok' if file.intact else 'damaged':<8} {file.path}: {file.message}" for file in statuses]


def examine(workspace: Workspace, gpus_per_worker: int = 1) -> tuple[list[str], bool]:
    """Lines to print, and False if no session can run here."""
    lines, healthy = [f"ok       python {platform.python_version()} on {platform.platform()}"], True
    for package in PACKAGES:
        try:
            lines.append(f"ok       {package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            healthy = False
            lines.append(f"missing  {package}; install it with: {sys.executable} -m pip install {package}")
    lines += _devices(gpus_per_worker)
    sandboxes = diagnose()
    chosen = next((sandbox.backend for sandbox in sandboxes if sandbox.works), None)
    for sandbox in sandboxes:
        mark = "ok" if sandbox.works else "no"
        role = " (used)" if sandbox.backend == chosen else ""
        lines.append(f"{mark:<8} sandbox {sandbox.backend}{role}: {sandbox.why}")
    if chosen is None:
        healthy = False
        lines.append(f"missing  a sandbox, without which no answer can be executed. {remedy()}")
    lines.append(_endpoint())
    free = shutil.disk_usage(_existing(workspace)).free / 1e9
    lines.append(f"{'ok' if free > 5 else 'low':<8} disk: {free:.1f} GB free at {workspace.root}")
    holder = workspace.holder()
    lines.append(f"ok       workspace {workspace.root}: {f'held by process {holder}' if holder else 'free'}")
    return lines, healthy


def _devices(gpus_per_worker: int) -> list[str]:
    chosen = visible_devices()
    workers = len(device_groups(chosen, gpus_per_worker))
    names = {device.id: device.name for device in devices()}
    named = ", ".join(f"{device} {names.get(device, 'by CUDA_VISIBLE_DEVICES')}" for device in chosen)
    found = (
        f"{count(len(chosen), 'GPU')}, {count(workers, 'worker')} with {count(gpus_per_worker, 'GPU')} each: {named}"
        if chosen
        else f"no GPU; {os.cpu_count()} cores, one worker with one thread per core"
    )
    return [f"ok       devices: {found}", *(f"note     {note}" for note in device_notes())]


def _endpoint() -> str:
    url, key, model = (os.environ.get(name) for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_MODEL"))
    if not url and not key:
        return (
            "ok       endpoint: not set, and not needed: Thompson sampling and Optuna propose without one; set "
            "OPENAI_BASE_URL or OPENAI_API_KEY to let a language model propose too"
        )
    if url and not _is_address(url):
        return "no       endpoint: OPENAI_BASE_URL is not an http(s) address; set it to one such as http://localhost:8000/v1"
    where = redacted_address(url or "the openai client's own")
    named = f"model {model}" if model else "no model named (set OPENAI_MODEL, or model under [proposer])"
    state, secret = "set" if model else "no", "a key" if key else "no key"
    return f"{state:<8} endpoint: {where}, {secret}, {named}; nightlane doctor STUDY asks it a question"


def _is_address(url: str) -> bool:
    """Whether it is an http(s) URL with a host, and with a number as its port if it has one."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def _existing(workspace: Workspace) -> str:
    path = workspace.root.resolve()
    while not path.exists():
        path = path.parent
    return str(path)
