"""nightlane watch: a session while it runs, interrupted, finished; what cannot be read; text that is not ours."""

import contextlib
import shutil
import sqlite3
import threading
from pathlib import Path

import nights
import pytest
from screens import Screen, flying, session_folder, trained, watched
from steered import paused

from agent.ledger.store import Ledger
from agent.loop.in_flight import FILE
from agent.workspace.folder import Workspace
from common.sqlite import shared
from probes.run.protocol import WorkerStatus
from view.data.sections.measurements import differences
from view.data.session_record import load_record
from view.watch import app, reader
from view.watch.app import LossCurve
from view.watch.reader import Picture, Reader


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "SECONDS", 0.05)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Interrupted after its first decisions."""
    text = nights.governed(nights.TWO_KNOBS)
    return nights.night(tmp_path_factory.mktemp("stopped"), text, probes=20, step=nights.hasty(), stop_after=1)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Finished, with a KEEP."""
    text, folder = nights.governed(nights.TWO_KNOBS, member_chance="0.52"), tmp_path_factory.mktemp("kept")
    return nights.night(folder, text, world=nights.ADDING, probes=40, step=nights.hasty())


@pytest.fixture
def held(stopped: Workspace, tmp_path: Path) -> Workspace:
    """A copy to write into."""
    return Workspace(Path(shutil.copytree(stopped.root, tmp_path / "workspace")))


def test_probes_their_curve_and_the_budget_are_shown_and_follow_the_session(held: Workspace) -> None:
    trained(held, "p1", [2.0 - 0.1 * step for step in range(12)])

    async def look(screen: Screen) -> None:
        shown = await screen.until("RUNNING", "wave 1: 2 running, 2 waiting, 1 done", "12 of 20", "0.875", "8 h 00 min")
        assert "probes" in shown
        assert "budget left" in shown
        assert "loss of probe p1" in shown
        curve = screen.app.query_one("#curve", LossCurve)
        assert "⠁" <= max(curve.render().plain) <= "⣿", "the loss is drawn in braille"  # type: ignore[union-attr]
        await screen.pilot.press("down")
        await screen.until("loss of probe p2: no step yet")
        assert "worker" in shown
        assert "1 p1 7" in shown, "worker 1 runs probe p1 with seed 7"
        assert "is started again after 2 failures in a row" in shown
        await screen.pilot.press("down")
        flying(held, {"id": "p3", "phase": "generating", "step": 20}, title="stack 1")
        shown = await screen.until("stack 1: 1 running", "generating", "loss of probe p3", without="p1")

    with held.held():
        one = WorkerStatus(number=1, state="busy", probes=("p1",))
        other = WorkerStatus(number=0, state="restarting", failures=2)
        flying(held, {"id": "p1", "step": 12, "loss": 0.875}, {"id": "p2", "step": 5}, workers=[one, other])
        watched(held, look)


def test_decisions_and_notes_come_latest_first_and_a_narrow_terminal_shows_fewer_columns(kept: Workspace) -> None:
    record = load_record(kept, None)

    async def look(screen: Screen) -> None:
        shown = await screen.until("decisions, the latest first", "effect [interval]")
        assert "why" not in shown
        last = record.decisions_on_changes[-1]
        assert f"interval] {last.turn:03d} {last.status} {last.row['knob']}" in shown
        await screen.pilot.resize_terminal(140, 45)
        shown = await screen.until("chance", "why", "END ")
        assert shown.index("END ") < shown.index("BEGIN ")

    watched(kept, look, (80, 24))


def test_a_finished_session_says_so_and_shows_its_result(kept: Workspace) -> None:
    changed = differences(load_record(kept, None))
    assert changed

    async def look(screen: Screen) -> None:
        shown = await screen.until("FINISHED", "recipe.toml", "nightlane report")
        assert all(f"{one.knob} {one.before} -> {one.after}" in shown for one in changed)

    watched(kept, look)


