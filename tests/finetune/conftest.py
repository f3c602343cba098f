"""A model that several files of tests train further."""

from pathlib import Path

import pytest
from taught import write_taught_model


@pytest.fixture(scope="session")
def taught_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny model, taught to write functions. Read-only."""
    folder = tmp_path_factory.mktemp("taught")
    write_taught_model(folder / "model")
    return folder
