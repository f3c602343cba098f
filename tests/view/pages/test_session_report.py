"""The session report as a page: what it says is what the figures say, and nothing of a session can act in it."""

import json
import re
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import nights
import plotly.graph_objects as go
import pytest
from html_pages import Element, parsed

from agent.workspace.folder import Workspace
from probes.result.reading import Probe, Score
from view.data.changes import Change
from view.data.figures import SessionFigures, shown
from view.data.session_figures import session_figures
from view.data.session_record import load_record
from view.markdown import chance
from view.pages.session_report import report_page
from view.report.report import PAGE, write_report

HOSTILE = "</pre></script><script>alert(1)</script><img src=x onerror=alert(1)> & 'x' \"y\"\n"


def said(probe: Probe, score: Score) -> str:
    return f"{HOSTILE}the answer of {probe.recipe.beta} is {score.sample}\n"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A stack that is kept, with answers that try to act."""
    return nights.cutting(tmp_path_factory.mktemp("kept"), said)


def figures_of(workspace: Workspace) -> SessionFigures:
    return session_figures(load_record(workspace, None))


def page_of(workspace: Workspace) -> Element:
    return parsed(report_page(figures_of(workspace)))


def chart_data(page: Element) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads(page.with_id("charts").text)["figures"]
    return figures


def figure(change: Change) -> str:
    return f"{change.delta:+.2f} [{change.low:+.2f}, {change.high:+.2f}]"


def test_the_page_begins_with_what_to_adopt_how_sure_and_what_it_cost(kept: Workspace) -> None:
    found, page = figures_of(kept), page_of(kept)
    [stack] = found.stacks
    assert stack.effect is not None
    [h1] = page.all("h1")
    assert found.session in h1.text
    adopt, sure, cost = [item.text for item in page.with_id("main").all("ul")[0].all("li")]
    assert adopt.startswith("Adopt: the recipe in runs/session-")
    for item in found.differences:
        assert f"{item.knob} from {item.before} to {item.after}" in adopt
    assert sure.startswith(f"How sure: lists {figure(stack.effect)} over {stack.pairs} fresh pairs")
    assert f"{found.cost.probes} probes" in cost


def test_every_decision_is_a_row_that_can_be_linked_to(kept: Workspace, fragile: Workspace) -> None:
    for workspace in (kept, fragile):
        found, page = figures_of(workspace), page_of(workspace)
        assert found.decisions
        for one in found.decisions:
            row = page.with_id(f"decision-{one.turn:03d}")
            assert [link.attributes["href"] for link in row.all("th")[0].all("a")] == [f"#decision-{one.turn:03d}"]
            assert one.status in row.text
            assert f"{one.knob} {shown(one.before)} → {shown(one.after)}" in row.text
            assert one.reason in row.text
            if one.effect is None:
                assert "no score" in row.text
                assert not re.search(r"[+-]\d\.\d\d", row.text)
            else:
                assert figure(one.effect) in row.text
            if one.own:
                assert chance(one.own.chance) in row.text


def test_the_charts_show_the_figures(kept: Workspace) -> None:
    found, data = figures_of(kept), chart_data(page_of(kept))
    [stack] = found.stacks
    assert stack.effect is not None
    forest = [point for trace in data["forest"]["data"] for point in zip(trace["x"], trace["text"], strict=True)]
    assert {x for x, _ in forest} >= {stack.effect.delta, *(one.effect.delta for one in found.decisions if one.effect)}
    assert [round(x, 2) for x in data["guards"]["data"][1]["x"]] == [round(g.bound, 2) for g in stack.guards]
    curves = [curve for curve in found.curves if not curve.is_flat]
    for number, curve in enumerate(curves, 1):
        assert data[f"knob-{number}"]["data"][-1]["y"] == [place.effect.delta for place in curve.places]
    assert [p.gain.delta for p in found.progress if p.event == "KEEP"] == data["progress"]["data"][-1]["y"]
    for row, before, after in zip(
        found.categories, data["categories"]["data"][1]["x"], data["categories"]["data"][2]["x"], strict=True
    ):
        assert (row.before, row.after) == (before, after)


def test_every_chart_is_a_valid_figure_with_a_place_a_caption_and_a_text(kept: Workspace) -> None:
    page = page_of(kept)
    data, places = chart_data(page), page.all("div", class_="plot")
    assert {place.attributes["data-chart"] for place in places} == set(data)
    for place in places:
        go.Figure(data[place.attributes["data-chart"]])
        assert place.attributes["role"] == "img"
        assert len(place.attributes["aria-label"]) > 20
    assert all(figure.all("figcaption") for figure in page.all("figure", class_="chart"))


def test_an_answer_is_text_with_the_words_that_differ_marked(kept: Workspace) -> None:
    page = page_of(kept)
    sides = [pre for side in page.all("figure", class_="side") for pre in side.all("pre")]
    assert sides
    assert all(pre.text.startswith(HOSTILE) for pre in sides)
    befores, afters = ([pre.all(tag) for pre in sides if pre.all(tag)] for tag in ("del", "ins"))
    assert {one.text for found in befores for one in found} >= {"1"}
    assert {one.text for found in afters for one in found} >= {"2"}
    assert not page.all("img")


def test_scripts_are_ours_and_plotlys_alone(kept: Workspace) -> None:
    scripts = page_of(kept).all("script")
    assert [one.attributes.get("type", "") for one in scripts] == ["application/json", "", ""]
    assert not [one for one in page_of(kept).everything() if any(name.startswith("on") for name in one.attributes)]


def test_nothing_is_requested(kept: Workspace) -> None:
    page = page_of(kept)
    for element in page.everything():
        for name in ("src", "href", "action", "data", "srcset"):
            assert element.attributes.get(name, "#")[0] == "#" or element.attributes[name] == "data:,"
    [policy] = [one for one in page.all("meta") if "Content-Security-Policy" in one.attributes.get("http-equiv", "")]
    assert policy.attributes["content"].startswith("default-src 'none'")
    [style] = page.all("style")
    assert "url(" not in style.text
    assert "@import" not in style.text


def test_the_page_can_be_read_by_a_screen_reader(kept: Workspace, fruitless: Workspace, fragile: Workspace) -> None:
    for workspace in (kept, fruitless, fragile):
        page = page_of(workspace)
        assert len(page.all("h1")) == 1
        levels = [int(one.tag[1]) for one in page.everything() if re.fullmatch(r"h[1-6]", one.tag)]
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))
        for landmark in ("header", "nav", "main", "footer"):
            assert len(page.all(landmark)) == 1
        assert page.all("html")[0].attributes["lang"] == "en"
        for table in page.all("table"):
            assert all(cell.attributes.get("scope") == "col" for head in table.all("thead") for cell in head.all("th"))
        ids = [one.attributes["id"] for one in page.everything() if "id" in one.attributes]
        assert len(ids) == len(set(ids))
        links = [link.attributes["href"][1:] for link in page.all("a")]
        assert set(links) <= set(ids)
        assert all(one.attributes["aria-labelledby"] in ids for one in page.all("section"))


def test_a_night_without_a_keep_reads_as_a_negative_result(fruitless: Workspace) -> None:
    found, page = figures_of(fruitless), page_of(fruitless)
    assert found.visible is not None
    main = page.with_id("main")
    adopt, sure, _ = [item.text for item in main.all("ul")[0].all("li")]
    assert adopt == f"Adopt: nothing; the starting recipe stands after {len(found.decisions)} changes."
    assert f"worth {found.visible:.2f} points of lists had an even chance of being kept" in sure
    assert "a negative result" in main.text
    order = [section.attributes["id"] for section in main.all("section")]
    assert order[:4] == ["decisions", "searched", "noise", "knobs"]
    assert "power" in chart_data(page)


def test_an_interrupted_session_has_a_page_that_says_so(tmp_path: Path) -> None:
    page = page_of(nights.night(tmp_path, nights.CLIMBING, stop_after=1))
    assert "It was interrupted and is not finished" in page.with_id("main").text


def test_a_session_that_measured_nothing_has_a_small_page_without_charts(tmp_path: Path) -> None:
    text = nights.variant().replace("decisions = 8", "hours = 1e-9")
    workspace = nights.night(tmp_path, text, decisions=None)
    page = report_page(figures_of(workspace))
    assert len(page) < 100_000
    assert not parsed(page).all("script")
    assert "Nothing was measured" in parsed(page).with_id("main").text


def test_the_page_is_written_beside_report_md_as_one_file(kept: Workspace) -> None:
    path = write_report(kept, load_record(kept, None).session.id).with_name(PAGE)
    assert path.stat().st_size < 6_000_000
    assert parsed(path.read_text(encoding="utf-8")).all("main")


def test_a_workspace_without_answers_still_has_a_page(kept: Workspace, tmp_path: Path) -> None:
    copied = Workspace(tmp_path / "workspace")
    shutil.copytree(kept.root, copied.root)
    shutil.copytree(kept.root.parent / "study", tmp_path / "study")
    for path in copied.runs.glob("probe-*/answers.jsonl"):
        path.unlink()
    assert "None can be shown" in page_of(copied).with_id("answers").text
