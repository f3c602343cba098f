"""TRAINING and RL DATA, as a program asks for them: what each page says, as HTML and as JSON."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import finetune_workspace
import pytest
from finetune_workspace import DRIFTED, NOTE, SCRIPT, SCRIPTED
from some_rows import pair, reward
from starlette.testclient import TestClient

from agent.workspace.folder import Workspace
from preferences.store.stores import Stores
from testing.workspace_files import write_curve
from view.server.app import create_app

PORT = 8123
HERE = f"http://127.0.0.1:{PORT}"


def client(root: Path) -> TestClient:
    headers = {"Authorization": "Bearer secret", "Origin": HERE}
    return TestClient(create_app(Workspace(root), "secret", PORT), base_url=HERE, headers=headers)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finetune_workspace.make(tmp_path_factory.mktemp("finetune")).root


@pytest.fixture(scope="module")
def pages(root: Path) -> Iterator[TestClient]:
    with client(root) as asked:
        yield asked


@pytest.fixture
def own(tmp_path: Path) -> Iterator[TestClient]:
    """A workspace to vote in."""
    with client(finetune_workspace.make(tmp_path).root) as asked:
        yield asked


def data(pages: TestClient, address: str) -> dict[str, Any]:
    answer = pages.get(address)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_every_run_of_the_workspace_is_listed_with_its_state(pages: TestClient) -> None:
    found = data(pages, "/training.json")
    runs = {run["name"]: run for run in found["runs"]}
    assert {name: (run["status"], run["done"], run["steps"]) for name, run in runs.items()} == {
        "finetune-0a1b2c3d4e5f": ("COMPLETE", 40, 40),
        "collapsed": ("FAILED", 12, 40),
        "interrupted": ("STOPPED", 20, 40),
        "cut-off": ("STOPPED", 7, 40),
    }
    complete = runs["finetune-0a1b2c3d4e5f"]
    assert (complete["model"], complete["epochs"], complete["seconds"]) == ("Qwen/Qwen3-4B", 2.0, 75.0)
    assert complete["final"]["loss"] == pytest.approx(0.42)
    assert runs["cut-off"]["epochs"] == pytest.approx(0.35)
    assert [probe["status"] for probe in found["probes"]] == ["COMPLETE"]
    page = pages.get("/training").text
    assert '<span class="badge complete">COMPLETE</span>' in page
    assert "40 of 40" in page
    assert "1 min 15 s" in page


def test_a_run_that_trains_is_running_until_its_process_ends(tmp_path: Path) -> None:
    workspace = finetune_workspace.make(tmp_path)
    with client(workspace.root) as pages, finetune_workspace.training(workspace.root) as folder:
        found = data(pages, "/training/runs/tonight.json")["run"]
        assert (found["status"], found["done"], found["seconds_left"]) == ("RUNNING", 5, 17.5)
        write_curve(folder, [6], 40)
        assert data(pages, "/training/runs/tonight.json")["run"]["done"] == 6
    with client(workspace.root) as pages:
        found = data(pages, "/training/runs/tonight.json")["run"]
        assert (found["status"], "--resume" in found["why"]) == ("STOPPED", True)


def test_a_run_has_four_charts_of_its_figures_and_says_why_it_failed(pages: TestClient) -> None:
    page = pages.get("/training/runs/collapsed").text
    assert all(f'id="chart-{name}"' in page for name in ("loss", "token_accuracy", "grad_norm", "learning_rate"))
    assert "The loss is nan at step 12" in page
    curves = data(pages, "/training/runs/collapsed.json")["curves"]
    assert curves["loss"]["step"] == list(range(1, 13))
    assert curves["grad_norm"]["value"][0] == 1.6


def test_runs_and_probes_are_compared_in_one_page(pages: TestClient) -> None:
    probe = data(pages, "/training.json")["probes"][0]["name"]
    found = data(pages, f"/training/compare.json?run=collapsed&run={probe}&scale=log")
    assert list(found["curves"]) == ["collapsed", probe]
    for address, told in (
        ("/training/compare", "0 were chosen"),
        ("/training/compare?run=collapsed&scale=odd", "linear, log"),
        ("/training/runs/nothing", "there is no training run"),
        ("/training/compare?run=..", "there is no training run"),
    ):
        assert told in pages.get(address).text, address


def test_each_store_has_a_tab_with_its_number_of_rows(pages: TestClient) -> None:
    found = data(pages, "/rl-data.json")
    assert found["store"] == "preference"
    assert found["counts"] == {"preference": 1, "reward": 2, "dpo": 30, "orpo": 1}
    page = pages.get("/rl-data/dpo").text
    assert 'DPO <span class="count">30</span>' in page


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("category=lists", [SCRIPTED]),
        ("source=web", [SCRIPTED]),
        ("state=accepted", [5]),
        ("state=dropped", [6]),
        ("state=topic+drift", [DRIFTED]),
        ("low=3.85", [1, 0]),
        ("high=1.15&order=lowest+margin", [29]),
        ("text=RETURN+X+*+17", [17]),
        ("text=%3C/PRE%3E", [SCRIPTED]),
        ("text=chosen", []),
    ],
)
def test_rows_are_found_by_each_filter(pages: TestClient, query: str, numbers: list[int]) -> None:
    found = data(pages, f"/rl-data/dpo.json?{query}")
    scripted = next(row["id"] for row in data(pages, "/rl-data/dpo.json?source=web")["rows"])
    ids = [scripted if number == SCRIPTED else pair(number).id for number in numbers]
    assert [row["id"] for row in found["rows"]] == ids
    assert found["matching"] == len(ids)


def test_a_filter_that_is_no_filter_is_told(pages: TestClient) -> None:
    for query, told in (
        ("state=odd", "use one of all, live"),
        ("low=much", "is not a number"),
        ("page=9", "give 1 to"),
    ):
        answer = pages.get(f"/rl-data/dpo?{query}")
        assert answer.status_code == 404
        assert told in answer.text


def test_a_long_store_comes_in_pages(pages: TestClient) -> None:
    rows = [row["id"] for page in (1, 2, 3) for row in data(pages, f"/rl-data/dpo.json?page={page}")["rows"]]
    assert len(rows) == len(set(rows)) == 30
    assert rows[-1] == pair(0).id, "the oldest stands last"


def test_a_pair_has_its_sides_its_reasons_and_what_made_it(pages: TestClient) -> None:
    row = data(pages, "/rl-data/dpo.json?source=web")["rows"][0]
    assert row["reasons"]["rejected"] == {
        "critical failure": "leaks the answer",
        "outcome": "NAME_ERROR",
        "note": NOTE,
    }
    page = pages.get(f"/rl-data/dpo/{row['id']}").text
    for told in ("score 7.60", "score 4.00", "leaks the answer", "brief", "/sessions/s1/decisions/001"):
        assert told in page
    assert SCRIPT not in page
    assert "&lt;script&gt;" in page
    drifted = pages.get(f"/rl-data/dpo/{pair(DRIFTED).id}").text
    assert "Topic drift: 0.80 near to" in drifted
    assert "text gate: refused" in drifted
    assert pages.get(f"/rl-data/orpo/{pair(DRIFTED).id}").status_code == 404
    assert "completion" in pages.get(f"/rl-data/reward/{reward(1).id}").text


def cast(pages: TestClient, choice: str, row: str, **more: str) -> Any:
    form = {"row": row, "choice": choice, **more}
    return pages.post("/votes", data=form, headers={"Accept": "application/json"})


def test_votes_land_in_the_store_and_the_filters_follow(own: TestClient, tmp_path: Path) -> None:
    row = pair(9).id
    assert cast(own, "flip", row, by="bob").json()["flipped"]
    shown = data(own, f"/rl-data/dpo/{row}.json")["row"]
    assert (shown["chosen_score"], shown["rejected_score"]) == (4.0, 7.1)
    assert [one["id"] for one in data(own, "/rl-data/dpo.json?state=flipped")["rows"]] == [row]
    assert cast(own, "drop", row, by="bob").json()["dropped"]
    assert cast(own, "up", row, by="bob").json()["up"] == 1
    stored = (tmp_path / "runs" / "rl_data" / "votes.jsonl").read_text(encoding="utf-8").splitlines()
    assert [("bob" in line, row in line) for line in stored[-3:]] == [(True, True)] * 3
    assert not cast(own, "clear", row, by="bob").json()["dropped"]
    back = own.post("/votes", data={"row": row, "choice": "up", "back": "/rl-data/dpo?page=2"}, follow_redirects=False)
    assert (back.status_code, back.headers["location"]) == (303, "/rl-data/dpo?page=2")


def test_a_vote_that_breaks_a_law_is_refused_in_one_sentence(own: TestClient) -> None:
    for choice, row, told in (
        ("flip", pair(2, "orpo").id, "passed the gate"),
        ("flip", reward(1).id, "no sides to flip"),
        ("up", "nothing", "there is no row"),
        ("odd", pair(1).id, "is not known"),
    ):
        answer = cast(own, choice, row)
        assert answer.status_code == 400
        assert told in answer.json()["error"]
    foreign = own.post("/votes", data={"row": pair(1).id, "choice": "drop"}, headers={"Origin": "http://evil.example"})
    assert foreign.status_code == 403


def test_a_damaged_line_and_half_a_line_leave_all_others_shown(own: TestClient, tmp_path: Path) -> None:
    path = tmp_path / "runs" / "rl_data" / "dpo.jsonl"
    first, *others = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text(first + "garbage\n" + "".join(others)[:-9], encoding="utf-8")
    found = data(own, "/rl-data/dpo.json")
    assert found["counts"]["dpo"] == 29
    assert "1 line of" in own.get("/rl-data/dpo").text
    path.write_text(first.replace("return x", "return y") + "".join(others), encoding="utf-8")
    assert "is not shown" in own.get("/rl-data/dpo?order=oldest").text


def test_an_empty_workspace_says_what_to_run(tmp_path: Path) -> None:
    with client(tmp_path) as pages:
        assert "nightlane finetune STUDY" in pages.get("/training").text
        assert "nightlane pairs import FILE --kind dpo" in pages.get("/rl-data/dpo").text


def test_a_run_that_has_just_begun_says_that_it_has_no_curve_yet(tmp_path: Path) -> None:
    workspace = finetune_workspace.make(tmp_path)
    finetune_workspace.run(workspace.root / "begun", 40, 0, None)
    with client(workspace.root) as pages:
        assert "has no whole row" in pages.get("/training/runs/begun").text
        assert data(pages, "/training/runs/begun.json")["curves"]["loss"] == {"step": [], "value": []}


def test_a_secret_in_an_answer_is_shown_to_nobody(own: TestClient, tmp_path: Path) -> None:
    secret = "sk-proj-" + "a1B2c3D4" * 6
    row = pair(31, texts=(f"key = '{secret}'", "return 1"))
    Stores(tmp_path / "runs" / "rl_data").add([row])
    for address in (f"/rl-data/dpo/{row.id}", f"/rl-data/dpo/{row.id}.json", "/rl-data/dpo", "/rl-data/dpo.json"):
        answer = own.get(address)
        assert answer.status_code == 200
        assert secret not in answer.text
    assert secret not in cast(own, "up", row.id).text
