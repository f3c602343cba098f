"""The GPUs of a machine: NVIDIA's with and without parts, under WSL2, and AMD's."""

import os
import platform
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.errors import BadInput
from probes.run import devices as module
from probes.run.devices import Device, device_groups, device_notes, devices, use_devices, visible_devices

TWO = """\
GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-5c89852c-d268-c3f3-1b07-005d5ae1dc3f)
  MIG 1g.10gb     Device  0: (UUID: MIG-c7384736-a75d-5afc-978f-d2f1294409fd)
  MIG 3g.40gb     Device  1: (UUID: MIG-a28ad590-3fda-56dd-84fc-0a0b96edc58d)
GPU 1: NVIDIA A100-SXM4-80GB (UUID: GPU-8a4b6f9e-0000-0000-0000-000000000000)
"""


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without GPUs, whatever this one has."""
    for name in ("NVIDIA", "WSL", "ROCM"):
        monkeypatch.setattr(module, name, tmp_path / name)
    monkeypatch.setattr(module, "NVIDIA_SMI_OF_WSL", str(tmp_path / "none"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    devices.cache_clear()
    yield
    devices.cache_clear()


def nvidia(folder: Path, lists: str, code: int = 0) -> None:
    """A driver with one GPU, and an nvidia-smi that prints this."""
    (folder / "NVIDIA" / "0000:01:00.0").mkdir(parents=True)
    program = folder / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n/bin/cat <<'END'\n{lists}END\nexit {code}\n")
    program.chmod(0o755)


def test_a_machine_without_gpus_has_none(tmp_path: Path) -> None:
    assert devices() == ()
    assert visible_devices() == device_notes() == []


def test_parts_of_a_gpu_are_devices_of_their_own(tmp_path: Path) -> None:
    nvidia(tmp_path, TWO)
    assert [device.name for device in devices()] == [
        "MIG 1g.10gb of NVIDIA A100-SXM4-80GB",
        "MIG 3g.40gb of NVIDIA A100-SXM4-80GB",
        "NVIDIA A100-SXM4-80GB",
    ]
    assert visible_devices()[2] == "1"
    assert visible_devices()[0].startswith("MIG-c7384736")
    assert "2 parts of GPUs" in device_notes()[0]


def test_what_the_environment_allows_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia(tmp_path, TWO)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,-1")
    assert visible_devices() == ["1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_devices() == []


@pytest.mark.parametrize(("lists", "code"), [("", 0), ("no devices\n", 9), ("GPU 0: unreadable\n", 0)])
def test_a_driver_whose_program_fails_still_has_its_gpus(tmp_path: Path, lists: str, code: int) -> None:
    nvidia(tmp_path, lists, code)
    assert devices() == (Device("0", "NVIDIA GPU"),)


def test_under_wsl_the_drivers_folder_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "release", lambda: "5.15.153.1-microsoft-standard-WSL2")
    (tmp_path / "WSL").touch()
    assert any("nvidia-smi lists none" in note for note in device_notes())
    devices.cache_clear()
    nvidia(tmp_path, "GPU 0: NVIDIA GeForce RTX 4090 (UUID: GPU-1)\n")
    (tmp_path / "NVIDIA" / "0000:01:00.0").rmdir()
    (tmp_path / "NVIDIA").rmdir()
    assert devices() == (Device("0", "NVIDIA GeForce RTX 4090"),)
    (note,) = device_notes()
    assert ".wslconfig" in note


def test_amd_gpus_are_counted_by_their_nodes(tmp_path: Path) -> None:
    for number, kind in enumerate(("0", "25410", "25411")):  # a processor has 0
        (tmp_path / "ROCM" / str(number)).mkdir(parents=True)
        (tmp_path / "ROCM" / str(number) / "gpu_id").write_text(f"{kind}\n")
    assert visible_devices() == ["0", "1"]
    assert "ROCm" in device_notes()[0]


@pytest.mark.parametrize(
    ("gpus", "size", "groups"),
    [
        ([], 1, []),
        (["0", "1", "2"], 1, ["0", "1", "2"]),
        (["0", "1", "2", "5"], 2, ["0,1", "2,5"]),
        (["0", "1", "2"], 2, ["0,1"]),
        (["MIG-a", "MIG-b"], 1, ["MIG-a", "MIG-b"]),
    ],
)
def test_each_worker_has_as_many_gpus_as_it_asks_for(gpus: list[str], size: int, groups: list[str]) -> None:
    assert device_groups(gpus, size) == groups


@pytest.mark.parametrize(
    ("gpus", "size", "remedy"),
    [
        ([], 2, "the 0 GPUs that workers may use here; set it to 1 or less"),
        (["0", "1"], 4, "the 2 GPUs that workers may use here; set it to 2 or less"),
        (["MIG-a", "MIG-b"], 2, "set it to 1, or use whole GPUs"),
    ],
)
def test_more_gpus_than_a_worker_can_have_are_refused(gpus: list[str], size: int, remedy: str) -> None:
    with pytest.raises(BadInput, match=rf"^[^.;]*gpus_per_worker={size} under \[runner\].*{remedy}$"):
        device_groups(gpus, size)


def test_a_process_sees_the_gpus_of_one_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia(tmp_path, TWO)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1,2")
    assert [use_devices(2), use_devices(2)] == ["cuda", "cuda"]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,1"
