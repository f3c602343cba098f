"""Probes on the device: on a GPU with a Qwen3 of 0.6B parameters, and the same checks with a tiny one on a CPU."""

import subprocess
import sys

import pytest
from commands import nightlane


@pytest.mark.gpu
def test_probes_on_a_gpu_are_what_they_should_be() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    command = [sys.executable, "-m", "bench.device"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]


@pytest.mark.long
@pytest.mark.slow
def test_the_same_checks_run_on_a_cpu_with_a_tiny_model() -> None:
    done = nightlane("--tiny", module="bench.device", CUDA_VISIBLE_DEVICES="", OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert "ok     without room: the kind of failure: oom" in done.stdout


@pytest.mark.long
@pytest.mark.slow
def test_the_benchmark_of_a_gpu_runs_on_a_cpu_with_a_tiny_model() -> None:
    done = nightlane("--tiny", module="bench.speed.gpu", CUDA_VISIBLE_DEVICES="", OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    measured = [line for line in done.stdout.splitlines() if "tokens/s" in line or "answers/s" in line]
    assert len(measured) >= 2 * 7, done.stdout
    assert done.stdout.count("100% of the prompts as alone") >= 1, done.stdout
