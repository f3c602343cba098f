"""The ledger and the files that follow it."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_rows import SESSION, proposal, row

from agent.ledger.results.columns import COLUMNS, HEADER
from agent.ledger.results.files import publish
from agent.ledger.results.sheet import cell, row_text
from agent.ledger.store import Ledger
from agent.ledger.tables import CheckRow
from common.errors import BadInput
from probes.result.reading import Failure, Probe, ProbeKey
from view.data.results import read_results


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "runs" / "ledger.sqlite") as opened:
        opened.begin(SESSION, tiny.recipe())
        yield opened


def test_header_and_column_order_are_pinned() -> None:
    assert " ".join(COLUMNS) == (
        "time session id status lane knob before after steps seeds samples target baseline delta ci_low ci_high "
        "overall overall_delta worst_guard worst_guard_delta guards_ok critical_failures probe_seconds "
        "tokens_per_second peak_gb cost_usd proposer reason description worst_guard_low "
        "shrunk error_spent policy chance stack stack_delta stack_ci_low stack_ci_high"
    )


def test_the_ledger_is_durable_by_its_pragmas(ledger: Ledger, tmp_path: Path) -> None:
    assert ledger._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert ledger._db.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_every_write_may_be_done_twice(ledger: Ledger) -> None:
    for _ in range(2):
        ledger.begin(SESSION, tiny.recipe())
        ledger.record_proposal(proposal(1), tiny.recipe(beta=0.2))
        ledger.record_decisions([(row(1), "line")])
        ledger.record_event("n", "s1", "t", "note")
        ledger.finish("s1", "t", "first")
        ledger.finish("s1", "t", "second")
    assert len(ledger.decisions()) == len(ledger.proposals()) == 1
    assert [text for _, _, text in ledger.events()] == ["line", "note"]
    session = ledger.session("s1")
    assert session is not None
    assert session.finish_reason == "first"


def test_a_turn_keeps_the_proposal_it_had(ledger: Ledger) -> None:
    first = ledger.record_proposal(proposal(1), tiny.recipe(beta=0.2))
    again = ledger.record_proposal(proposal(1, id="other", after=0.3), tiny.recipe(beta=0.2))
    assert again == first == proposal(1)


def test_a_transaction_that_fails_leaves_nothing(ledger: Ledger) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        ledger.record_decisions([(replace(row(1), reason=None), "line")])  # type: ignore[arg-type]
    assert ledger.events() == []
    assert ledger.decisions() == []


def test_a_workspace_without_a_session_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="start one with nightlane run"):
        Ledger(tmp_path / "none.sqlite", read_only=True)


def test_files_follow_the_ledger_and_are_appended(ledger: Ledger, tmp_path: Path) -> None:
    publish(ledger, tmp_path)
    assert (tmp_path / "results.tsv").read_text(encoding="utf-8") == HEADER + "\n"
    for number in (1, 2):
        ledger.record_decisions([(row(number), f"line {number}")])
        inode = (tmp_path / "results.tsv").stat().st_ino
        publish(ledger, tmp_path)
        assert (tmp_path / "results.tsv").stat().st_ino == inode
    lines = (tmp_path / "results.tsv").read_text(encoding="utf-8").splitlines()
    assert [line.split("\t")[2] for line in lines[1:]] == ["s1-001", "s1-002"]
    log = (tmp_path / "runs" / "progress.log").read_text(encoding="utf-8")
    assert log == "2026-01-01T00:00:00Z s1 line 1\n2026-01-01T00:00:00Z s1 line 2\n"


@pytest.mark.parametrize(
    "damage", ["truncate", "delete", "double", "edit", "no header", "garbage tail", "torn", "crlf", "bom"]
)
def test_files_that_disagree_are_rebuilt_and_foreign_rows_left_alone(
    ledger: Ledger, tmp_path: Path, damage: str
) -> None:
    foreign = row_text({"time": "2025-01-01T00:00:00Z", "session": "other", "id": "other-001", "description": "kept"})
    for number in (1, 2, 3):
        ledger.record_decisions([(row(number), f"line {number}")])
    table, log = tmp_path / "results.tsv", tmp_path / "runs" / "progress.log"
    table.write_text(f"{HEADER}\n{foreign}\n", encoding="utf-8")
    log.write_text("2025-01-01T00:00:00Z other a line\n", encoding="utf-8")
    publish(ledger, tmp_path)
    good, good_log = table.read_text(encoding="utf-8"), log.read_text(encoding="utf-8")
    assert foreign in good
    lines = good.splitlines()
    damaged = {
        "truncate": "\n".join(lines[:-2]) + "\n",
        "delete": "\n".join([*lines[:3], *lines[4:]]) + "\n",
        "double": good + lines[-1] + "\n",
        "edit": good.replace("KEEP", "DISCARD"),
        "no header": "\n".join(lines[1:]) + "\n",
        "garbage tail": good[:-1],
        "torn": good[:-30],
        "crlf": good.replace("\n", "\r\n"),
        "bom": "\ufeff" + good,
    }[damage]
    table.write_bytes(damaged.encode())
    log.write_text(good_log[:-4], encoding="utf-8")
    publish(ledger, tmp_path)
    assert table.read_text(encoding="utf-8") == good
    assert log.read_text(encoding="utf-8") == good_log
    publish(ledger, tmp_path)
    assert table.read_text(encoding="utf-8") == good


def test_columns_that_a_person_added_at_the_right_stay_with_their_rows(ledger: Ledger, tmp_path: Path) -> None:
    for number in (1, 2):
        ledger.record_decisions([(row(number), f"line {number}")])
    publish(ledger, tmp_path)
    table = tmp_path / "results.tsv"
    lines = table.read_text(encoding="utf-8").splitlines()
    table.write_text("\n".join([f"{lines[0]}\tnote", f"{lines[1]}\tlook again", lines[2]]) + "\n", encoding="utf-8")
    ledger.record_decisions([(row(3), "line 3")])
    publish(ledger, tmp_path)
    (tmp_path / "results.tsv").write_bytes(table.read_bytes().replace(b"\n", b"\r\n"))
    publish(ledger, tmp_path)
    after = table.read_text(encoding="utf-8").splitlines()
    assert after[:3] == [f"{lines[0]}\tnote", f"{lines[1]}\tlook again", lines[2]]
    assert [line.split("\t")[2] for line in after[1:]] == ["s1-001", "s1-002", "s1-003"]


TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)


@settings(max_examples=60)
@given(rows=st.lists(st.tuples(TEXTS, st.one_of(st.none(), st.floats(-1e6, 1e6), st.integers(-99, 99))), max_size=6))
def test_any_text_survives_as_one_cell_and_pandas_reads_it_back(
    rows: list[tuple[str, Any]], tmp_path_factory: Any
) -> None:
    folder = tmp_path_factory.mktemp("tsv")
    lines = [row_text({"session": "s1", "id": f"r{i}", "delta": d, "description": t}) for i, (t, d) in enumerate(rows)]
    path = folder / "results.tsv"
    path.write_bytes("".join(f"{line}\n" for line in [HEADER, *lines]).encode())
    table = read_results(path)
    assert list(table.columns) == list(COLUMNS)
    assert len(table) == len(rows)
    for index, (text, delta) in enumerate(rows):
        assert table["description"][index] == cell(text)
        if delta is None:
            assert pandas.isna(table["delta"][index])
        else:
            assert table["delta"][index] == pytest.approx(delta, rel=1e-5)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("=SUM(A1)", "'=SUM(A1)"),
        ("+1", "'+1"),
        ("-x", "'-x"),
        ("@cmd", "'@cmd"),
        ("a\tb\nc\r\x85d\u2028e", "a b c  d e"),
        (-0.25, "-0.25"),
        (1e-05, "1e-05"),
        (None, ""),
        (True, "yes"),
        ("NA", "NA"),
        ("\ud800x", "?x"),
    ],
)
def test_cells_are_safe_in_a_spreadsheet(value: Any, shown: str) -> None:
    assert cell(value) == shown


def test_active_time_leaves_out_pauses_and_what_came_after_a_moment(ledger: Ledger) -> None:
    for began, last in ((100.0, 160.0), (1000.0, 1030.0)):
        ledger.mark_alive("s1", began, began)
        ledger.mark_alive("s1", began, last)
    assert ledger.active_seconds("s1") == 90.0
    until = {50.0: 0.0, 130.0: 30.0, 500.0: 60.0, 1010.0: 70.0, 5000.0: 90.0}
    assert {moment: ledger.active_seconds("s1", moment) for moment in until} == until


PROBE_KEY = ProbeKey(steps=1, base="b", data="d", prompts="p", scorer="s", samples=1, environment="e")


def test_of_many_probes_the_last_readings_are_read_and_every_failure(ledger: Ledger) -> None:
    """A probe that ran again counts where it ran last."""
    reading: Any = SimpleNamespace(timing=SimpleNamespace(total=1.0))
    probes = [Probe(tiny.recipe(), PROBE_KEY, seed) for seed in range(6)]
    ledger.begin(replace(SESSION, id="s2"), tiny.recipe())
    for probe in probes:
        failed = Failure(probe.id, probe.seed, "oom", "no memory")
        ledger.record_probe("s1", probe, failed if probe.seed == 1 else reading, "t")
    ledger.record_probe("s2", probes[0], reading, "t")

    def seeds(most: int, without: tuple[str, ...] = ()) -> list[int]:
        first = ledger.recent_probes(PROBE_KEY.digest, most, without)
        return [probe.seed for _, probe in ledger.probes_after(PROBE_KEY.digest, 0, first)]

    assert seeds(3) == [1, 4, 5, 0]
    assert seeds(3, ("s2",)) == [1, 3, 4, 5, 0]
    assert seeds(100) == [1, 2, 3, 4, 5, 0]
    assert ledger.recent_probes("another key", 3, ()) == 0


def test_a_changed_probe_is_not_read(ledger: Ledger, tmp_path: Path) -> None:
    reading: Any = SimpleNamespace(timing=SimpleNamespace(total=1.0))
    ledger.record_probe("s1", Probe(tiny.recipe(), PROBE_KEY, 1), reading, "t")
    database = sqlite3.connect(tmp_path / "runs" / "ledger.sqlite")
    with database:
        database.execute("UPDATE probes SET seed = 2")
    database.close()
    with pytest.raises(BadInput, match="is not as it was written"):
        ledger.probes_after(PROBE_KEY.digest, 0)


def test_checks_that_were_read_before_are_skipped_and_can_be_counted(ledger: Ledger) -> None:
    for number in range(4):
        kind = "wave" if number % 2 else "stack"
        ledger.record_checks(CheckRow(session="s1", kind=kind, subject=str(number), time="t", data={}))
    assert [check.subject for check in ledger.checks("s1", "wave", skip=1)] == ["3"]
    assert [check.subject for check in ledger.checks("s1", skip=3)] == ["3"]
    assert (ledger.count_checks("s1", "wave"), ledger.count_checks("s2", "wave")) == (2, 0)
