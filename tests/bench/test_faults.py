"""The supervisor injects faults, the disk model cuts the power, and a case finds what is lost, doubled or different."""

import errno
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import commands
import pytest

from agent.ledger.store import Ledger
from agent.ledger.tables import COMPARED
from agent.loop.harvest import HARVEST
from bench.faults import cases as bench_cases
from bench.faults import command, worker
from bench.faults.cases import scenario_of
from bench.faults.command import QUICK_SCENARIOS, main
from bench.faults.injection.disk import Disk, FileChange
from bench.faults.injection.supervisor import Fault, Kind, ProcessResult, Supervisor
from bench.faults.outcome import Outcome
from bench.faults.scenarios.judged_night import JUDGED_NIGHTS
from bench.faults.scenarios.nights import NIGHTS
from bench.faults.scenarios.observe import differences, lines_of
from bench.faults.scenarios.scenario import Command, Scenario, repeat
from bench.faults.stage import Stage
from bench.faults.table import Used, as_data, markdown
from common.files import write_durably


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def three_writes(root: Path) -> Command:
    def command() -> int:
        handle = os.open(root / "file", os.O_WRONLY | os.O_CREAT)
        for text in (b"aaaa", b"bbbb", b"cccc"):
            try:
                done = os.write(handle, text)
            except OSError as error:
                print(errno.errorcode[error.errno or 0])
            else:
                print(done)
        os.fsync(handle)
        return 0

    return command


def run(root: Path, fault: Fault | None = None, record: bool = False) -> ProcessResult:
    return Supervisor(root, root.parent, 20).run(three_writes(root), fault, record)


def test_a_process_is_killed_before_the_call_that_is_named_and_in_the_middle_of_a_write(root: Path) -> None:
    whole = run(root, record=True)
    assert (whole.code, whole.count) == (0, 5)
    assert [change.kind for change in whole.changes] == ["create", "write", "write", "write", "sync"]
    assert [change.data for change in whole.changes][1:4] == [b"aaaa", b"bbbb", b"cccc"]
    faults: list[tuple[Kind, str]] = [("kill", "aaaa"), ("tear", "aaaabb")]
    for kind, left in faults:
        (root / "file").unlink()
        killed = run(root, Fault(kind, 3))
        assert (killed.code, killed.where) == (-9, "write file")
        assert (root / "file").read_text() == left


def test_a_disk_is_full_from_a_call_on_and_an_error_comes_once(root: Path) -> None:
    full = run(root, Fault("full", 3))
    assert full.stdout.split() == ["4", "2", "ENOSPC"]
    assert (root / "file").read_text() == "aaaabb"
    assert run(root, Fault("error", 2)).stdout.split() == ["4", "EIO", "4"]  # the file exists: no call creates it


def test_calls_of_other_threads_are_met_too(root: Path) -> None:
    def command() -> int:
        thread = threading.Thread(target=three_writes(root))
        thread.start()
        thread.join()
        return 0

    killed = Supervisor(root, root.parent, 20).run(command, Fault("kill", 3))
    assert (killed.code, (root / "file").read_text()) == (-9, "aaaa")


def left_by(root: Path, changes: Sequence[tuple[object, ...]], cuts: int = 60) -> set[str | None]:
    """The contents that a file ``f`` may have after a power cut; None if it does not exist."""
    contents = set()
    for seed in range(cuts):
        disk = Disk(root, str(root))
        for kind, path, *more in changes:
            disk.apply(FileChange(str(kind), str(root / str(path)), **dict(more)))  # type: ignore[arg-type]
        left = disk.cut(str(seed)).get(str(root / "f"))
        contents.add(left.decode() if isinstance(left, bytes) else left)
    return contents


def test_what_was_synced_survives_a_power_cut_and_what_was_not_may_be_lost(root: Path) -> None:
    wrote = ("write", "f", ("data", b"whole"))
    assert {None, "", "whole"} < left_by(root, [("create", "f"), wrote])
    assert left_by(root, [("create", "f"), wrote, ("sync", "f")]) == {"whole"}


def test_a_name_is_certain_when_its_folder_was_synced(root: Path) -> None:
    renamed = [
        ("create", "t"),
        ("write", "t", ("data", b"new")),
        ("sync", "t"),
        ("rename", "t", ("other", str(root / "f"))),
    ]
    (root / "f").write_text("old")
    assert left_by(root, renamed) == {"old", "new"}
    (root / "again").mkdir()
    assert left_by(root, [*renamed, ("sync", ".")], 20) == {"new"}


