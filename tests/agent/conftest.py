"""Fixtures for the tests of agent."""

from pathlib import Path

import pytest

from agent.study.load import Study, load_study
from testing import simulated_study


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """A night of thirty probes at most."""
    text = simulated_study.STUDY.replace("decisions = 8", "decisions = 12\nprobes = 30")
    return load_study(simulated_study.write_study(tmp_path / "study", text))
