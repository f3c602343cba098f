"""A repair that is killed before any of its steps, or fails at one, and is given again: nothing is lost."""

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ledger_rows import filled, in_child
from long_cases import all_but
from some_rows import pair, stores

from agent.ledger.store import Ledger
from agent.workspace.check import check, repair
from agent.workspace.folder import Workspace
from bench.faults.injection.supervisor import Fault, ProcessResult, Supervisor
from common.errors import BadInput, DiskFull
from preferences.store.annotations import Vote
from preferences.store.stores import Stores
from probes.endpoint.spending import Allowance, SpendingMeter, Usage

STEPS = ("rename", "replace", "unlink", "mkdir", "rmdir", "fsync", "link", "truncate", "ftruncate")
EVENTS = {f"event {number}" for number in range(20)}


def patched(at: int, fail: Callable[[str], None]) -> Callable[[], int]:
    """``os`` calls ``fail`` before each step from number ``at`` on. Returns the number of steps until now."""
    done = 0

    def before(call: Callable[..., Any], name: str) -> Callable[..., Any]:
        def act(*given: Any, **named: Any) -> Any:
            nonlocal done
            done += 1
            if done >= at:
                fail(name)
            return call(*given, **named)

        return act

    for name in STEPS:
        setattr(os, name, before(getattr(os, name), name))
    return lambda: done


def killed(workspace: Workspace, at: int) -> bool:
    """Repair in a child that is killed before this step; False if it has fewer steps."""
    return in_child(lambda: (patched(at, lambda name: os._exit(9)), repair(workspace))) == 9


def failed(workspace: Workspace, at: int) -> bool:
    """Repair in a child on a disk that is full from this step on; False if it has fewer steps."""

    def fail(name: str) -> None:
        raise OSError(errno.ENOSPC, "full", name)

    def act() -> None:
        steps = patched(at, fail)
        with contextlib.suppress(DiskFull):
            repair(workspace)
        os._exit(9 if steps() >= at else 0)

    return in_child(act) == 9


def cut_off(made: Path, folder: Path, cut: Callable[[Workspace, int], bool]) -> Iterator[Workspace]:
    """The workspace ``made`` after each way in which its repair can be cut off."""
    for at in range(1, 200):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(made, folder)
        if not cut(Workspace(folder), at):
            assert at > 5
            return
        yield Workspace(folder)
    raise AssertionError("a repair has no end")


def damaged(workspace: Workspace) -> list[str]:
    return [Path(one.path).name for one in check(workspace) if not one.intact]


@pytest.fixture
def damaged_ledger(tmp_path: Path) -> Path:
    """A workspace as a kill leaves it: the last events are in the write-ahead log. One row is damaged."""
    path = filled(tmp_path / "open")
    with Ledger(path) as ledger:
        for text in sorted(EVENTS):
            ledger.record_event(text, "s1", "2026-01-01T00:00:00Z", text)
        shutil.copytree(tmp_path / "open", tmp_path / "made")
    path = tmp_path / "made" / "runs" / "ledger.sqlite"
    content = path.read_bytes()
    assert b"optuna" in content
    assert path.with_name("ledger.sqlite-wal").stat().st_size > 0
    path.write_bytes(content.replace(b"optuna", b"optima", 1))
    return tmp_path / "made"


def events(workspace: Workspace) -> set[str]:
    with Ledger(workspace.ledger, read_only=True) as ledger:
        return {text for _, _, text in ledger.events()}


@pytest.mark.parametrize("cut", all_but([failed], [killed, failed]))
def test_a_repair_of_the_ledger_that_is_cut_off_loses_no_row(
    damaged_ledger: Path, tmp_path: Path, cut: Callable[[Workspace, int], bool]
) -> None:
    for workspace in cut_off(damaged_ledger, tmp_path / "cut", cut):
        if "ledger.sqlite" in damaged(workspace):
            repair(workspace)
        assert events(workspace) >= EVENTS | {"line 1", "line 2", "line 3"}
        with Ledger(workspace.ledger, read_only=True) as ledger:
            assert len(ledger.decisions()) == 3
        assert "ledger.sqlite" not in damaged(workspace)


@pytest.mark.long
def test_rows_that_a_full_disk_keeps_from_being_read_are_not_lost(damaged_ledger: Path, tmp_path: Path) -> None:
    """SQLite writes an index of the log (-shm) to read a ledger that has one."""
    root = tmp_path / "root"

    def given_again(fault: Fault | None) -> ProcessResult:
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(damaged_ledger, root)
        return Supervisor(root, tmp_path, 20).run(lambda: bool(repair(Workspace(root))) - 1, fault, fault is None)

    changes = given_again(None).changes
    places = [at for at, change in enumerate(changes, 1) if change.path.endswith("-shm") and change.kind == "write"]
    assert places
    for at in places:
        given_again(Fault("full", at))
        if "ledger.sqlite" in damaged(Workspace(root)):
            repair(Workspace(root))
        assert events(Workspace(root)) >= EVENTS | {"line 1", "line 2", "line 3"}


