"""TRAINING and RL DATA in a real browser: colours, charts, keys, votes, and what moves while a run trains."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import browsing
import finetune_workspace
import pytest
from finetune_workspace import DRIFTED, SCRIPT
from playwright.sync_api import Browser, Page, expect
from some_rows import pair

from agent.workspace.folder import Workspace
from preferences.store.stores import Stores
from testing.workspace_files import write_curve
from view.charts.palette import ACCENT, ALARM, BLUE, GREEN, ORANGE, PURPLE, Colour

CHARTS = {"loss": ORANGE, "token_accuracy": GREEN, "grad_norm": PURPLE, "learning_rate": BLUE}
SCALE = "name => document.getElementById('chart-' + name)._fullLayout.yaxis.type"
RANGE = "name => document.getElementById('chart-' + name)._fullLayout.xaxis.range"
DRAWN = "name => document.getElementById('chart-' + name).data.map((one) => [one.line.color, one.y.length])"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return finetune_workspace.make(tmp_path_factory.mktemp("finetune"))


def rgb(colour: Colour) -> str:
    red, green, blue = (int(colour.light[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgb({red}, {green}, {blue})"


def until(page: Page, condition: Callable[[], bool]) -> None:
    """The page's security policy forbids what Playwright's own wait_for_function does."""
    end = time.monotonic() + browsing.TIMEOUT / 1000
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        page.wait_for_timeout(50)


@pytest.mark.long
def test_the_sides_of_a_pair_have_their_colours_words_and_scores(browser: Browser, workspace: Workspace) -> None:
    with browsing.watched(browser, workspace) as watched:
        page = watched.page
        watched.go("/rl-data/dpo?source=web")
        chosen, rejected = page.locator(".side.chosen"), page.locator(".side.rejected")
        for side, colour, word, score in (
            (chosen, ACCENT, "chosen", "score 7.60"),
            (rejected, ALARM, "rejected", "score 4.00"),
        ):
            expect(side).to_have_css("border-top-color", rgb(colour))
            expect(side).to_have_css("border-left-style", "solid")
            expect(side.locator("figcaption")).to_have_text(f"{word} {score}")
        assert SCRIPT in chosen.inner_text()
        assert "return" not in "".join(chosen.locator("del").all_inner_texts())
        assert "2" in rejected.locator("ins").all_inner_texts()
        expect(rejected).to_contain_text("leaks the answer")
        counts = [link.inner_text() for link in page.locator(".tabs .count").locator("..").all()]
        assert counts == ["PREFERENCE 1", "REWARD 2", "DPO 30", "ORPO 1"]
        page.locator(".permalink").click()
        page.wait_for_url(re.compile(r"/rl-data/dpo/[0-9a-f]{16}$"))
        expect(page.locator(".behind")).to_contain_text("s1-001")
        watched.go("/rl-data/dpo?state=topic drift")
        expect(page.locator(".card")).to_have_count(1)
        expect(page.locator(".badge.drift")).to_have_text("topic drift")
        expect(page.locator(".permalink")).to_have_text(pair(DRIFTED).id)


def test_keys_go_through_the_rows_and_vote_in_the_store(browser: Browser, tmp_path: Path) -> None:
    workspace = finetune_workspace.make(tmp_path)
    with browsing.watched(browser, workspace) as watched:
        page = watched.page
        watched.go("/rl-data/dpo?order=oldest")
        current = page.locator(".card.current .permalink")
        for key, number in (("j", 1), ("j", 2), ("k", 1), ("k", 0), ("j", 1)):
            page.keyboard.press(key)
            expect(current).to_have_text(pair(number).id)
        for key, badge in (("a", "accepted: 1 up, 0 down"), ("f", "flipped"), ("d", "dropped")):
            page.keyboard.press(key)
            expect(page.locator(".card.current .badge").filter(has_text=badge)).to_be_visible()
        expect(page.locator(".card.current .side.chosen .score")).to_have_text("score 4.00")
        found = Stores(workspace.runs / "rl_data").find(pair(1).id)
        assert (found.up, found.flipped, found.dropped) == (1, True, True)
        page.keyboard.press("u")
        expect(page.locator(".card.current .badge")).to_have_count(0)
        page.keyboard.press("/")
        page.keyboard.type("a")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("text=a"))
        assert len(Stores(workspace.runs / "rl_data").votes()) == 6, "a key in a field is a letter"
        watched.go("/rl-data/dpo?order=oldest&page=3")
        page.keyboard.press("k")
        page.wait_for_url(re.compile("page=2"))
        expect(current).to_have_text(page.locator(".permalink").last.inner_text())


def test_the_charts_of_a_run_are_drawn_zoom_together_and_keep_the_zoom_on_a_log_scale(
    browser: Browser, workspace: Workspace
) -> None:
    with browsing.watched(browser, workspace) as watched:
        page = watched.page
        watched.go("/training/runs/finetune-0a1b2c3d4e5f")
        expect(page.locator(".badge.complete")).to_have_css("color", rgb(GREEN))
        for name, colour in CHARTS.items():
            lines = page.evaluate(DRAWN, name)
            assert lines == [[colour.light, 40]] * (1 if name == "learning_rate" else 2), (
                "a raw line and a smoothed one"
            )
        place = page.locator("#chart-loss .nsewdrag").bounding_box()
        assert place is not None
        middle = place["y"] + place["height"] / 2
        page.mouse.move(place["x"] + 0.25 * place["width"], middle)
        page.mouse.down()
        page.mouse.move(place["x"] + 0.75 * place["width"], middle, steps=4)
        page.mouse.up()
        until(page, lambda: page.evaluate(RANGE, "learning_rate")[1] < 35)
        zoom = page.evaluate(RANGE, "loss")
        assert all(page.evaluate(RANGE, name) == pytest.approx(zoom) for name in CHARTS)
        page.get_by_label("scale").select_option("log")
        until(page, lambda: page.evaluate(SCALE, "loss") == "log")
        assert "scale=log" in page.url
        assert page.evaluate(RANGE, "loss") == pytest.approx(zoom)


@pytest.mark.long
def test_runs_are_chosen_in_the_list_and_compared_in_one_chart(browser: Browser, workspace: Workspace) -> None:
    with browsing.watched(browser, workspace) as watched:
        page = watched.page
        watched.go("/training")
        page.get_by_label("Compare collapsed").check()
        page.get_by_label(re.compile("Compare probe-")).check()
        page.get_by_role("button", name="Compare the chosen runs").click()
        page.wait_for_url(re.compile(r"/training/compare\?run=collapsed&run=probe-"))
        assert len(page.evaluate(DRAWN, "loss")) == 4
        assert len({colour for colour, _ in page.evaluate(DRAWN, "loss")}) == 2


@pytest.mark.long
def test_a_run_moves_on_its_page_while_it_trains_and_when_it_is_killed(browser: Browser, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.prepare()
    with browsing.watched(browser, workspace) as watched:
        page = watched.page
        with finetune_workspace.training(tmp_path) as folder:
            watched.go("/training")
            page.get_by_label("Compare tonight").check()
            write_curve(folder, range(6, 10), 40)
            expect(page.locator("#runs .steps")).to_have_text("9 of 40")
            expect(page.get_by_label("Compare tonight")).to_be_checked()
            page.get_by_role("link", name="tonight").click()
            expect(page.locator(".badge.running")).to_have_text("RUNNING")
            write_curve(folder, range(10, 21), 40)
            expect(page.locator(".steps")).to_have_text("20 of 40")
            until(page, lambda: page.evaluate(DRAWN, "loss")[0][1] == 20)
        expect(page.locator(".badge.stopped")).to_have_text("STOPPED")


PAGES = (
    "/training",
    "/training/compare?run=collapsed&run=cut-off",
    f"/rl-data/dpo/{pair(DRIFTED).id}",
    "/rl-data/reward",
)


@pytest.mark.long
def test_every_page_fits_a_phone_and_can_be_used_by_everyone(browser: Browser, workspace: Workspace) -> None:
    with browsing.watched(browser, workspace, 390, "dark") as watched:
        for path in PAGES:
            watched.go(path)
            assert not watched.is_too_wide, path
            assert watched.serious_findings() == [], path
