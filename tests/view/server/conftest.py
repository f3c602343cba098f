"""A browser for the tests of the served pages."""

from collections.abc import Iterator

import browsing
import pytest
from playwright.sync_api import Browser, expect, sync_playwright


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if browsing.CHROMIUM is None:
        pytest.skip("chromium is not installed; apt-get install chromium")
    with sync_playwright() as playwright:
        expect.set_options(timeout=browsing.PATIENCE)
        found = browsing.chromium(playwright)
        yield found
        found.close()
