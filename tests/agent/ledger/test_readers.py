"""Somebody who may read a workspace and not write to it sees what there is, or is told why not."""

import contextlib
import io
import os
import re
import signal
import sqlite3
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import nights
import pytest
from commands import Command, nightlane

from agent.workspace.check import check
from agent.workspace.folder import Workspace
from cli import main as command_line
from common.sqlite.shared import open_shared, open_to_read
from probes.endpoint.spending import spent_on_judging
from testing import simulated_study

NOBODY = 65534
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
DECIDED = re.compile(r"\t(\S+)\t(?:KEEP|DISCARD)\t")


def commands(workspace: Path) -> tuple[list[str], ...]:
    """Commands that only read; one explains the first decision of results.tsv."""
    (first, *_) = DECIDED.findall((workspace / "results.tsv").read_text())
    return (["status"], ["report"], ["explain", first], ["pairs", "list"], ["pairs", "audit"])


@pytest.fixture(scope="module")
def night() -> Iterator[tuple[Path, Command]]:
    """A night of somebody else's that has decided and goes on, in a folder that all may read. It is cut off after its
    first decision, and goes on with slower probes and more of them."""
    with tempfile.TemporaryDirectory() as folder:
        text = nights.variant(f"{nights.UPWARD}beta = true\n", "1e-6")
        workspace = nights.night(Path(folder), text, stop_after=1, probes=20)
        Path(folder).chmod(0o755)
        slower = text.replace("decisions = 8", "probes = 500").replace("seconds = 0.01", "seconds = 0.2")
        (Path(folder) / "study" / "study.toml").write_text(slower, encoding="utf-8")
        process = Command("resume", "--workspace", workspace.root)
        log, end = workspace.runs / "progress.log", time.monotonic() + 120
        while " RESUME " not in log.read_text(encoding="utf-8") and time.monotonic() < end:
            assert process.poll() is None
            time.sleep(0.1)
        yield workspace.root, process
        process.send_signal(signal.SIGKILL)
        process.communicate()


def typed(workspace: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and output of a command by somebody who may write nothing in the workspace."""

    def command() -> None:
        sys.argv = ["nightlane", *arguments, "--workspace", str(workspace)]
        command_line.main()

    return by_a_reader(command)


def by_a_reader(action: Callable[[], None]) -> tuple[int, str]:
    """Exit code and output of an action in a process of nobody's. It is forked, because not everybody may read this
    Python."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.dup2(write, 1)
            os.dup2(write, 2)
            sys.stdout = sys.stderr = os.fdopen(1, "w", encoding="utf-8", closefd=False)
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            tempfile.tempdir = None
            action()
            code = 0
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    os.close(write)
    with open(read, encoding="utf-8") as stream:
        said = stream.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert "Traceback" not in said, said
    return code, said


@pytest.fixture(scope="module")
def imported(night: tuple[Path, Command]) -> None:
    """All that the commands import, since the reader to be may not read it."""
    for command in commands(night[0]):
        with contextlib.redirect_stdout(io.StringIO()):
            command_line.app([*command, "--workspace", str(night[0])], standalone_mode=False)


@pytest.mark.long
@as_root
def test_a_reader_sees_a_night_that_runs_and_one_that_was_killed(night: tuple[Path, Command], imported: None) -> None:
    workspace, process = night
    for command in commands(workspace):
        code, said = typed(workspace, *command)
        assert code == 0, said
        assert "no session" not in said
    code, said = typed(workspace, "status")
    assert f"running (process {process.pid})" in said
    assert "DISCARD" in said or "KEEP" in said
    code, said = typed(workspace, "report")
    assert re.search(r"\S+/runs/[0-9a-z-]+ is not writable for you, so the report is only printed", said)
    assert ".tmp" not in said
    assert "# " in said
    process.send_signal(signal.SIGKILL)
    process.communicate()
    for gone in ("", "ledger.sqlite-shm"):
        if gone:
            (workspace / "runs" / gone).unlink()
        code, said = typed(workspace, "status")
        assert code == 0, said
        assert "interrupted, can be resumed" in said
        assert "DISCARD" in said or "KEEP" in said
    log = workspace / "runs" / "ledger.sqlite-wal"
    log.chmod(0o600)
    code, said = typed(workspace, "status")
    assert code == 2
    assert "ledger.sqlite-wal holds rows of ledger.sqlite and you may not read it (Permission denied)" in said
    log.chmod(0o644)
    (workspace / "runs" / "lock").chmod(0o600)
    code, said = typed(workspace, "status")
    assert (code, "shows whether a session runs and you may not read it" in said) == (2, True)
    (workspace / "runs" / "lock").chmod(0o644)
    outcome = next((workspace / "runs").glob("probe-*/outcome.json"))
    outcome.chmod(0o600)
    code, said = typed(workspace, "report")
    assert (code, f"{outcome} cannot be used (Permission denied)" in said) == (2, True)
    outcome.chmod(0o644)


@as_root
def test_a_finished_workspace_is_whole_for_somebody_who_may_only_read_it() -> None:
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        workspace.chmod(0o755)
        study = simulated_study.write_study(workspace / "study")
        assert nightlane("run", study, "--workspace", folder, "--probes", 12).returncode == 0
        assert not (workspace / "runs" / "ledger.sqlite-wal").exists()
        check(Workspace(workspace))  # imports what the reader may not
        code, shown = by_a_reader(lambda: print(*(status.message for status in check(Workspace(workspace))), sep="\n"))
    assert code == 0, shown
    assert "every row as it was written" in shown
    assert "damaged" not in shown


@pytest.fixture
def shared() -> Iterator[Path]:
    """A database in a folder that all may read."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "judging.sqlite"
        database = open_shared(
            path, "CREATE TABLE IF NOT EXISTS spent (session TEXT PRIMARY KEY, dollars REAL NOT NULL)"
        )
        database.execute("INSERT INTO spent VALUES ('s', 1.5)")
        database.close()
        yield path


def test_somebody_who_may_not_write_leaves_no_file_behind_and_changes_none(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shared.read_bytes()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert spent_on_judging(shared, "s") == 1.5
    assert spent_on_judging(shared, "another") == 0.0
    assert [path.name for path in shared.parent.iterdir()] == [shared.name]
    assert shared.read_bytes() == before


def test_a_copy_has_what_the_log_holds(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = open_shared(shared, "CREATE TABLE IF NOT EXISTS more (x)")
    writer.execute("UPDATE spent SET dollars = 2.5")
    original = sqlite3.connect

    def refused(where: object, *arguments: object, **more: object) -> sqlite3.Connection:
        if "mode=ro" in str(where):
            error = sqlite3.OperationalError("unable to open database file")
            error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
            raise error
        return original(where, *arguments, **more)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(sqlite3, "connect", refused)
    assert spent_on_judging(shared, "s") == 2.5
    writer.execute("UPDATE spent SET dollars = 3.5")
    assert open_to_read(shared, sqlite3.Connection).execute("SELECT dollars FROM spent").fetchone() == (3.5,)
    writer.close()


def test_a_count_that_was_only_just_made_holds_nothing(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "judging.sqlite").close()
    (tmp_path / "judging.sqlite").touch()
    assert spent_on_judging(tmp_path / "judging.sqlite", "s") == 0.0