def test_the_name_before_a_rename_that_is_certain_does_not_come_back(root: Path) -> None:
    disk = Disk(root, str(root))
    for change in (
        FileChange("create", str(root / "t")),
        FileChange("rename", str(root / "t"), str(root / "f")),
        FileChange("sync", str(root / "f")),
        FileChange("sync", str(root)),
    ):
        disk.apply(change)
    assert list(disk.cut("0")) == [str(root / "f")]


def test_a_file_that_was_renamed_before_it_was_synced_may_be_empty(root: Path) -> None:
    (root / "f").write_text("old")
    changes = [("create", "t"), ("write", "t", ("data", b"new")), ("rename", "t", ("other", str(root / "f")))]
    assert "" in left_by(root, changes)


def cases(write: Callable[[Path, str], object], kind: str, number: int = 12) -> list[Outcome]:
    """Cases of a command that writes two files, and that reports the first as done. A person repeats the command."""

    def command(root: Path) -> Command:
        def write_both() -> int:
            if not (root / "one").exists():
                write(root / "one", "1\n" * 300)
            os.write(2, b"one is done\n")
            write(root / "two", "2\n")
            return 0

        return write_both

    scenario = Scenario(
        "two files",
        lambda root, run: None,
        command,
        repeat(command),
        lambda root: {name: lines_of(root / name) for name in ("one", "two")},
        reported=lambda stderr: {"one"} if "one is done" in stderr else set(),
        stored=lambda root: {"one"} if lines_of(root / "one") == ["1"] * 300 else set(),
    )
    stage = Stage(scenario)
    return [stage.play(kind, place) for place in range(number)]


@pytest.mark.long
def test_a_command_that_does_not_sync_is_found_by_power_cuts_and_one_that_does_is_not() -> None:
    careless = cases(Path.write_text, "cut")
    assert any(line.startswith("reported as done") for outcome in careless for line in outcome.lost)
    assert not any(outcome.bad for outcome in cases(write_durably, "cut"))


@pytest.mark.long
def test_a_file_that_is_written_in_place_is_found_by_kills() -> None:
    assert any(outcome.bad for outcome in cases(Path.write_text, "kill"))
    assert not any(outcome.bad for outcome in cases(write_durably, "kill"))


@pytest.mark.long
def test_a_recorded_kill_leaves_what_a_real_one_does() -> None:
    real, recorded = cases(write_durably, "kill"), cases(Path.write_text, "state")
    assert {outcome.as_recorded for outcome in real} == {True}
    assert any(outcome.bad for outcome in recorded)
    assert not any(outcome.bad for outcome in cases(write_durably, "state"))


def test_kills_that_leave_equal_files_share_one_recovery() -> None:
    outcomes = cases(write_durably, "state", 36)
    played = [outcome for outcome in outcomes if not outcome.shared]
    assert len(played) < len(outcomes) / 2
    row = as_data(outcomes, {"state": 36}, Used(1.0, 1.0))["kinds"]["state"]
    assert (row["cases"], row["recoveries"]) == (36, len(played))


def test_a_record_that_does_not_match_a_kill_is_counted() -> None:
    outcomes = [Outcome("kill", number, "s", "write f", as_recorded=bool(number)) for number in range(3)]
    assert "2 of 3 commands that were really killed left the files that the record gives" in markdown(
        outcomes, {"kill": 3}, Used(1.0, 1.0)
    )


def test_an_error_that_a_command_does_not_catch_is_a_traceback() -> None:
    assert any(outcome.traceback for outcome in cases(write_durably, "error", 4))


def test_lost_doubled_and_different_lines_are_distinguished() -> None:
    found = differences({"rows": ["a", "b", "c"]}, {"rows": ["a", "a", "B", "b"]})
    assert (found.lost, found.doubled, found.different) == ((), ("rows: a",), ("rows: B",))
    assert differences({"rows": ["a", "b"]}, {}).lost == ("rows: a", "rows: b")


@pytest.mark.parametrize(
    "name",
    [
        *("doctor --repair", "night with a judge", "night of choices", "pairs score", "evaluate of a study"),
        *("finetune --resume", "promote", "export to adapter", "export to gguf", "export to merged"),
        *("requests to a session", "resume with requests", "rescore", "ship", "prompts", "service"),
    ],
)
def test_every_kind_of_command_is_among_the_scenarios(name: str) -> None:
    assert name in {scenario_of("kill", number).name for number in range(200)}