@pytest.mark.long
def test_a_session_after_a_repair_that_was_cut_off_keeps_its_rows_too(damaged_ledger: Path, tmp_path: Path) -> None:
    for workspace in cut_off(damaged_ledger, tmp_path / "cut", killed):
        with Ledger(workspace.ledger) as ledger:
            ledger.record_event("later", "s1", "2026-01-01T00:00:00Z", "later")
        repair(workspace)
        assert events(workspace) >= EVENTS | {"line 1", "line 2", "line 3", "later"}


@pytest.mark.long
def test_a_reader_says_that_a_repair_was_cut_off(damaged_ledger: Path, tmp_path: Path) -> None:
    messages = set()
    for workspace in cut_off(damaged_ledger, tmp_path / "cut", killed):
        if (workspace.runs / "ledger-repaired").exists():
            with pytest.raises(BadInput, match=r"its repair was cut off; finish it with nightlane doctor --repair"):
                Ledger(workspace.ledger, read_only=True)
            messages |= {one.message for one in check(workspace) if one.path.endswith("ledger.sqlite")}
    assert len(messages) == 1


@pytest.fixture
def damaged_stores(tmp_path: Path) -> Path:
    """Rows and votes, one line of each damaged."""
    made = stores(tmp_path / "made" / "runs")
    made.add([pair(0), pair(1), pair(2)])
    made.vote([Vote(pair(number).id, "up", "anna", "2026-01-01T00:00:00Z") for number in range(3)])
    for name in ("dpo", "votes"):
        with (made.folder / f"{name}.jsonl").open("a", encoding="utf-8") as stream:
            stream.write('{"torn": tru\n')
    return tmp_path / "made"


@pytest.mark.parametrize("cut", all_but([failed], [killed, failed]))
def test_a_repair_of_the_stores_that_is_cut_off_loses_no_row(
    damaged_stores: Path, tmp_path: Path, cut: Callable[[Workspace, int], bool]
) -> None:
    for workspace in cut_off(damaged_stores, tmp_path / "cut", cut):
        repair(workspace)
        assert damaged(workspace) == []
        found = Stores(workspace.runs / "rl_data")
        assert {row.id for row in found.rows("dpo")} == {pair(number).id for number in range(3)}
        assert len(found.votes()) == 3
        copies = sorted(path.name for path in found.folder.glob("*.damaged*"))
        assert copies == ["dpo.jsonl.damaged", "votes.jsonl.damaged"]


@pytest.mark.parametrize("left", ["nothing", "an empty file", "a later row"])
def test_a_copy_that_has_more_lines_than_the_file_is_named_and_taken_over(
    damaged_stores: Path, tmp_path: Path, left: str
) -> None:
    """As a repair of an older version left it, which renamed the file before it wrote the new one."""
    folder, workspace = damaged_stores / "runs" / "rl_data", Workspace(damaged_stores)
    path = folder / "dpo.jsonl"
    path.rename(folder / "dpo.jsonl.damaged")
    if left == "an empty file":
        path.touch()
    elif left == "a later row":
        Stores(folder).add([pair(7)])
    (status,) = [one for one in check(workspace) if one.path == str(path)]
    assert not status.intact
    assert "dpo.jsonl.damaged beside it has more lines" in status.message
    repair(workspace)
    assert damaged(workspace) == []
    later = [pair(7)] if left == "a later row" else []
    assert list(Stores(folder).rows("dpo")) == [pair(0), pair(1), pair(2), *later]


def test_a_database_is_set_aside_with_its_log_whenever_that_is_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "made" / "runs" / "judging.sqlite"
    for session in ("s1", "s2"):
        shutil.rmtree(tmp_path / "open", ignore_errors=True)
        with SpendingMeter(Allowance(file=file, session=session)) as meter, meter.call(0.5) as taken:
            taken.append(Usage(calls=1, dollars=0.25))
            shutil.copytree(tmp_path / "made", tmp_path / "open")
    made = tmp_path / "open"
    file = made / "runs" / "judging.sqlite"
    log = (made / "runs" / "judging.sqlite-wal").read_bytes()
    assert log
    file.write_bytes(b"no database" * 300)
    for workspace in cut_off(made, tmp_path / "cut", killed):
        repair(workspace)
        assert damaged(workspace) == []
        copies = workspace.runs.glob("judging.sqlite.damaged*-wal")
        assert log in [copy.read_bytes() for copy in copies]
