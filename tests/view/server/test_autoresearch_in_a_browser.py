"""The Autoresearch pages in a real browser: what a person sees, sorts, filters and follows, and what they never do."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import browsing
import nights
import pytest
from browsing import Watched
from playwright.sync_api import Browser, expect

from agent.ledger.tables import DecisionRow
from agent.loop.start_or_resume.session import Overrides, begin
from agent.policy.search_parts import SearchParts
from agent.workspace.folder import Workspace
from probes.result.reading import Probe
from probes.run.protocol import Progress
from probes.run.store import ProbeStore
from testing.simulated_runner import SimulatedRunner
from view.data.session_record import load_record
from view.report.report import write_report

expect.set_options(timeout=browsing.TIMEOUT)


def session_of(workspace: Workspace) -> str:
    return load_record(workspace, None).session.id


def numbers(watched: Watched) -> list[str]:
    return watched.page.locator("table.listing tbody th").all_inner_texts()


def test_decisions_are_sorted_filtered_and_opened_by_links_and_keys(browser: Browser, fruitless: Workspace) -> None:
    session = session_of(fruitless)
    with browsing.watched(browser, fruitless) as watched:
        page = watched.page
        page.get_by_role("link", name=session, exact=True).click()
        latest = numbers(watched)
        assert latest[0] > latest[-2]
        page.get_by_role("columnheader", name="effect").get_by_role("link").click()
        assert "sort=effect" in page.url
        effects = [float(text) for text in page.locator("td.measured .effect").all_inner_texts()]
        assert effects == sorted(effects, reverse=True)
        page.get_by_role("columnheader", name="effect").get_by_role("link").click()
        assert numbers(watched)[: len(effects)] != latest[: len(effects)]
        page.get_by_label("lane").select_option("mixture")
        page.wait_for_url(re.compile("lane=mixture"))
        assert set(page.locator("td.lane").all_inner_texts()) == {"mixture"}
        found, address = numbers(watched), page.url
        page.goto(address)
        assert numbers(watched) == found
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(f"/decisions/{found[1]}"))
        page.keyboard.press("n")
        page.wait_for_url(re.compile(f"/decisions/{found[2]}"))


@pytest.mark.long
def test_a_decision_shows_curves_and_both_answers_as_text(browser: Browser, kept: Workspace) -> None:
    with browsing.watched(browser, kept) as watched:
        page = watched.page
        watched.go(f"/sessions/{session_of(kept)}/decisions/001")
        expect(page.locator(".plot .scatterlayer .trace").first).to_be_visible()
        assert page.locator(".plot").first.locator(".scatterlayer .trace").count() >= 6
        assert page.title().startswith("Decision 001")
        side = page.locator(".side.after pre").first
        assert browsing.SCRIPT in side.inner_text()
        marked = page.locator(".side.after ins").first
        assert marked.inner_text() in side.inner_text()
        before, after = page.locator(".side.before pre").first, page.locator(".side.after pre").first
        assert before.inner_text() != after.inner_text()
        page.locator(".prompt-row a").last.click()
        assert "prompt=" in page.url
        expect(page.locator(".prompt-row[aria-current]")).to_have_count(1)


@pytest.mark.long
@pytest.mark.parametrize(
    ("width", "scheme", "rules", "besides"),
    [(1440, "light", (), ()), (390, "dark", ("color-contrast",), ("/report",))],
)
def test_every_page_fits_and_can_be_used_by_everyone(
    browser: Browser, kept: Workspace, width: int, scheme: str, rules: tuple[str, ...], besides: tuple[str, ...]
) -> None:
    """On a dark screen only the colours are others. The report has tests of its own."""
    with browsing.watched(browser, kept, width, scheme) as watched:
        for path in browsing.pages_of(kept):
            if path.startswith(("/sessions", "/reports")) and not path.endswith(besides):
                watched.go(path)
                assert not watched.is_too_wide, path
                assert watched.serious_findings(*rules) == [], path


class Following(nights.Silent):
    """Looks at the page of the session while it runs."""

    def __init__(self, watched: Watched, workspace: Workspace) -> None:
        super().__init__()
        self.watched, self.workspace = watched, workspace
        self.seen = list[str]()
        self.told = 0

    def measuring(self, title: str, probes: Sequence[Probe]) -> None:
        if not self.seen:
            self.watched.go(f"/sessions/{session_of(self.workspace)}")
            self.seen.append("opened")

    def progress(self, progress: Progress) -> None:
        self.told += 1
        if self.seen == ["opened"] and self.told > 2:
            row = self.watched.page.locator(".probes tbody tr").first
            expect(row).to_contain_text(f"of {progress.steps}")
            expect(row.locator("td").first).to_have_text("0")
            expect(self.watched.page.locator(".badge.running")).to_be_visible()
            self.seen.append("in flight")

    def decided(self, decision: DecisionRow) -> None:
        if decision.turn and "decided" not in self.seen:
            expect(self.watched.page.locator("table.listing tbody tr").first).to_be_visible()
            self.seen.append("decided")


@pytest.mark.long
def test_a_session_that_runs_moves_on_the_page_without_a_reload(browser: Browser, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    study = nights.study(tmp_path, nights.governed(nights.TWO_KNOBS).replace("decisions = 8\n", "probes = 40\n"))
    runner = SimulatedRunner(study.material, ProbeStore(workspace.runs), world=nights.ADDING)
    with browsing.watched(browser, workspace) as watched:
        expect(watched.page.locator("main")).to_contain_text("nightlane run")
        following = Following(watched, workspace)
        parts = SearchParts(next_step=nights.hasty())
        begin(study, workspace, Overrides(), following, write_report, runner=runner, parts=parts)
        assert following.seen == ["opened", "in flight", "decided"]
        expect(watched.page.locator(".badge.finished")).to_be_visible()


def test_without_the_token_there_is_nothing_to_see(browser: Browser, kept: Workspace) -> None:
    with browsing.served(kept) as at:
        page = browser.new_page()
        answer = page.goto(f"{at.root}/sessions")
        assert answer is not None
        assert answer.status == 403
        assert session_of(kept) not in page.content()
        page.context.close()


def test_what_a_page_shows_is_what_a_program_gets(browser: Browser, kept: Workspace) -> None:
    with browsing.watched(browser, kept) as watched:
        session = session_of(kept)
        watched.go(f"/sessions/{session}.json")
        data = json.loads(watched.page.locator("pre").inner_text())
        watched.go(f"/sessions/{session}")
        assert numbers(watched) == [row["number"] for row in data["table"]["rows"]]
