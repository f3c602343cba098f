"""The Autoresearch pages as a program asks for them: their figures are those of explain and report, live and after."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import browsing
import nights
import pytest
from html_pages import parsed
from starlette.testclient import TestClient
from steered import paused

from agent.loop.in_flight import FILE
from agent.workspace.folder import Workspace
from view.data.figures import shown
from view.data.session_record import load_record
from view.explain.explanation import explain, explain_data
from view.report.report import report_data
from view.server.app import create_app

PORT = 8765
Asking = Callable[[Workspace], TestClient]


@pytest.fixture
def asking() -> Asking:
    def ask(workspace: Workspace) -> TestClient:
        headers = {"Authorization": "Bearer t"}
        return TestClient(create_app(workspace, "t", PORT), base_url=f"http://127.0.0.1:{PORT}", headers=headers)

    return ask


def session_of(workspace: Workspace) -> str:
    return load_record(workspace, None).session.id


def data(client: TestClient, path: str) -> Any:
    answer = client.get(f"{path}.json")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_json_is_asked_for_by_suffix_or_by_header(asking: Asking, kept: Workspace) -> None:
    client, path = asking(kept), f"/sessions/{session_of(kept)}"
    by_header = client.get(path, headers={"Accept": "application/json"}).json()
    assert by_header["table"] == data(client, path)["table"]
    assert client.get(path).headers["content-type"].startswith("text/html")


def test_every_page_is_well_formed_and_answers_are_text(asking: Asking, kept: Workspace) -> None:
    client, root = asking(kept), f"/sessions/{session_of(kept)}"
    for path in ("", "/decisions/001", "/decisions/baseline", "/stacks", "/stacks/1", "/knobs", "/report"):
        page = client.get(f"{root}{path}").text
        assert "<script>alert" not in page
        assert parsed(page).all("h1"), path
    shown = parsed(client.get(f"{root}/decisions/001").text)
    assert browsing.SCRIPT in shown.all("figure", class_="before")[0].text


def test_a_decision_and_a_stack_say_what_explain_says(asking: Asking, kept: Workspace) -> None:
    client, session = asking(kept), session_of(kept)
    found = data(client, f"/sessions/{session}/decisions/001")
    assert found["decision"] == explain_data(explain(kept, "001"))
    assert data(client, f"/sessions/{session}/stacks/1")["stack"] == explain_data(explain(kept, "stack-1"))
    changes = [row["change"] for row in found["prompts"]]
    assert changes == sorted(changes, reverse=True)
    assert found["prompts_in_all"] == len(data(client, f"/sessions/{session}/decisions/001")["prompts"]) or (
        found["prompts_in_all"] > len(changes)
    )
    asked = next(row["prompt"] for row in found["prompts"][1:])
    other = client.get(f"/sessions/{session}/decisions/001.json?prompt={asked}").json()
    assert other["prompt"] == asked
    [row] = [row for row in other["prompts"] if row["prompt"] == asked]
    pairs = other["answers"]
    assert len(pairs) == min(12, row["answers"])
    assert all(pair["before"]["text"] != pair["after"]["text"] for pair in pairs)


def test_the_prompts_differences_add_up_to_the_stacks_effect(asking: Asking, kept: Workspace) -> None:
    found = asking(kept).get(f"/sessions/{session_of(kept)}/stacks/1.json?prompts=all").json()
    target = [row["change"] for row in found["prompts"] if row["category"] == found["stack"]["target"]]
    effect = pytest.approx(found["stack"]["effect"]["delta"])
    assert sum(target) / len(target) == effect
    pairs = [pair["change"] for pair in found["pairs"]]
    assert pairs == pytest.approx([pair["difference"] for pair in found["stack"]["replicates"]])
    assert sum(pairs) / len(pairs) == effect


def test_the_baseline_has_its_scores_seed_by_seed(asking: Asking, kept: Workspace) -> None:
    record = load_record(kept, None)
    found = data(asking(kept), f"/sessions/{record.session.id}/decisions/baseline")["baseline"]
    assert [one["seed"] for one in found] == [reading.seed for reading in record.baseline_readings]
    for one, reading in zip(found, record.baseline_readings, strict=True):
        assert list(one["means"]) == ["lists", "arithmetic", "overall"]
        assert one["means"]["lists"] == pytest.approx(reading.mean("lists"))


def test_a_change_that_was_not_confirmed_shows_the_probes_that_carried_it(asking: Asking, fruitless: Workspace) -> None:
    record, client = load_record(fruitless, None), asking(fruitless)
    decision = next(one for one in record.decisions_on_changes if one.basis and one.basis.stack is None)
    address = f"/sessions/{record.session.id}/decisions/{decision.id.rpartition('-')[2]}"
    found = data(client, address)
    assert found["pairs"]
    assert {pair["recipe"] for pair in found["pairs"]} <= set(record.carriers[decision.id])
    assert {pair["seed"] for pair in found["pairs"]} <= {wave.seed for wave in record.waves}
    assert "carries other changes too" in client.get(address).text


def test_the_report_is_that_of_the_command(asking: Asking, kept: Workspace) -> None:
    client, session = asking(kept), session_of(kept)
    found, record = data(client, f"/sessions/{session}/report"), load_record(kept, session)
    assert found == report_data(record)
    page = parsed(client.get(f"/sessions/{session}/report").text)
    links = {link.attributes["href"] for link in page.all("a")}
    assert f"/sessions/{session}/decisions/001" in links
    assert [one.text for one in page.with_id("main").all("h1")] == [f"Session {session}: 2 of 2 changes kept for lists"]


@pytest.fixture(scope="module")
def taken_back(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A night whose KEEPs are retracted, because they do not hold on the holdout prompts."""
    text = nights.governed(nights.TWO_KNOBS, holdout_seeds="4")
    return nights.night(tmp_path_factory.mktemp("taken"), text, world=nights.LYING, probes=60, step=nights.hasty())


