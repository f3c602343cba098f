"""The ledger's file: created as a whole, its rows with checksums, and what can be read of a damaged one copied over."""

import gc
import os
import resource
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import tiny
from ledger_rows import filled, in_child
from long_cases import all_but
from rich.console import Console

from agent.ledger.database.file import holds_sessions
from agent.ledger.store import Ledger
from agent.ledger.tables import DecisionRow
from agent.loop.start_or_resume.session import Overrides, begin, resume
from agent.study.load import Study, load_study
from agent.workspace.check import check, repair
from agent.workspace.folder import Workspace
from cli.main import main
from common.errors import BadInput
from common.sqlite import row_digests
from probes.result.reading import Probe
from testing import simulated_study
from view.report.report import write_report
from view.terminal.live import PlainWatcher

QUIET = Console(quiet=True)


def edit(path: Path, statement: str) -> None:
    database = sqlite3.connect(path)
    with database:
        assert database.execute(statement).rowcount == 1
    database.close()


def history(ledger: Ledger) -> Any:
    session = ledger.session("s1")
    return session and ledger.history(session.question, session.key)


def test_every_row_that_is_written_changed_or_deleted_keeps_its_checksum(tmp_path: Path) -> None:
    with Ledger(filled(tmp_path)) as ledger:
        assert list(row_digests.altered_rows(ledger._db)) == []
        rows = sum(
            ledger._db.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in row_digests.columns(ledger._db)
        )
        assert ledger._db.execute("SELECT COUNT(*) FROM row_digests").fetchone()[0] == rows


@pytest.mark.parametrize(
    ("statement", "load"),
    [
        ("UPDATE decisions SET row = replace(row, '0.5', '0.7') WHERE id = 's1-002'", lambda one: one.decisions()),
        ("UPDATE sessions SET seed = 1", lambda one: one.session("s1")),
        ("UPDATE proposals SET turn = 9 WHERE turn = 2", lambda one: one.proposals()),
        ("UPDATE recipes SET toml = toml || ' ' WHERE rowid = 1", lambda one: one.recipe(tiny.recipe().digest)),
        ("DELETE FROM recipes WHERE rowid = 1", lambda one: one.recipe(tiny.recipe().digest)),
        ("UPDATE decisions SET row = replace(row, '0.5', '0.7') WHERE id = 's1-002'", history),
        ("UPDATE decisions SET comparison = '{' WHERE id = 's1-002'", history),
        ("UPDATE proposals SET knob = 'warmup' WHERE turn = 2", history),
    ],
)
def test_content_that_changed_on_the_disk_is_said_with_the_way_out(
    tmp_path: Path, statement: str, load: Callable[[Ledger], Any]
) -> None:
    path = filled(tmp_path)
    edit(path, statement)
    with Ledger(path, read_only=True) as ledger, pytest.raises(BadInput, match=r"is damaged .*doctor --repair"):
        load(ledger)


def test_a_row_that_another_process_changes_while_it_is_read_is_no_damage(tmp_path: Path) -> None:
    path = filled(tmp_path)
    with Ledger(path) as writer, Ledger(path, read_only=True) as reader:
        check_row: Any = reader._db.row_factory
        before = reader._db.execute("SELECT * FROM sessions")

        def late(cursor: sqlite3.Cursor, values: tuple[Any, ...]) -> Any:
            writer.set_limits("s1", {"hours": 2})
            return check_row(cursor, values)

        before.row_factory = late
        assert before.fetchone()["id"] == "s1"
        assert list(row_digests.altered_rows(reader._db)) == []


def test_a_ledger_from_before_there_were_checksums_gets_them(tmp_path: Path) -> None:
    path = filled(tmp_path)
    edit_all = sqlite3.connect(path)
    edit_all.execute("DROP TABLE row_digests")
    edit_all.close()
    with Ledger(path, read_only=True) as ledger:
        assert len(ledger.decisions()) == 3
    Ledger(path).close()
    edit(path, "UPDATE decisions SET status = 'DISCARD' WHERE id = 's1-001'")
    with Ledger(path, read_only=True) as ledger, pytest.raises(BadInput, match="s1-001 in decisions"):
        ledger.decisions()


