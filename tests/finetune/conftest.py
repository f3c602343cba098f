"""What several files of tests of full-length runs share."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from taught import write_taught_model

from finetune import memory
from probes.memory.estimate import MemoryEstimate, estimate
from probes.memory.workload import Workload

_ESTIMATES: dict[tuple[str, str], MemoryEstimate] = {}


@pytest.fixture(autouse=True, scope="module")
def remembered_estimates() -> Iterator[None]:
    """Equal runs share one estimate of their memory, which takes about a second."""

    def remembered(config: Any, work: Workload, trust_remote_code: bool = False) -> MemoryEstimate:
        key = (config.to_json_string(), repr(work))
        if key not in _ESTIMATES:
            _ESTIMATES[key] = estimate(config, work, trust_remote_code)
        return _ESTIMATES[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "estimate", remembered)
        yield


@pytest.fixture(scope="session")
def taught_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny model, taught to write functions. Read-only."""
    folder = tmp_path_factory.mktemp("taught")
    write_taught_model(folder / "model")
    return folder