def every_page(client: TestClient, workspace: Workspace) -> list[str]:
    """The statuses of the decisions, each of which has its page; so has each stack."""
    record = load_record(workspace, None)
    root, found = f"/sessions/{record.session.id}", list[str]()
    for decision in record.decisions:
        address = f"{root}/decisions/{decision.id.removeprefix(f'{record.session.id}-')}"
        page = parsed(client.get(address).text)
        assert decision.status in page.all("h1")[0].text
        assert data(client, address)["decision"]["reason"] == decision.reason
        found.append(decision.status)
    for stack in record.stacks:
        assert f"Stack {stack.number}" in parsed(client.get(f"{root}/stacks/{stack.number}").text).all("h1")[0].text
    for path in ("", "/stacks", "/knobs", "/report"):
        assert parsed(client.get(f"{root}{path}").text).all("h1"), path
    return found


def test_decisions_of_every_kind_have_pages(asking: Asking, fragile: Workspace, taken_back: Workspace) -> None:
    assert "CRASH" in every_page(asking(fragile), fragile)
    crashed = next(one.id for one in load_record(fragile, None).decisions if one.status == "CRASH")
    session, _, number = crashed.rpartition("-")
    assert "(diverged)" in parsed(asking(fragile).get(f"/sessions/{session}/decisions/{number}").text).text
    client, record = asking(taken_back), load_record(taken_back, None)
    assert "RETRACT" in every_page(client, taken_back)
    for decision in record.retractions.values():
        number = decision.id.removeprefix(f"{record.session.id}-")
        found = data(client, f"/sessions/{record.session.id}/decisions/{number}")
        assert data(client, f"/sessions/{record.session.id}/decisions/{found['takes_back']}")["taken_back"] == number
        assert "On the holdout prompts" in client.get(f"/sessions/{record.session.id}/decisions/{number}").text


def test_a_session_of_an_older_version_has_pages(asking: Asking, kept: Workspace, tmp_path: Path) -> None:
    shutil.copytree(kept.root.parent, tmp_path / "older")
    workspace = Workspace(tmp_path / "older" / "workspace")
    nights.older(workspace)
    assert every_page(asking(workspace), workspace) == ["BASELINE", "KEEP", "KEEP"]


def test_knobs_are_tried_or_remain(asking: Asking, kept: Workspace, fruitless: Workspace) -> None:
    lanes = data(asking(kept), f"/sessions/{session_of(kept)}/knobs")["lanes"]
    states = {knob["knob"]: {one["value"]: one["state"] for one in knob["values"]} for knob in lanes[0]["knobs"]}
    assert states["beta"] == {"0.1": "start", "0.2": "stands"}
    lanes = data(asking(fruitless), f"/sessions/{session_of(fruitless)}/knobs")["lanes"]
    found = {
        (knob["knob"], one["value"]): one["number"]
        for lane in lanes
        for knob in lane["knobs"]
        for one in knob["values"]
    }
    record = load_record(fruitless, None)
    last = {}
    for decision in record.decisions_on_changes:
        proposal = record.proposals[decision.id]
        last[proposal.knob, shown(proposal.after)] = decision.id.rpartition("-")[2]
    assert last
    assert {place: number for place, number in found.items() if number} == last