def open_files(folder: Path) -> list[str]:
    descriptors = [Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd")]
    return [str(file) for one in descriptors if one.exists() and (file := one.readlink()).is_relative_to(folder)]


@pytest.mark.parametrize("damage", ["DROP TABLE events", "PRAGMA user_version = 7"])
def test_a_ledger_that_is_refused_or_closed_is_left_without_a_garbage_collection(tmp_path: Path, damage: str) -> None:
    path = filled(tmp_path)
    with closing(sqlite3.connect(path)) as database:
        database.execute(damage)
    gc.disable()
    try:
        with suppress(BadInput), Ledger(path, read_only=True):
            pass
        assert open_files(tmp_path) == []
    finally:
        gc.enable()


@pytest.mark.parametrize("limit", [0, 100, 4096, 8192, 20_000, 40_000])
def test_a_ledger_that_a_full_disk_cut_off_is_completed(tmp_path: Path, limit: int) -> None:
    """The disk is full for the process that makes it: no file may pass the limit."""
    path = tmp_path / "runs" / "ledger.sqlite"

    def make() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        Ledger(path)

    assert in_child(make) == 1
    assert not holds_sessions(path)
    with pytest.raises(BadInput, match="start one with nightlane run"):
        Ledger(path, read_only=True)
    filled(tmp_path)
    assert [
        found for found in check(Workspace(tmp_path)) if not found.intact and found.path.endswith("ledger.sqlite")
    ] == []


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0", bytes(300)])
def test_a_file_that_is_no_ledger_yet_is_completed(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "runs" / "ledger.sqlite"
    path.parent.mkdir()
    path.write_bytes(content)
    sqlite3.connect(path.with_name("other")).close()
    filled(tmp_path)
    with Ledger(path, read_only=True) as ledger:
        assert len(ledger.decisions()) == 3


def test_a_ledger_without_its_tables_is_completed_and_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "ledger.sqlite"
    path.parent.mkdir()
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE sessions (id TEXT PRIMARY KEY)")
    database.execute("DROP TABLE sessions")
    database.close()
    begin(short_study(tmp_path), Workspace(tmp_path), Overrides(decisions=1), PlainWatcher(QUIET), write_report)
    with Ledger(path, read_only=True) as ledger:
        assert len(ledger.decisions("WHERE turn > 0")) == 1


@pytest.mark.long
def test_of_six_starts_at_once_one_runs_and_five_say_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = simulated_study.STUDY.replace('kind = "simulated"', 'kind = "simulated"\nsimulated_seconds = 0.1')
    study = simulated_study.write_study(tmp_path / "study", text)
    monkeypatch.setattr("sys.argv", ["nightlane", "run", str(study), "--workspace", str(tmp_path), "--decisions", "3"])
    start, go = os.pipe()
    children = []
    for _ in range(6):
        if (child := os.fork()) == 0:
            code = 1
            try:
                os.close(go)
                os.read(start, 1)
                main()
            except SystemExit as ended:
                code = int(ended.code or 0)
            finally:
                os._exit(code)
        children.append(child)
    os.close(start)
    os.close(go)
    codes = sorted(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)
    assert codes == [0, 3, 3, 3, 3, 3]
    assert all(found.intact for found in check(Workspace(tmp_path)))


SEED = 1  # of a night that keeps its stack


def short_study(folder: Path) -> Study:
    """A night of one wave and one stack."""
    text = simulated_study.STUDY.replace("decisions = 8", "probes = 24")
    return load_study(simulated_study.write_study(folder / "study", text))


def interrupted(folder: Path) -> Workspace:
    """A session whose person left when its stack was decided on."""

    class Leaving(PlainWatcher):
        def decided(self, decision: DecisionRow) -> None:
            if decision.turn > 0:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begin(short_study(folder), Workspace(folder), Overrides(), Leaving(QUIET), write_report, seed=SEED)
    return Workspace(folder)


def decided(workspace: Workspace) -> list[tuple[object, ...]]:
    with Ledger(workspace.ledger, read_only=True) as ledger:
        rows = [one.row for one in ledger.decisions()]
        return [
            tuple(row.get(name) for name in ("status", "knob", "before", "after", "delta", "reason")) for row in rows
        ]


@pytest.fixture(scope="module")
def undamaged(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[object, ...]]:
    """What a session decides that was interrupted when its stack was decided on, and resumed."""
    workspace = interrupted(tmp_path_factory.mktemp("undamaged"))
    resume(workspace, None, Overrides(), PlainWatcher(QUIET), write_report)
    return decided(workspace)


DAMAGES = ["deleted", "garbage", "a folder", "garbled state", "ahead of the ledger"]


@pytest.mark.parametrize("damage", all_but(["deleted", "garbled state"], DAMAGES))
def test_a_session_whose_checkpoint_is_damaged_goes_on_by_the_ledger(
    undamaged: list[tuple[object, ...]], tmp_path: Path, damage: str
) -> None:
    cut = interrupted(tmp_path)
    (checkpoint,) = cut.runs.glob("session-*/checkpoint.sqlite")
    if damage == "deleted":
        checkpoint.unlink()
    elif damage == "garbage":
        checkpoint.write_bytes(b"no database" * 500)
    elif damage == "a folder":
        checkpoint.unlink()
        checkpoint.mkdir()
    elif damage == "garbled state":
        database = sqlite3.connect(checkpoint)
        database.execute("UPDATE checkpoints SET checkpoint = replace(checkpoint, 'incumbent', 'incumbant')")
        database.execute("UPDATE checkpoints SET checkpoint = x'c1' || checkpoint")
        database.commit()
        database.close()
    else:
        resume(cut, None, Overrides(), PlainWatcher(QUIET), write_report)
        database = sqlite3.connect(cut.ledger)
        database.execute("PRAGMA journal_mode=DELETE")
        for statement in (
            "DELETE FROM events WHERE id LIKE '%-end' OR id IN (SELECT id FROM decisions WHERE turn > 0)",
            "DELETE FROM decisions WHERE turn > 0",
            "UPDATE sessions SET finished = NULL, finish_reason = NULL",
        ):
            assert database.execute(statement).rowcount > 0
        database.execute("DROP TABLE row_digests")
        database.commit()
        database.close()
    resume(cut, None, Overrides(), PlainWatcher(QUIET), write_report)
    assert sorted({str(row[0]) for row in undamaged[1:]}, reverse=True) == ["KEEP", "DISCARD"]
    assert decided(cut) == undamaged
    with Ledger(cut.ledger, read_only=True) as ledger:
        notes = [text for _, _, text in ledger.events()]
    assert any("is set aside; the ledger knows" in text for text in notes) == (damage != "deleted")
    assert len(list(checkpoint.parent.glob("checkpoint.sqlite.damaged"))) == (damage != "deleted")


def test_what_can_be_read_is_taken_over_and_the_damaged_ledger_kept(tmp_path: Path) -> None:
    workspace = interrupted(tmp_path)
    resume(workspace, None, Overrides(), PlainWatcher(QUIET), write_report)
    with Ledger(workspace.ledger, read_only=True) as ledger:
        place = [row.id.rpartition("-")[2] for row in ledger.decisions()].index("003")
    before, table = decided(workspace), (tmp_path / "results.tsv").read_bytes()
    edit(workspace.ledger, "UPDATE decisions SET reason = 'improved!' WHERE id LIKE '%-003'")
    (found,) = [one for one in check(workspace) if one.path.endswith("ledger.sqlite")]
    assert not found.intact
    assert "-003 of decisions" in found.message
    (told,) = [text for text in repair(workspace) if "were copied" in text]
    assert "rows lost: 1 of decisions" in told
    assert (tmp_path / "results.tsv").read_bytes() == table
    assert decided(workspace) == [*before[:place], *before[place + 1 :]]
    assert (workspace.runs / "ledger-damaged" / "results.tsv").read_bytes() == table
    assert all(one.intact for one in check(workspace) if one.path.endswith("ledger.sqlite"))


def test_a_ledger_torn_in_its_pages_is_taken_over_as_far_as_it_can_be_read_and_open_sessions_are_closed(
    tmp_path: Path,
) -> None:
    workspace = interrupted(tmp_path)
    with Ledger(workspace.ledger) as ledger:
        proposals = ledger.proposals()
        ledger._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = ledger._db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'decisions'").fetchone()[0]
    content = bytearray(workspace.ledger.read_bytes())
    content[(page - 1) * 4096 : (page - 1) * 4096 + 200] = bytes(200)
    workspace.ledger.write_bytes(bytes(content))
    (told,) = repair(workspace)
    assert "of decisions" in told
    assert "closed" in told
    with Ledger(workspace.ledger, read_only=True) as ledger:
        (name,) = ledger.sessions()
        session = ledger.session(name)
        assert session is not None
        assert session.finish_reason == "its ledger was damaged and rows of it are lost"
        assert ledger.proposals() == proposals != []
    study = load_study(tmp_path / "study" / "study.toml")
    begin(study, workspace, Overrides(decisions=1), PlainWatcher(QUIET), write_report)


def test_a_ledger_that_is_gone_is_said_when_another_begins_and_by_the_doctor(tmp_path: Path) -> None:
    workspace = interrupted(tmp_path)
    for path in workspace.runs.glob("ledger.sqlite*"):
        path.unlink()
    (found,) = [one for one in check(workspace) if one.path.endswith("ledger.sqlite")]
    assert not found.intact
    assert "does not have session-" in found.message
    assert not [one for one in check(workspace) if one.path.endswith(("results.tsv", "progress.log"))]
    for make in (lambda: None, workspace.ledger.touch):
        make()
        with pytest.raises(BadInput, match=r"does not have session-\S+, although the folder exists: the ledger was"):
            Ledger(workspace.ledger, read_only=True)
    study = load_study(tmp_path / "study" / "study.toml")
    begin(study, workspace, Overrides(decisions=1), PlainWatcher(QUIET), write_report)
    assert "this session begins without it" in (workspace.runs / "progress.log").read_text(encoding="utf-8")
    with Ledger(workspace.ledger, read_only=True) as ledger:
        (session,) = (row for name in ledger.sessions() if (row := ledger.session(name)))
        own = [row for row in ledger.probes(session.id) if row.seed in study.file.probe.seeds]
    assert sum(row.recipe == session.start for row in own) == 2, (
        "the readings of the start, which the lost ledger had, are known to this one"
    )


def test_a_ledger_that_was_copied_without_its_log_is_found_by_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = interrupted(tmp_path)
    with Ledger(workspace.ledger, read_only=True) as ledger:
        (name,) = ledger.sessions()
    with sqlite3.connect(workspace.ledger) as database:
        for table in ("sessions", "decisions", "events", "proposals", "probes", "checks"):
            database.execute(f"DELETE FROM {table}")
    database.close()
    (found,) = [one for one in check(workspace) if one.path.endswith("ledger.sqlite")]
    assert not found.intact
    for command in ("status", "report", "explain 001", "resume"):
        monkeypatch.setattr(sys, "argv", ["nightlane", *command.split(), "--workspace", str(workspace.root)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        assert f"does not have session-{name}, although the folder exists" in capsys.readouterr().err, command


def test_a_recorded_session_is_no_session_of_a_ledger_that_was_lost(tmp_path: Path) -> None:
    (tmp_path / "runs" / "session-20261129-132716").mkdir(parents=True)
    with pytest.raises(
        BadInput,
        match=r"no session here \(session-20261129-132716 is a record to read, without a ledger\); start one with",
    ):
        Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True)


@pytest.mark.parametrize("suffix", ["-wal", "-shm"])
def test_a_folder_beside_a_damaged_ledger_is_set_aside(tmp_path: Path, suffix: str) -> None:
    path = filled(tmp_path)
    edit(path, "UPDATE decisions SET reason = 'other' WHERE turn = 2")
    beside = path.with_name(path.name + suffix)
    beside.unlink(missing_ok=True)
    (beside / "somebodys").mkdir(parents=True)
    assert any("were copied" in one for one in repair(Workspace(tmp_path)))
    with Ledger(path, read_only=True) as ledger:
        assert ledger.sessions()
    assert (tmp_path / "runs" / f"{path.name}{suffix}.damaged" / "somebodys").is_dir()


def test_half_files_of_killed_writes_are_no_damage_and_are_taken_away(tmp_path: Path) -> None:
    workspace = interrupted(tmp_path)
    (folder,) = workspace.runs.glob("session-*")
    left = [tmp_path / ".results.tsv.tmp", workspace.runs / ".progress.log.tmp", folder / ".report.md.tmp"]
    for path in left:
        path.write_text("half", encoding="utf-8")
    assert "3 incomplete files" in check(workspace)[-1].message
    resume(workspace, None, Overrides(), PlainWatcher(QUIET), write_report)
    assert not any(path.exists() for path in left)
    shutil.rmtree(folder)


@pytest.mark.parametrize("hours", all_but([None], [None, 1e-9]))
def test_a_stack_is_confirmed_as_it_was_begun_when_its_checkpoint_is_lost(tmp_path: Path, hours: float | None) -> None:
    """Also when the budget has ended meanwhile."""

    class Leaving(PlainWatcher):
        def measuring(self, title: str, probes: Sequence[Probe]) -> None:
            if title.startswith("stack"):
                raise KeyboardInterrupt

    found = []
    for name in ("whole", "cut"):
        workspace = Workspace(tmp_path / name)
        with pytest.raises(KeyboardInterrupt):
            begin(short_study(tmp_path), workspace, Overrides(), Leaving(QUIET), write_report, seed=SEED)
        for checkpoint in workspace.runs.glob("session-*/checkpoint.sqlite*") if name == "cut" else ():
            checkpoint.unlink()
        resume(workspace, None, Overrides(hours=hours), PlainWatcher(QUIET), write_report)
        with Ledger(workspace.ledger, read_only=True) as ledger:
            (session,) = ledger.sessions()
            stacks = [check.data["recipes"] for check in ledger.checks(session, "stack")]
            found.append((decided(workspace), stacks, [probe.id for probe in ledger.probes(session)]))
    rows, stacks, _ = found[0]
    assert len(stacks) == 1
    assert any(row[0] == "KEEP" for row in rows) == (hours is None)
    assert found[0] == found[1]
