"""What a worker tells of its machine."""

import platform
from importlib.metadata import version

from probes.run.worker import environment


def test_the_environment_of_a_worker_names_device_python_and_packages() -> None:
    words = environment("cpu", 1).split()
    assert words[:3] == [f"cpu-{platform.machine()}", "threads=1", f"python={platform.python_version()}"]
    assert {f"{name}={version(name)}" for name in ("torch", "transformers", "trl", "peft")} <= set(words)