def test_a_running_session_shows_its_probes_and_its_budget(asking: Asking, tmp_path: Path) -> None:
    workspace = nights.night(tmp_path, nights.governed(nights.TWO_KNOBS), probes=20, step=nights.hasty(), stop_after=1)
    client, session = asking(workspace), session_of(workspace)
    stopped = data(client, f"/sessions/{session}")
    assert stopped["session"]["state"] == "interrupted"
    assert "nightlane resume" in stopped["go_on"]
    with workspace.held():
        holder = workspace.holder()
        probe = {"id": "p", "seed": 7, "phase": "training", "step": 5, "steps": 20, "loss": 0.5}
        times = {"phase_began": 0.0, "seen": 0.0, "seconds_per_step": 1e9}
        batch = {
            "process": holder,
            "title": "wave 1",
            "probes": [probe | times],
            "workers": [
                {"number": 0, "state": "given up", "probes": [], "failures": 5},
                {"number": 1, "state": "busy", "probes": ["p"], "failures": 0},
            ],
            "waiting": 2,
            "done": 1,
            "typical": None,
        }
        (workspace.session(session) / FILE).write_text(json.dumps(batch), encoding="utf-8")
        found = data(client, f"/sessions/{session}")
        assert (found["session"]["state"], found["session"]["holder"]) == ("running", holder)
        [live] = found["live"]["batch"]["probes"]
        assert {name: live[name] for name in probe} == probe
        assert (live["share"], live["worker"]) == (0.25, 1)
        [other] = found["live"]["batch"]["other_workers"]
        assert (other["number"], other["state"]) == (0, "given up")
        assert "given up after 5 failures in a row" in client.get(f"/sessions/{session}").text
        assert "20 probes" in found["live"]["budget_left"]
        (workspace.session(session) / FILE).write_text('{"process"', encoding="utf-8")
        assert data(client, f"/sessions/{session}")["live"]["batch"] is None


def test_a_paused_session_shows_what_a_person_asked(asking: Asking, tmp_path: Path) -> None:
    workspace = nights.night(tmp_path, nights.governed(nights.TWO_KNOBS), probes=20, step=nights.hasty(), stop_after=1)
    paused(workspace)
    client, session = asking(workspace), session_of(workspace)
    live = data(client, f"/sessions/{session}")["live"]
    assert live["held"] == "paused; nightlane continue goes on"
    assert [(one["number"], one["asked"], one["answer"]) for one in live["waiting"]] == [
        (2, 'note "mind <b>the</b> guard"', "")
    ]
    page = client.get(f"/sessions/{session}").text
    assert "paused; nightlane continue goes on" in page
    assert "<b>the</b>" not in page
    report = client.get(f"/sessions/{session}/report").text
    assert "Requests of a person" in report
    assert "not taken yet" in report


def test_a_copy_of_runs_that_may_only_be_read_shows_the_same(asking: Asking, kept: Workspace, tmp_path: Path) -> None:
    session = session_of(kept)
    shutil.copytree(kept.runs, tmp_path / "copy" / "runs", ignore=shutil.ignore_patterns("*-shm", "*-wal"))
    copy = Workspace(tmp_path / "copy")
    before = sorted(path.name for path in copy.runs.iterdir())
    for path in ("", "/decisions/001", "/stacks/1", "/knobs"):
        mine, theirs = (data(asking(one), f"/sessions/{session}{path}") for one in (kept, copy))
        for found in (mine, theirs):
            found.pop("go_on", None)
            found.pop("asked", None)  # the study's prompts stayed behind
        assert mine == theirs
    assert [
        name for name in sorted(path.name for path in copy.runs.iterdir()) if "-shm" not in name and "-wal" not in name
    ] == before


def test_probes_that_are_gone_or_torn_leave_the_rest(asking: Asking, kept: Workspace, tmp_path: Path) -> None:
    shutil.copytree(kept.root, tmp_path / "workspace")
    workspace, session = Workspace(tmp_path / "workspace"), session_of(kept)
    for place, folder in enumerate(sorted(workspace.runs.glob("probe-*"))):
        if place % 2:
            shutil.rmtree(folder)
        else:
            (folder / "train.jsonl").write_text('{"step": 1, "loss": 0.5}\n{"step": 2, "lo', encoding="utf-8")
    client = asking(workspace)
    found = data(client, f"/sessions/{session}/decisions/001")
    assert found["decision"]["status"] == "KEEP"
    assert any(pair["difference"] is None for pair in found["decision"]["stack"]["replicates"])
    for path in ("", "/decisions/001", "/stacks", "/stacks/1", "/report"):
        assert client.get(f"/sessions/{session}{path}").status_code == 200


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("?sort=colour", "colour is not a column"),
        ("?page=x", "page=x is not a page number"),
        ("?colour=red", "colour is not a parameter"),
        ("/decisions/099", "there is no decision 099"),
        ("/stacks/9", "there is no stack 9"),
        ("/decisions/001?prompt=nothing", "choose one of the table"),
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(asking: Asking, kept: Workspace, path: str, said: str) -> None:
    address, _, parameters = path.partition("?")
    root = f"/sessions/{session_of(kept)}{address}"
    answer = asking(kept).get(f"{root}.json{'?' if parameters else ''}{parameters}")
    assert answer.status_code == 404
    assert said in answer.json()["error"]


def test_reports_of_evaluations_and_promotions_have_pages(asking: Asking, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "promotion-1"
    folder.mkdir(parents=True)
    (folder / "report.md").write_text(
        "# It holds\n\nAll of it.\n\n## Guards <b>\n\n| a |\n|---|\n| 1 |\n", encoding="utf-8"
    )
    client = asking(Workspace(tmp_path))
    [found] = data(client, "/reports")["others"]
    assert (found["name"], found["title"], found["kind"]) == ("promotion-1", "It holds", "promotion")
    page = parsed(client.get("/reports/promotion-1").text)
    assert [one.text for one in page.all("h2")] == ["Guards <b>"]
