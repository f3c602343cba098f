"""A browser for the tests of the served pages, and a night that they look at."""

from collections.abc import Iterator

import browsing
import nights
import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from agent.workspace.folder import Workspace
from probes.result.reading import Probe, Score


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if browsing.CHROMIUM is None:
        pytest.skip("chromium is not installed; apt-get install chromium")
    with sync_playwright() as playwright:
        expect.set_options(timeout=browsing.TIMEOUT)
        found = browsing.chromium(playwright)
        yield found
        found.close()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A stack of two changes that was kept, with answers that try to act."""

    def said(probe: Probe, score: Score) -> str:
        return f"{browsing.SCRIPT}\nthe answer of {probe.recipe.beta} is {score.sample}\n"

    workspace = nights.cutting(tmp_path_factory.mktemp("kept"), said)
    browsing.added_curves(workspace)
    return workspace
