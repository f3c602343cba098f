"""results.tsv and progress.log: appended to, kept in step, and no reason to end a night."""

import csv
import errno
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.ledger.results.columns import COLUMNS, HEADER
from agent.ledger.results.files import ResultFiles, catch_up, publish
from agent.ledger.results.sheet import FORMULA, cell, read_sheet, row_text
from agent.ledger.store import Ledger
from agent.ledger.tables import DecisionRow, SessionRow
from agent.loop.start_or_resume.session import Overrides, begin
from agent.study.load import load_study
from agent.workspace.check import check
from agent.workspace.folder import Workspace
from common.errors import BadInput
from lanes import Recipe
from testing import simulated_study
from view.data.results import read_results
from view.report.report import write_report
from view.terminal.live import watching

FOREIGN = row_text(
    {"time": "2025-01-01T00:00:00Z", "session": "other", "id": "other-001", "delta": 0.5, "description": 'said "so"'}
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "runs" / "ledger.sqlite") as found:
        start = Recipe(mixture={"good": 1.0})
        time = "2026-01-01T00:00:00Z"
        found.begin(
            SessionRow(
                id="s1",
                study="study",
                study_path="study.toml",
                question="q",
                study_text="",
                key="k",
                start=start.digest,
                seed=0,
                limits={},
                started=time,
            ),
            start,
        )
        yield found


def decide(ledger: Ledger, *numbers: int) -> None:
    for number in numbers:
        name, time = f"s1-{number:03d}", "2026-01-01T00:00:00Z"
        row = {
            "time": time,
            "session": "s1",
            "id": name,
            "status": "KEEP",
            "delta": 0.25,
            "description": f"why {number}",
            "policy": "0123abcd",
            "reason": "improved",
        }
        ledger.record_decisions(
            [
                (
                    DecisionRow(
                        id=name,
                        session="s1",
                        turn=number,
                        status="KEEP",
                        reason="improved",
                        incumbent="x",
                        comparison=None,
                        policy={},
                        row=row,
                        time=time,
                    ),
                    f"line {number}",
                )
            ]
        )


def table_of(folder: Path) -> Path:
    return folder / "results.tsv"


def log_of(folder: Path) -> Path:
    return folder / "runs" / "progress.log"


