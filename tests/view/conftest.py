"""Nights that the tests of the report and of its page look at."""

import nights
import pytest

from agent.workspace.folder import Workspace


@pytest.fixture(scope="session")
def fruitless(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Nothing has an effect."""
    text, folder = nights.governed(nights.KNOBS), tmp_path_factory.mktemp("fruitless")
    return nights.night(folder, text, world=nights.FLAT, probes=40, step=nights.hasty())


@pytest.fixture(scope="session")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A stack whose recipe diverges, and one that is kept."""
    text, folder = nights.governed(nights.TWO_KNOBS), tmp_path_factory.mktemp("fragile")
    return nights.night(folder, text, world=nights.FRAGILE, probes=40, step=nights.hasty())