@pytest.mark.long
def test_the_nights_have_what_a_fault_could_spoil(tmp_path: Path) -> None:
    seen = set()
    for number, night in enumerate(NIGHTS):
        root = tmp_path / str(number) / "root"
        root.mkdir(parents=True)
        supervisor = Supervisor(root, root.parent, 60)
        night.prepare(root, supervisor.run)
        assert supervisor.run(night.command(root)).code == 0
        with Ledger(root / "runs" / "ledger.sqlite", read_only=True) as ledger:
            seen |= {decision.reason for decision in ledger.decisions()}
            seen |= {check.kind for name in ledger.sessions() for check in ledger.checks(name)}
    assert seen >= {"improved", "overtaken", "unconfirmed", "crash:diverged", "leave_one_out", "holdout", HARVEST}
    assert seen & {"calibration", "false_alarm"}


def test_the_judge_is_asked_in_the_nights_that_have_one(root: Path) -> None:
    night = next(night for night in JUDGED_NIGHTS if night.name == "night of choices")
    supervisor = Supervisor(root, root.parent, 300)
    night.prepare(root, supervisor.run)
    done = supervisor.run(night.command(root))
    assert done.code == 0, done.stderr
    with Ledger(root / "runs" / "ledger.sqlite", read_only=True) as ledger:
        (session,) = ledger.sessions()
        assert len(ledger.examinations(session)) == 2
        compared = ledger.checks(session, COMPARED)
        assert "improved" in {decision.reason for decision in ledger.decisions()}
    assert len([name for name in night.observe(root) if name.startswith("choices")]) == len(compared) > 2


def sleep() -> int:
    time.sleep(60)
    return 0


@pytest.mark.parametrize("slow", ["its preparation", "its command"])
def test_a_scenario_that_the_machine_is_too_slow_for_is_not_played_and_no_finding(
    slow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(root: Path, run: Callable[..., ProcessResult]) -> None:
        if slow == "its preparation":
            run(sleep)

    scenario = Scenario("slow", prepare, lambda root: sleep, repeat(lambda root: sleep), lambda root: {}, timeout=0.1)
    monkeypatch.setattr(bench_cases, "_slots", lambda: (scenario,))
    monkeypatch.setattr(bench_cases, "_stages", {})
    outcomes = [bench_cases.play("kill", number) for number in (3, 4)]
    assert not any(outcome.bad for outcome in outcomes)
    data = as_data(outcomes, {"kill": 2}, Used(1.0, 1.0))
    assert (data["clean"], data["wrong"], data["kinds"]["kill"]["cases"]) == (False, [], 0)
    assert data["not_played"]["slow"]["cases"] == 2
    assert "- slow: 2 cases, this machine is too slow: without a fault it takes over 0.1 s" in markdown(
        outcomes, {"kill": 2}, Used(1.0, 1.0)
    )


class Player:
    """A process that plays cases, as ``command._worker`` starts one: forked from the server of ``commands``, so that it
    need not import all libraries. It reads and writes two named pipes."""

    def __init__(self, folder: Path) -> None:
        pipes = [folder / name for name in ("asked", "played")]
        for pipe in pipes:
            os.mkfifo(pipe)
        self._process = commands.server().Process(target=play_cases, args=pipes)
        self._process.start()
        self.stdin, self.stdout = pipes[0].open("w", buffering=1), pipes[1].open()

    def communicate(self) -> None:
        self.stdin.close()
        self._process.join(commands.LONGEST)
        self.stdout.close()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode


def play_cases(asked: Path, played: Path) -> None:
    os.environ |= command.ENVIRONMENT
    for number, pipe, flags in ((0, asked, os.O_RDONLY), (1, played, os.O_WRONLY)):
        os.dup2(os.open(pipe, flags), number)
    sys.stdin = os.fdopen(0, closefd=False)
    worker.main()


@pytest.mark.long
@pytest.mark.slow
def test_nothing_is_lost_doubled_or_different_in_the_quick_bench(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Some of each kind and of each scenario, by one process; ``nightlane bench faults`` plays thousands. All are
    played, however slow the machine is."""
    few = {"cut": 5, "full": 4, "error": 4, "kill": 7, "state": 20}
    monkeypatch.setattr(command, "QUICK", few)
    monkeypatch.setattr(command, "PROCESSES", 1)
    monkeypatch.setattr(command, "_worker", lambda: Player(tmp_path))
    main(quick=True, minutes=10, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["wrong"] == []
    assert {kind: row["cases"] for kind, row in found["kinds"].items()} == few
    assert all(row["faults"] > 0 for row in found["kinds"].values())
    assert set(found["scenarios"]) == set(QUICK_SCENARIOS)
