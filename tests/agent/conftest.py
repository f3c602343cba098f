"""Fixtures for the tests of agent."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.study.load import Study, load_study
from testing import simulated_study

WITH_PAGES = ("test_settings.py", "test_session.py")
"""Files whose sessions draw the page of their report as well, under every setting and in each way to end."""


@pytest.fixture(autouse=True, scope="module")
def without_page(request: pytest.FixtureRequest) -> Iterator[None]:
    """Sessions that a test plays in its own process write report.md, and a page without charts: these take half of the
    time of a short session, and the tests of view look at them."""
    with pytest.MonkeyPatch.context() as patch:
        if request.path.name not in WITH_PAGES:
            patch.setattr("view.report.report.report_page", lambda figures: "<!doctype html>\n")
        yield


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """A night of thirty probes at most."""
    text = simulated_study.STUDY.replace("decisions = 8", "decisions = 12\nprobes = 30")
    return load_study(simulated_study.write_study(tmp_path / "study", text))
