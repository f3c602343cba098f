"""A clock that is set back or forward: budgets, active hours and the order of sessions do not go by it."""

import itertools
import time as real_time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from long_cases import all_but
from sessions import go_on, interrupted, ledger_of, play

from agent.ledger.store import Ledger
from agent.loop import measurements
from agent.loop.nodes import Session
from agent.study.load import Study, load_study
from agent.workspace.folder import Workspace
from probes.endpoint.spending import Allowance
from probes.scoring.judge.requests.cache import JudgeCache
from testing import simulated_study
from view.terminal.status import session_status, status_text

SEED = 2  # of a session whose first changes are decided on


DAY = 86400.0


@pytest.fixture
def study(tmp_path: Path) -> Study:
    text = simulated_study.STUDY.replace("decisions = 8", "decisions = 8\nprobes = 26\nhours = 1000")
    return load_study(simulated_study.write_study(tmp_path / "study", text))


def clocks(monkeypatch: pytest.MonkeyPatch, wall: Iterator[float], step: float) -> None:
    """A wall clock that says these times, and hours that pass by ``step`` seconds a look."""
    passed = itertools.count(0.0, step)
    fake = SimpleNamespace(time=lambda: next(wall), monotonic=lambda: next(passed), sleep=real_time.sleep)
    monkeypatch.setattr(measurements, "time", fake)


def jumping(to: float) -> Iterator[float]:
    """The clock is right when the session begins, and moved by so much from then on."""
    began = real_time.time()
    return itertools.chain([began], itertools.count(began + to, 1.0))


@pytest.mark.parametrize("moved", all_but([-DAY], [-DAY, DAY]))
def test_a_clock_that_jumps_neither_gives_hours_nor_takes_them(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: float
) -> None:
    clocks(monkeypatch, jumping(moved), 0.5)
    play(study, tmp_path, seed=SEED, decisions=2, hours=20.0)
    with ledger_of(tmp_path) as ledger:
        row = ledger.session()
        assert row is not None
        assert row.finish_reason == "2 decisions made, the budget", "a day that did not pass ends no night"
        assert 0 < ledger.active_seconds(row.id) < 3600
    assert "active 0.0" in status_text(session_status(Workspace(tmp_path), None))


def test_the_report_counts_the_time_of_the_last_check(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed, close, active = [0.0], Session.close, list[float]()

    def written(name: str) -> None:
        with ledger_of(tmp_path) as ledger:
            active.append(ledger.active_seconds(name))

    def closes(session: Session, reason: str) -> None:
        passed[0] += 100.0
        monkeypatch.setattr(session, "write_report", written)
        close(session, reason)

    fake = SimpleNamespace(time=real_time.time, monotonic=lambda: passed[0], sleep=real_time.sleep)
    monkeypatch.setattr(measurements, "time", fake)
    monkeypatch.setattr(Session, "close", closes)
    play(study, tmp_path, seed=SEED, decisions=2)
    assert active == [pytest.approx(100.0)]


def test_the_hours_of_the_budget_end_a_night_whose_clock_was_set_back(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clocks(monkeypatch, jumping(-DAY), 600.0)
    play(study, tmp_path, hours=2.0)
    with ledger_of(tmp_path) as ledger:
        row = ledger.session()
        assert row is not None
        assert "hours spent, the budget is 2" in str(row.finish_reason)


def test_a_resumed_period_counts_beside_the_first_though_the_clock_says_the_same_moment(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clocks(monkeypatch, itertools.repeat(1000.0), 10.0)
    interrupted(study, tmp_path, monkeypatch, 10)
    with ledger_of(tmp_path) as ledger:
        first = ledger.active_seconds(ledger.sessions()[0])
    go_on(tmp_path)
    with ledger_of(tmp_path) as ledger:
        assert ledger.active_seconds(ledger.sessions()[0]) > first + 100


def test_periods_of_an_older_version_that_ended_before_they_began_count_as_nothing(
    study: Study, tmp_path: Path
) -> None:
    session = play(study, tmp_path, decisions=1)
    with Ledger(tmp_path / "runs" / "ledger.sqlite") as ledger:
        before = ledger.active_seconds(session)
        ledger.mark_alive(session, 5 * DAY, 4 * DAY)
        assert ledger.active_seconds(session) == before >= 0
    assert "-24.00" not in status_text(session_status(Workspace(tmp_path), None))


def test_the_latest_session_is_the_one_that_began_last_whatever_the_clock_said(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = play(study, tmp_path, decisions=1)
    monkeypatch.setattr("agent.loop.start_or_resume.session.now", lambda: "2001-01-01T00:00:00Z")
    second = play(study, tmp_path, decisions=1)
    with ledger_of(tmp_path) as ledger:
        assert ledger.sessions() == [first, second]
        assert (latest := ledger.session()) is not None
        assert latest.id == second


def test_a_session_in_a_second_that_another_had_takes_another_name(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped:
        @staticmethod
        def now(_zone: Any) -> Any:
            return SimpleNamespace(strftime=lambda _form: "20010101-000000")

    monkeypatch.setattr("agent.loop.start_or_resume.session.datetime", Stopped)
    (tmp_path / "runs" / "session-20010101-000000-2").mkdir(parents=True)  # of a ledger that is gone
    names = [play(study, tmp_path, decisions=1) for _ in range(2)]
    assert names == ["20010101-000000", "20010101-000000-3"]


def test_what_the_machine_costs_goes_by_hours_that_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    allowance = Allowance(
        file=tmp_path / "judging.sqlite",
        session="s",
        dollars=10.0,
        dollars_per_hour=2.0,
        since=real_time.monotonic() - 3600,
    )
    monkeypatch.setattr(real_time, "time", lambda: 0.0)
    assert allowance.limit() == pytest.approx(8.0, abs=0.01)


@pytest.mark.parametrize("moved", [-1e6, 1e6])
def test_a_claim_from_before_the_machine_was_started_anew_binds_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: float
) -> None:
    cache, now = JudgeCache(tmp_path), real_time.monotonic()
    assert cache.claim(b"key", 30.0)
    assert not cache.claim(b"key", 30.0)
    monkeypatch.setattr(real_time, "monotonic", lambda: now + moved)
    assert cache.claim(b"key", 30.0)
    cache.close()