def test_an_interrupted_session_names_the_command_that_resumes_it(stopped: Workspace) -> None:
    async def look(screen: Screen) -> None:
        await screen.until("INTERRUPTED", "nightlane resume", without="running")

    watched(stopped, look)


def test_a_paused_session_says_so_with_the_requests_that_wait(held: Workspace) -> None:
    paused(held)

    async def look(screen: Screen) -> None:
        await screen.until(
            "RUNNING", "Paused; nightlane continue goes on.", 'Request 2 waits: note "mind <b>the</b> guard".'
        )

    with held.held():
        watched(held, look)


def test_an_empty_workspace_says_what_to_run_and_then_follows_the_session_that_begins(
    stopped: Workspace, tmp_path: Path
) -> None:
    async def look(screen: Screen) -> None:
        await screen.until("start one with nightlane run STUDY", without="decisions")
        shutil.copytree(stopped.runs, tmp_path / "runs")
        await screen.until("INTERRUPTED", "decisions, the latest first", without="start one")

    watched(Workspace(tmp_path), look)


def test_text_of_others_is_no_markup_and_moves_no_cursor(held: Workspace) -> None:
    evil = "[red]a[/red] [bold](b) \x1b[2J\u202e sk-S3CRETkey_123456789012345"
    with Ledger(held.ledger) as ledger:
        session = ledger.sessions()[-1]
        ledger.record_event("evil", session, "2026-11-30T10:00:00Z", f"note {evil}")

    async def look(screen: Screen) -> None:
        shown = await screen.until(r"note [red]a[/red] [bold](b) \x1b[2J\u202e", "title [red]a[/red]")
        assert "loss of probe [red]" in shown
        assert "S3CRET" not in shown

    with held.held():
        flying(held, {"id": "[red]"}, title=f"title {evil}")
        watched(held, look)


def test_half_a_file_and_a_locked_ledger_leave_what_was_read_before(
    held: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "WAIT", 0.05)

    async def look(screen: Screen) -> None:
        await screen.until("wave 1: 1 running")
        (session_folder(held) / FILE).write_text('{"process"', encoding="utf-8")
        await screen.until("Between two batches of probes.")
        with contextlib.closing(sqlite3.connect(held.ledger, isolation_level=None)) as other:
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("BEGIN EXCLUSIVE")
            await screen.until("database is locked", "RUNNING", "decisions, the latest first")
        await screen.until("RUNNING", without="database is locked")

    with held.held():
        flying(held, {})
        watched(held, look)


def test_keys_work_while_the_workspace_does_not_answer(stopped: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "STALE_AFTER", 0.2)
    answers, read = threading.Event(), Reader.read

    def slow(self: Reader) -> Picture:
        found = read(self)
        if self._picture is not None and not asked.is_set():
            asked.set()
            return found
        answers.wait(60)
        return found

    asked = threading.Event()
    monkeypatch.setattr(Reader, "read", slow)

    async def look(screen: Screen) -> None:
        await screen.until("INTERRUPTED", "the workspace has not answered for")
        await screen.pilot.press("q")

    assert watched(stopped, look).return_code == 0
    answers.set()


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
def test_q_and_ctrl_c_end_it(key: str, tmp_path: Path) -> None:
    async def look(screen: Screen) -> None:
        await screen.pilot.press(key)
        await screen.pilot.pause()
        assert not screen.app.is_running

    assert watched(Workspace(tmp_path), look).return_code == 0


def test_a_copy_is_read_once_and_gets_no_file(kept: Workspace, tmp_path: Path) -> None:
    copy = Workspace(tmp_path)
    shutil.copytree(kept.runs, copy.runs, ignore=shutil.ignore_patterns("*-shm", "*-wal"))
    before, found = sorted(copy.runs.iterdir()), Reader(copy)
    found.read()  # SQLite makes its two files beside the ledger of a user who may write
    assert found.read() is found.read(), "a session that has ended is read again only when a file changes"
    assert [path for path in sorted(copy.runs.iterdir()) if path.suffix not in (".sqlite-shm", ".sqlite-wal")] == before
