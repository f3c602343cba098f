"""Whole sessions whose answers are judged over HTTP: with every fault, without money, without an endpoint, and with a
judge that changes."""

import json
import shutil
from pathlib import Path
from typing import Any

import judged
import pytest

from agent.ledger.store import Ledger
from agent.study.load import load_study
from agent.workspace.folder import Workspace
from common.errors import EndpointUnavailable, JudgeUnfit
from probes.endpoint.spending import spent_on_judging
from testing.scripted_endpoint.faults import FAULTS
from testing.scripted_endpoint.server import ScriptedEndpoint
from view.data.session_record import load_record
from view.report.report import report_data

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread", "forked_workers")]


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A study's folder of its own."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "study"))


@pytest.fixture(scope="module")
def undisturbed(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> list[tuple[Any, ...]]:
    """The rows of a session whose judge answers everything."""
    place = tmp_path_factory.mktemp("undisturbed")
    folder = Path(shutil.copytree(tiny_folder, place / "study"))
    study = judged.write_study(folder)
    with pytest.MonkeyPatch.context() as patch, judged.judge(folder, patch) as endpoint:
        judged.run_here(patch)
        judged.play(study, place / "clean")
        assert not endpoint.faults
    return judged.gist(place / "clean")


def data_of(workspace: Path) -> dict[str, Any]:
    return report_data(load_record(Workspace(workspace), None))


def questions(endpoint: ScriptedEndpoint) -> list[str]:
    """What the judge was asked about the study's prompts, not about its calibration."""
    asked = [request["messages"][-1]["content"] for request in endpoint.requests]
    return [content for content in asked if "for probe" in content]


@pytest.mark.long
def test_a_session_with_every_fault_ends_with_the_figures_it_would_have_had_without(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: list[tuple[Any, ...]]
) -> None:
    study = judged.write_study(folder)
    with judged.judge(folder, monkeypatch, faults=0.9) as endpoint:
        judged.play(study, tmp_path / "faulty")  # with a real worker
        made = endpoint.faults
    assert judged.gist(tmp_path / "faulty") == undisturbed
    assert len(undisturbed) == 4
    assert set(made) == set(FAULTS)
    found = data_of(tmp_path / "faulty")["judging"]
    assert found["missing"] == 0
    assert found["answers"] >= 3 * 2 * 16
    assert found["answers"] % 16 == 0
    assert [row["passed"] for row in found["examined"]] == [True, True]


@pytest.mark.long
def test_judging_stops_before_the_budget_is_exceeded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged.run_here(monkeypatch)
    prices = "dollars_per_million_input = 1000.0\ndollars_per_million_output = 3000.0\nmax_tokens = 64"
    study = judged.write_study(folder, prices, "dollars = 7.0")
    with judged.judge(folder, monkeypatch) as endpoint:
        session = judged.play(study, tmp_path / "night")
        asked = len(questions(endpoint))
    spent = spent_on_judging(tmp_path / "night" / "runs" / "judging.sqlite", session)
    assert 4 < spent <= 7
    assert 0 < asked < 3 * 2 * 16
    log = judged.log_of(tmp_path / "night")
    assert "END judging may cost $7.00 in this session and the next call could pass that" in log
    figures = data_of(tmp_path / "night")
    assert figures["cost"]["dollars"] == pytest.approx(spent)
    assert (tmp_path / "night" / "runs" / f"session-{session}" / "report.md").exists()


@pytest.mark.long
def test_an_endpoint_that_is_down_is_waited_for_visibly(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: list[tuple[Any, ...]]
) -> None:
    judged.run_here(monkeypatch)
    study = judged.write_study(folder)
    with judged.judge(folder, monkeypatch) as endpoint:
        up = endpoint.replies[0]
        away = type(up)(status=503, headers={"x-should-retry": "false"})
        endpoint.restart([*[up] * 30, *[away] * 6, up])
        judged.play(study, tmp_path / "night")
    assert judged.gist(tmp_path / "night") == undisturbed
    log = judged.log_of(tmp_path / "night")
    assert "the judge's endpoint does not answer (InternalServerError: Error code: 503" in log
    assert "the judge's endpoint answers again after" in log


@pytest.mark.long
def test_a_key_that_is_no_longer_taken_stops_at_once_and_nothing_is_paid_twice(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged.run_here(monkeypatch)
    study = judged.write_study(folder, "concurrency = 1")
    with judged.judge(folder, monkeypatch) as endpoint:
        up = endpoint.replies[0]
        endpoint.restart([*[up] * 30, type(up)(status=401)])
        with pytest.raises(EndpointUnavailable, match="401"):
            judged.play(study, tmp_path / "night")
        assert "END" not in judged.log_of(tmp_path / "night")
        endpoint.restart([up])
        refused = questions(endpoint)[-1]
        judged.go_on(tmp_path / "night")
        asked = questions(endpoint)
    assert asked.count(refused) == 2
    assert len(asked) <= len(set(asked)) + 2  # the one that was refused, and one that was on its way with it
    assert " END " in judged.log_of(tmp_path / "night")


@pytest.mark.long
def test_a_judge_that_changes_in_mid_session_ends_the_comparison_epoch(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged.run_here(monkeypatch)
    study = judged.write_study(folder, "examine_every = 1")
    with judged.judge(folder, monkeypatch) as endpoint:
        decided = judged.Watching(lambda: judged.rewritten(endpoint, shift=0.06), after=1)
        session = judged.play(study, tmp_path / "night", watcher=decided, step=judged.LOWER, seed=4)
        before = load_study(study).material.key("here").scorer
        record = load_record(Workspace(tmp_path / "night"), session)
        assert record.session.finish_reason is not None
        assert "the judge has changed: its calibration moved by" in record.session.finish_reason
        assert "decisions 1 to 1 were made since it last passed" in record.session.finish_reason
        assert "comparison epoch 1 ends here and the next session begins epoch 2" in record.session.finish_reason
        assert [row.passed for row in record.examinations] == [True, False]
        assert len(record.decisions_on_changes) == 2  # the second is on what was measured before
        again = judged.play(study, tmp_path / "night", decisions=1)
    with Ledger(tmp_path / "night" / "runs" / "ledger.sqlite", read_only=True) as ledger:
        first, second = ledger.session(session), ledger.session(again)
        measured = ledger.probes(again)
    assert first is not None
    assert second is not None
    assert first.key != second.key
    assert load_study(study).material.key("here").scorer == before
    assert len(measured) >= 4
    assert {probe.key for probe in measured} == {second.key}
    report = (tmp_path / "night" / "runs" / f"session-{session}" / "report.md").read_text(encoding="utf-8")
    assert "It failed after 1 decision: its calibration moved by" in report


@pytest.mark.long
def test_an_endpoint_that_is_gone_at_the_end_does_not_keep_the_session_open(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged.run_here(monkeypatch)
    study = judged.write_study(folder, "patience = 0.3")
    with judged.judge(folder, monkeypatch) as endpoint:
        gone = type(endpoint.replies[0])(status=503)
        watching = judged.Watching(lambda: endpoint.restart([gone] * 1000), after=2)
        session = judged.play(study, tmp_path / "night", watcher=watching)
    record = load_record(Workspace(tmp_path / "night"), session)
    assert record.state == "finished"
    assert "JUDGE not examined at the end, since" in judged.log_of(tmp_path / "night")


@pytest.mark.long
def test_an_outage_in_an_examination_ends_with_the_hours(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged.run_here(monkeypatch)
    study = judged.write_study(folder, "examine_every = 1", "hours = 0.003")
    with judged.judge(folder, monkeypatch) as endpoint:
        gone = type(endpoint.replies[0])(status=503)
        watching = judged.Watching(lambda: endpoint.restart([gone] * 1000), after=2)
        session = judged.play(study, tmp_path / "night", watcher=watching, step=judged.HIGHER)
    record = load_record(Workspace(tmp_path / "night"), session)
    assert record.session.finish_reason is not None
    assert "hours spent, the budget is 0.003" in record.session.finish_reason
    assert "the judge's endpoint does not answer" in judged.log_of(tmp_path / "night")


@pytest.mark.long
def test_a_session_whose_epoch_ended_meanwhile_is_closed_and_says_so(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged.run_here(monkeypatch)
    study = judged.write_study(folder)

    def interrupt() -> None:
        raise KeyboardInterrupt

    with judged.judge(folder, monkeypatch) as endpoint:
        with pytest.raises(KeyboardInterrupt):
            judged.play(study, tmp_path / "one", watcher=judged.Watching(interrupt, after=1))
        judged.rewritten(endpoint, shift=0.06)
        before = len(load_record(Workspace(tmp_path / "one"), None).decisions)
        judged.play(study, tmp_path / "other", decisions=1)
        session = judged.go_on(tmp_path / "one")
    record = load_record(Workspace(tmp_path / "one"), session)
    assert record.session.finish_reason == (
        "comparison epoch 1 ended (another session found that the judge had changed), and nothing of this session can "
        "be compared with epoch 2"
    )
    assert len(record.decisions) == before


@pytest.mark.long
def test_a_judge_that_changed_between_sessions_begins_another_epoch(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged.run_here(monkeypatch)
    study = judged.write_study(folder)
    with judged.judge(folder, monkeypatch) as endpoint:
        judged.play(study, tmp_path / "night", decisions=1)
        judged.rewritten(endpoint, shift=-0.06)
        judged.play(study, tmp_path / "night", decisions=1)
    log = judged.log_of(tmp_path / "night")
    assert "this is another judge, epoch 2 begins, and nothing is compared with what was measured before" in log
    assert log.count("BASELINE baseline") == 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"shift": 0.4}, r"an empty answer got 4\.00 and at most 3 was wanted, .* and 4 more; name another model"),
        ({"judge": "hash", "known": ""}, "must pass its examination and .*; name another model"),
    ],
)
def test_a_judge_that_fails_its_examination_begins_no_session(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], told: str
) -> None:
    judged.run_here(monkeypatch)
    study = judged.write_study(folder)
    with judged.judge(folder, monkeypatch, **change), pytest.raises(JudgeUnfit, match=told):
        judged.play(study, tmp_path / "night")
    assert not (tmp_path / "night" / "results.tsv").exists()


@pytest.mark.long
def test_decisions_may_rest_on_choices_between_answers(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged.run_here(monkeypatch)
    study = judged.write_study(folder, "pairwise = true")
    with judged.judge(folder, monkeypatch) as endpoint:
        session = judged.play(study, tmp_path / "night", step=judged.HIGHER)
        both = [json.loads(content.rpartition("\n")[2]) for content in questions(endpoint)]
    chosen = {(asked["prompt"], asked["first"], asked["second"]) for asked in both if "first" in asked}
    assert chosen
    assert {(prompt, second, first) for prompt, first, second in chosen} == chosen
    decisions = load_record(Workspace(tmp_path / "night"), session).decisions_on_changes
    compared = [decision.comparison for decision in decisions if decision.comparison is not None]
    assert compared
    for comparison in compared:
        tally, effect, choices = comparison.tally, comparison.differences["overall"], 16 * len(comparison.seeds)
        assert tally is not None
        assert tally.won + tally.lost + tally.tied == choices
        assert effect.delta == pytest.approx(10 * (tally.won - tally.lost) / choices)
        assert effect.candidate + effect.baseline == pytest.approx(10)
    report = (tmp_path / "night" / "runs" / f"session-{session}" / "report.md").read_text(encoding="utf-8")
    assert "Choices between the candidate's answers and the incumbent's" in report
