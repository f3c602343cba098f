"""Measures how fast the pages of nightlane view open and turn in a real browser, with more rows than people have.

    python -m bench.speed.pages [--decisions 10000] [--pairs 50000] [--rounds 5] [--json]

The server runs in a process of its own; the browser is Chromium through Playwright (pip install playwright; apt-get
install chromium). A page counts as open when the browser, by its own clock, has loaded and painted it; the first time
includes reading all rows. Exit status 0: every limit holds.
"""

import argparse
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.workspace.folder import Workspace
from bench.speed.large_workspaces import add_decisions, add_pairs

if TYPE_CHECKING:
    from playwright.sync_api import Page

OPEN_LIMIT, TURN_LIMIT = 2.0, 0.3
"""Seconds."""
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
SHOWN = """() => new Promise((done) => {
  const look = () => {
    const [load] = performance.getEntriesByType("navigation"), [paint] = performance.getEntriesByType("paint");
    if (load.loadEventEnd && paint) done(Math.max(load.loadEventEnd, paint.startTime));
    else setTimeout(look, 5);
  };
  look();
})"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageCase:
    """``make`` fills a workspace and gives the address of the page; links with ``turn`` lead from page to page."""

    name: str
    rows: int
    make: Callable[[Workspace, int], str]
    turn: str = "a[rel=next]"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTimes:
    """Seconds: the first opening, the median of later openings, and the median and the slowest turn of a page."""

    name: str
    rows: int
    first: float
    again: float
    turn: float
    slowest_turn: float

    @property
    def holds(self) -> bool:
        return self.first < OPEN_LIMIT and self.turn < TURN_LIMIT


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=10_000)
    parser.add_argument("--pairs", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    cases = [
        PageCase(name="decisions", rows=asked.decisions, make=add_decisions),
        PageCase(name="pairs", rows=asked.pairs, make=add_pairs),
    ]
    found = [measured(case, asked.rounds) for case in cases if case.rows]
    print(json.dumps([asdict(one) for one in found], indent=2) if asked.json else table(found))
    return 0 if all(one.holds for one in found) else 1


def measured(case: PageCase, rounds: int) -> PageTimes:
    with tempfile.TemporaryDirectory(prefix="nightlane-pages-") as folder:
        workspace = Workspace(Path(folder))
        address = case.make(workspace, case.rows)
        with served(workspace) as (root, entrance), browser_page() as page:
            page.goto(entrance)
            first = opening(page, f"{root}{address}")
            again = [opening(page, f"{root}{address}") for _ in range(rounds)]
            turns = [turning(page, case.turn) for _ in range(rounds)]
    return PageTimes(
        name=case.name,
        rows=case.rows,
        first=first,
        again=statistics.median(again),
        turn=statistics.median(turns),
        slowest_turn=max(turns),
    )


@contextmanager
def served(workspace: Workspace) -> Iterator[tuple[str, str]]:
    """The root of the server, and the address that it printed."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "cli.main", "view", "--workspace", str(workspace.root), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        entrance = process.stdout.readline().strip()
        try:
            yield entrance.partition("/open/")[0], entrance
        finally:
            process.terminate()


@contextmanager
def browser_page() -> "Iterator[Page]":
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(QUIET))
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(600_000)
        yield page
        browser.close()


def opening(page: "Page", address: str) -> float:
    page.goto(address)
    return shown_after(page)


def turning(page: "Page", link: str) -> float:
    with page.expect_navigation():
        page.evaluate("link => document.querySelector(link).click()", link)
    return shown_after(page)


def shown_after(page: "Page") -> float:
    """Seconds from the beginning of the navigation, by the browser's own clock."""
    return float(page.evaluate(SHOWN)) / 1000


def table(found: list[PageTimes]) -> str:
    heads = f"{'seconds':<12}{'rows':>8}{'first':>8}{'again':>8}{'turn':>8}{'slowest turn':>14}  holds"
    rows = [
        f"{one.name:<12}{one.rows:>8}{one.first:>8.2f}{one.again:>8.2f}{one.turn:>8.3f}{one.slowest_turn:>14.3f}  "
        f"{'yes' if one.holds else 'no'}"
        for one in found
    ]
    limits = f"limits: {OPEN_LIMIT:g} s to open the first time, {TURN_LIMIT:g} s to turn"
    return "\n".join([heads, *rows, limits])


if __name__ == "__main__":
    sys.exit(main())