def test_both_files_keep_their_inode_while_a_session_goes_on_and_what_is_read_once_is_not_read_again(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = ResultFiles(ledger, tmp_path)
    decide(ledger, 1)
    assert files.publish() == []
    inodes = [path.stat().st_ino for path in (table_of(tmp_path), log_of(tmp_path))]

    def unread(_: Path) -> bytes:
        raise AssertionError("read again")

    monkeypatch.setattr(Path, "read_bytes", unread)
    with log_of(tmp_path).open(encoding="utf-8") as followed:
        followed.read()
        decide(ledger, 2)
        files.publish()
        assert followed.read() == "2026-01-01T00:00:00Z s1 line 2\n"
    assert [path.stat().st_ino for path in (table_of(tmp_path), log_of(tmp_path))] == inodes


def test_a_later_process_verifies_what_the_mark_does_not_vouch_for(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide(ledger, *range(1, 5))
    publish(ledger, tmp_path)
    asked: list[int] = []
    after = Ledger.rows_after

    def noting(self: Ledger, number: int) -> Any:
        asked.append(number)
        return after(self, number)

    monkeypatch.setattr(Ledger, "rows_after", noting)
    decide(ledger, 5)
    assert publish(ledger, tmp_path) == []
    assert asked
    assert 0 not in asked
    good = table_of(tmp_path).read_text(encoding="utf-8")
    table_of(tmp_path).write_text(good.replace("why 2", "why not"), encoding="utf-8")
    (told,) = publish(ledger, tmp_path)
    assert "results.tsv did not agree with the ledger" in told
    assert table_of(tmp_path).read_text(encoding="utf-8") == good


def test_a_line_that_a_kill_cut_off_is_completed_in_place(ledger: Ledger, tmp_path: Path) -> None:
    decide(ledger, 1, 2)
    publish(ledger, tmp_path)
    for path in (table_of(tmp_path), log_of(tmp_path)):
        good, inode = path.read_bytes(), path.stat().st_ino
        path.write_bytes(good[:-9])
        assert publish(ledger, tmp_path) == []
        assert (path.read_bytes(), path.stat().st_ino) == (good, inode)


def test_no_secret_is_in_either_file_and_one_that_was_written_before_is_taken_out(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.ledger.results.sheet.redacted", lambda text, _: text)
    time, said = "2026-01-01T00:00:00Z", "as at https://me:S3CRETpw@host/v1?token=S3CRETvalue with sk-S3CRETkey"
    row = {"time": time, "session": "s1", "id": "s1-001", "status": "KEEP", "description": said}
    ledger.record_decisions(
        [
            (
                DecisionRow(
                    id="s1-001",
                    session="s1",
                    turn=1,
                    status="KEEP",
                    reason="improved",
                    incumbent="x",
                    comparison=None,
                    policy={},
                    row=row,
                    time=time,
                ),
                said,
            )
        ]
    )
    publish(ledger, tmp_path)
    assert "S3CRET" in table_of(tmp_path).read_text(encoding="utf-8")
    monkeypatch.undo()
    for mark in (tmp_path / "runs").glob(".*.verified"):
        mark.unlink()
    assert len(publish(ledger, tmp_path)) == 2
    for path in (table_of(tmp_path), log_of(tmp_path)):
        assert "S3CRET" not in path.read_text(encoding="utf-8")
        assert "as at https://***@host/v1?token=*** with sk-***" in path.read_text(encoding="utf-8")
    assert all(one.intact for one in check(Workspace(tmp_path)) if one.path.endswith((".tsv", ".log")))
    assert publish(ledger, tmp_path) == []


def test_a_note_with_line_ends_is_one_line_of_the_log(ledger: Ledger, tmp_path: Path) -> None:
    ledger.record_event("n", "s1", "2026-01-01T00:00:00Z", "one\r\ntwo\u2028three")
    publish(ledger, tmp_path)
    assert log_of(tmp_path).read_text(encoding="utf-8") == "2026-01-01T00:00:00Z s1 one  two three\n"
    inode = log_of(tmp_path).stat().st_ino
    assert publish(ledger, tmp_path) == []
    assert log_of(tmp_path).stat().st_ino == inode


def test_a_folder_in_a_files_place_is_told_once_and_the_file_is_written_when_it_can_be(
    ledger: Ledger, tmp_path: Path
) -> None:
    files = ResultFiles(ledger, tmp_path)
    for path in (table_of(tmp_path), log_of(tmp_path)):
        path.mkdir()
    decide(ledger, 1)
    told = files.publish()
    assert len(told) == 2
    assert all("nothing is lost, the ledger has every line of it" in one for one in told)
    decide(ledger, 2)
    assert files.publish() == []
    for path in (table_of(tmp_path), log_of(tmp_path)):
        path.rmdir()
    assert all("can be written again" in one for one in files.publish())
    assert len(read_results(table_of(tmp_path))) == 2
    assert len(log_of(tmp_path).read_text(encoding="utf-8").splitlines()) == 2


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.EROFS, errno.ETXTBSY])
def test_after_a_write_that_failed_the_whole_file_is_written_again(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    files = ResultFiles(ledger, tmp_path)
    decide(ledger, 1)
    files.publish()
    inode = table_of(tmp_path).stat().st_ino
    decide(ledger, 2)

    def fails(_: int) -> None:
        raise OSError(number, "it broke")

    with monkeypatch.context() as broken:
        broken.setattr("agent.ledger.results.files.os.fsync", fails)
        assert all("cannot be written (it broke)" in one for one in files.publish())
    files.publish()
    assert table_of(tmp_path).stat().st_ino != inode  # nobody knows what the disk has of the old one
    assert list(read_results(table_of(tmp_path))["id"]) == ["s1-001", "s1-002"]


def test_a_full_disk_still_ends_it(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    decide(ledger, 1)
    publish(ledger, tmp_path)
    decide(ledger, 2)
    monkeypatch.setattr("agent.ledger.results.files.os.fsync", full)
    with pytest.raises(OSError, match="full"):
        publish(ledger, tmp_path)


def quoted(text: str, separator: str = "\t") -> str:
    made = io.StringIO()
    rows = [line.split("\t") for line in text.splitlines()]
    csv.writer(made, delimiter=separator, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(rows)
    return made.getvalue()


def reordered(text: str) -> str:
    return "".join("\t".join(line.split("\t")[::-1]) + "\n" for line in text.splitlines())


def comma_decimals(text: str) -> str:
    return quoted(text.replace("0.25", "0,25").replace("0.5", "0,5"), ";")


SPREADSHEETS: dict[str, Callable[[str], bytes]] = {
    "quoted": lambda text: quoted(text).encode(),
    "utf-16": lambda text: text.encode("utf-16"),
    "utf-16 without a mark": lambda text: text.encode("utf-16-le"),
    "semicolons": lambda text: quoted(text, ";").encode(),
    "commas": lambda text: quoted(text, ",").encode(),
    "decimal commas": lambda text: comma_decimals(text).encode(),
    "reordered": lambda text: reordered(text).encode(),
    "sorted": lambda text: "".join(sorted(text.splitlines(keepends=True))).encode(),
    "a row deleted": lambda text: "".join(text.splitlines(keepends=True)[:-2]).encode(),
    "crlf and mark": lambda text: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(),
}


@pytest.mark.parametrize("program", SPREADSHEETS)
def test_what_a_spreadsheet_did_is_undone_and_nothing_is_lost(ledger: Ledger, tmp_path: Path, program: str) -> None:
    table_of(tmp_path).write_text(f"{HEADER}\n{FOREIGN}\n", encoding="utf-8")
    decide(ledger, 1, 2, 3)
    publish(ledger, tmp_path)
    good = table_of(tmp_path).read_text(encoding="utf-8")
    left = SPREADSHEETS[program](good)
    table_of(tmp_path).write_bytes(left)
    if program in ("semicolons", "utf-16", "commas", "quoted", "crlf and mark", "decimal commas"):
        with pytest.raises(BadInput, match="nightlane report writes its workspace's file again"):
            read_results(table_of(tmp_path))
    publish(ledger, tmp_path)
    assert table_of(tmp_path).read_text(encoding="utf-8") == good
    assert len(read_results(table_of(tmp_path))) == 4
    assert not (tmp_path / "runs" / "set-aside").exists()


@pytest.mark.parametrize(
    "junk",
    ["# what I think of it", "Sum\t\t\t\t12", "a comment\ts1\tthat names the session", "x\t" * 60, '"open', "\ufffe"],
)
@pytest.mark.parametrize("place", [0, 1, 2, -1])
def test_lines_that_are_no_rows_are_set_aside_and_the_table_is_read(
    ledger: Ledger, tmp_path: Path, junk: str, place: int
) -> None:
    table_of(tmp_path).write_text(f"{HEADER}\n{FOREIGN}\n", encoding="utf-8")
    decide(ledger, 1, 2)
    publish(ledger, tmp_path)
    good = table_of(tmp_path).read_text(encoding="utf-8")
    lines = good.splitlines()
    lines.insert(place if place >= 0 else len(lines), junk)
    left = "".join(f"{line}\n" for line in lines)
    table_of(tmp_path).write_text(left, encoding="utf-8")
    (told,) = publish(ledger, tmp_path)
    (kept,) = (tmp_path / "runs" / "set-aside").iterdir()
    assert str(kept) in told
    assert kept.read_text(encoding="utf-8") == left
    assert table_of(tmp_path).read_text(encoding="utf-8") == good
    assert len(read_results(table_of(tmp_path))) == 3


@pytest.mark.parametrize("column", ["policy", "reason", "lane"])
def test_a_damaged_head_of_a_column_of_ours_is_no_column_of_a_persons(
    ledger: Ledger, tmp_path: Path, column: str
) -> None:
    decide(ledger, 1, 2)
    publish(ledger, tmp_path)
    good = table_of(tmp_path).read_text(encoding="utf-8")
    left = good.replace(column, f"\x05{column[1:]}", 1)
    table_of(tmp_path).write_text(left, encoding="utf-8")
    publish(ledger, tmp_path)
    assert table_of(tmp_path).read_text(encoding="utf-8") == good
    assert [kept.read_text(encoding="utf-8") for kept in (tmp_path / "runs" / "set-aside").iterdir()] == [left]


def test_a_comment_beside_a_row_stays_with_it_through_another_program(ledger: Ledger, tmp_path: Path) -> None:
    decide(ledger, 1, 2)
    publish(ledger, tmp_path)
    head, first, second = table_of(tmp_path).read_text(encoding="utf-8").splitlines()
    left = quoted(f"{head}\tmine\n{second}\t\n{first}\tlook =1\tand here\n", ";")
    table_of(tmp_path).write_bytes(left.encode("utf-16"))
    publish(ledger, tmp_path)
    again = table_of(tmp_path).read_text(encoding="utf-8").splitlines()
    assert again == [f"{head}\tmine\t", f"{first}\tlook =1\tand here", second]
    assert list(read_results(table_of(tmp_path))["mine"].fillna("")) == ["look =1", ""]


def test_figures_that_a_person_changed_in_a_row_of_ours_are_kept_aside(ledger: Ledger, tmp_path: Path) -> None:
    decide(ledger, 1)
    publish(ledger, tmp_path)
    good = table_of(tmp_path).read_text(encoding="utf-8")
    table_of(tmp_path).write_text(good.replace("why 1", "my own words"), encoding="utf-8")
    publish(ledger, tmp_path)
    (kept,) = (tmp_path / "runs" / "set-aside").iterdir()
    assert "my own words" in kept.read_text(encoding="utf-8")
    assert table_of(tmp_path).read_text(encoding="utf-8") == good


ANY = st.text(st.one_of(st.characters(), st.sampled_from(" \t\r\n\"'=+-@;,\u00a0\u2028=\ufeff")), max_size=12)


@settings(max_examples=50, deadline=None)
@given(rows=st.lists(st.lists(ANY, min_size=4, max_size=4), min_size=1, max_size=5))
def test_no_text_begins_a_formula_or_a_quoted_cell_whoever_reads_it(rows: list[list[str]]) -> None:
    names = ("lane", "before", "reason", "description")
    lines = [row_text({"session": "s1", **dict(zip(names, row, strict=True))}) for row in rows]
    text = "".join(f"{line}\n" for line in [HEADER, *lines])
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
        read: list[Any] = list(csv.reader(io.StringIO(text, newline=""), delimiter="\t", quoting=quoting))
        assert [len(row) for row in read] == [len(COLUMNS)] * (len(rows) + 1)
        assert all(not cell.lstrip().startswith(FORMULA) for row in read for cell in row)
    table = pandas.read_csv(io.StringIO(text), sep="\t", keep_default_na=False, dtype=str)
    assert table.shape == (len(rows), len(COLUMNS))
    assert list(table["description"]) == [cell(row[3]) for row in rows]


def test_a_text_in_a_column_of_numbers_begins_no_quoted_cell() -> None:
    row = dict.fromkeys(COLUMNS, "") | {"time": "2026-01-01T00:00:00Z", "session": "old", "id": "old-001"}
    for text in ('"quoted', '"=1+1'):
        (read,) = read_sheet((HEADER + "\n" + "\t".join((row | {"steps": text}).values()) + "\n").encode()).rows
        assert f"'{text}" in read.line.split("\t")


def test_a_night_goes_on_without_its_files_and_report_writes_them_once_they_can_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = simulated_study.STUDY.replace("decisions = 8", "probes = 24")
    study = load_study(simulated_study.write_study(tmp_path / "study", text))
    for path in (table_of(tmp_path), log_of(tmp_path)):
        path.mkdir(parents=True)
    with watching() as watcher:
        begin(study, Workspace(tmp_path), Overrides(), watcher, write_report)
    assert capsys.readouterr().err.count("nothing is lost, the ledger has every line of it") == 2
    for path in (table_of(tmp_path), log_of(tmp_path)):
        path.rmdir()
    assert catch_up(Workspace(tmp_path)) == []
    with Ledger(Workspace(tmp_path).ledger, read_only=True) as ledger:
        rows = [decision.id for decision in ledger.decisions()]
    assert len(rows) > 3
    assert list(read_results(table_of(tmp_path))["id"]) == rows
    assert "progress.log cannot be written" in log_of(tmp_path).read_text(encoding="utf-8")
    assert " END " in log_of(tmp_path).read_text(encoding="utf-8")
