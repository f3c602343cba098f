"""Workers whose batch is interrupted, that die without a probe, or whose device fails. They are stubs without torch: in
threads that replace processes, and in processes where a kill matters."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar, cast

import pytest
import stub_worker
import tiny
from stub_worker import ALIKE, Script

from common.errors import BadInput, BudgetSpent, MissingRequirement
from probes.inputs.material import Material
from probes.inputs.settings import Engine, RunnerSettings
from probes.result.reading import Failure, Outcome, Probe, ProbeKey, Reading
from probes.run import batch, local_workers, worker_pool
from probes.run.local_workers import ResidentRunner
from probes.run.protocol import Progress

KEY = ProbeKey(steps=4, base="base", data="data", prompts="prompts", scorer="scorer", samples=1, environment="here")
FILES = [module.__file__ for module in (batch, local_workers, worker_pool)]


def probe(seed: int) -> Probe:
    return Probe(tiny.recipe(), KEY, seed)


class Thread:
    """A stub worker in a thread with the interface of a process, so that hundreds of them take a second."""

    pid, exitcode = 1, None
    all: ClassVar[list[threading.Thread]] = []

    def __init__(self, target: object, args: tuple[Connection, Path, int], name: str) -> None:
        self.arguments = args

    def start(self) -> None:
        own = Connection(os.dup(self.arguments[0].fileno()))
        self.thread = threading.Thread(target=self.serve, args=(own,), daemon=True)
        self.thread.start()
        self.all.append(self.thread)

    def serve(self, pipe: Connection) -> None:
        with pipe, suppress(BrokenPipeError):
            stub_worker.serve(pipe, *self.arguments[1:])

    def kill(self) -> None:
        """The parent has closed its end, so that the thread ends by itself."""

    def join(self, timeout: float | None = None) -> None:
        """One that holds a probe goes on unheard, as a killed process would not."""


@pytest.fixture(autouse=True)
def _stubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SpawnContext, "Process", Thread)
    monkeypatch.setattr(worker_pool, "FIRST_PAUSE", 0.01)


@contextmanager
def opened(
    script: Script, workers: int = 1, attempts: int = 3, engine: Engine = "trl", deadline: float = 60
) -> Iterator[ResidentRunner]:
    settings = RunnerSettings(workers=workers, attempts=attempts, deadline=deadline, engine=engine)
    try:
        with ResidentRunner(cast(Material, script), settings, script.folder) as runner:
            yield runner
    finally:
        (script.folder / "go").touch()  # a thread that holds a probe would look for it as long as pytest runs


def of(outcome: Outcome) -> tuple[str, int]:
    assert isinstance(outcome, Reading), outcome
    return outcome.probe, outcome.seed


@pytest.mark.parametrize("error", [KeyboardInterrupt(), BudgetSpent("no money"), ValueError("a defect")])
def test_the_outcome_of_a_batch_that_was_broken_off_is_not_the_next_ones(tmp_path: Path, error: BaseException) -> None:
    def end(progress: Progress) -> None:
        if progress.probe:
            raise error

    with opened(Script(tmp_path, holds=(1,))) as runner:
        with pytest.raises(type(error)):
            runner.run([probe(1)], end)
        assert runner._pool.workers == [], "killed, and none started while nothing is to be done"
        (tmp_path / "go").touch()
        assert of(runner.run([probe(2)], lambda _: None)[0]) == (probe(2).id, 2)


@pytest.mark.long
def test_so_it_is_with_processes_and_the_one_at_work_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SpawnContext, "Process", SpawnProcess)
    monkeypatch.setattr(worker_pool, "serve", stub_worker.serve)
    working = []

    def end(progress: Progress) -> None:
        if progress.probe:
            working.extend(runner._pool.workers)
            raise KeyboardInterrupt

    with opened(Script(tmp_path, holds=(1,))) as runner:
        with pytest.raises(KeyboardInterrupt):
            runner.run([probe(1)], end)
        assert [worker.process.exitcode for worker in working] == [-signal.SIGKILL]
        (found,) = runner.run([probe(2)], lambda _: None)
        assert of(found) == (probe(2).id, 2)
        assert isinstance(found, Reading)
        assert found.final["process"] == runner._pool.workers[0].process.pid


def test_when_keeping_fails_only_the_workers_with_a_task_are_replaced(tmp_path: Path) -> None:
    def keep(kept: Probe, outcome: Outcome) -> None:
        raise OSError("the disk is gone")

    with opened(Script(tmp_path, holds=(1,)), workers=2) as runner:
        with pytest.raises(OSError, match="the disk is gone"):
            runner.run([probe(1), probe(2)], lambda _: None, keep)
        left = runner._pool.workers
        assert len(left) == 1
        (tmp_path / "go").touch()
        found = [of(outcome) for outcome in runner.run([probe(3), probe(4)], lambda _: None)]
        assert [seed for _, seed in found] == [3, 4]
        assert left[0] in runner._pool.workers


def test_a_worker_that_answers_for_another_probe_is_replaced_and_the_probe_run_again(tmp_path: Path) -> None:
    with opened(Script(tmp_path, mixed=1)) as runner:
        assert of(runner.run([probe(1)], lambda _: None)[0])[0] == probe(1).id
    assert (tmp_path / "starts-0").read_text(encoding="utf-8") == "xx"


def interrupted(call: Callable[[], object], line: int) -> bool:
    """Call it with a Ctrl-C before the n-th line of the runner's files that it runs; whether there was such a line."""
    seen = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal seen
        if frame.f_code.co_filename not in FILES:
            return None
        if event == "line":
            seen += 1
            if seen == line:
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    return False


@pytest.mark.long
def test_an_interrupt_before_any_third_line_of_the_runner_leaves_it_sound(tmp_path: Path) -> None:
    Thread.all.clear()
    script, line = Script(tmp_path), 1
    while True:
        with opened(script, workers=2) as runner:
            hit = interrupted(partial(runner.run, [probe(1), probe(2)], lambda _: None), line)
            found = runner.run([probe(3), probe(4)], lambda _: None)
            assert [of(outcome) for outcome in found] == [(probe(3).id, 3), (probe(4).id, 4)], line
        if not hit:
            break
        line += 3
    assert line > 100
    for thread in Thread.all:
        thread.join(5)
    assert not any(thread.is_alive() for thread in Thread.all)


def test_a_worker_that_dies_idle_is_restarted_a_few_times_and_then_given_up_with_one_note(tmp_path: Path) -> None:
    heard: list[Progress] = []
    script = Script(tmp_path, idle={1: 99}, holds=(1,))
    with opened(script, workers=2) as runner:
        given_up = threading.Timer(0, lambda: _when(lambda: runner.width == 1, tmp_path / "go"))
        given_up.start()
        states = set[str]()

        def listen(progress: Progress) -> None:
            heard.append(progress)
            states.add(runner.workers[1].state)

        runner.run([probe(1)], listen)
        given_up.join()
        assert states >= {"restarting", "given up"}
        runner.run([probe(2)], heard.append)
        assert runner.width == 1
    notes = [progress.note for progress in heard if progress.note]
    assert len(notes) == 1
    assert "worker 1 is not started again" in notes[0]
    assert "1 of 2 workers are left" in notes[0]
    assert script.counted("starts-1") == 1 + worker_pool.RESTARTS


def test_a_probe_that_never_reached_its_worker_loses_no_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_probes = ResidentRunner._hand_out

    def send_late(runner: ResidentRunner, *arguments: Any) -> None:
        time.sleep(0.05)  # the ready worker has died by then
        send_probes(runner, *arguments)

    monkeypatch.setattr(ResidentRunner, "_hand_out", send_late)
    with opened(Script(tmp_path, idle={0: 2}), attempts=1) as runner:
        assert of(runner.run([probe(1)], lambda _: None)[0]) == (probe(1).id, 1)


def _when(condition: Callable[[], bool], file: Path) -> None:
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    file.touch()


def test_a_worker_that_is_killed_before_it_is_ready_ends_nothing(tmp_path: Path) -> None:
    with opened(Script(tmp_path, deaths={0: 1, 1: 99}), workers=2) as runner:
        assert runner.environment == ALIKE
        assert of(runner.run([probe(1)], lambda _: None)[0]) == (probe(1).id, 1)


def test_the_first_worker_that_answers_settles_the_environment(tmp_path: Path) -> None:
    with opened(Script(tmp_path, deaths={0: 99}), workers=2) as runner:
        assert runner.environment == ALIKE
        assert (tmp_path / "starts-1").exists()


def test_where_no_worker_is_left_the_run_ends_with_the_log_and_the_way_out(tmp_path: Path) -> None:
    with (
        opened(Script(tmp_path, deaths={0: 99})) as runner,
        pytest.raises(MissingRequirement, match=r"worker-0\.log.* mend the machine$"),
    ):
        _ = runner.environment
    assert (tmp_path / "starts-0").read_text(encoding="utf-8") == "x" * (1 + worker_pool.RESTARTS)


def test_what_a_worker_refuses_ends_the_run_at_once(tmp_path: Path) -> None:
    with opened(Script(tmp_path, refuses=True)) as runner, pytest.raises(BadInput, match="the base is none"):
        _ = runner.environment
    assert (tmp_path / "starts-0").read_text(encoding="utf-8") == "x"


@pytest.mark.parametrize(("kind", "starts"), [("oom", "xx"), ("device", "xx"), ("scorer", "x"), ("error", "x")])
def test_after_a_failure_of_memory_or_device_the_worker_is_replaced(tmp_path: Path, kind: Any, starts: str) -> None:
    with opened(Script(tmp_path, fails={1: (kind,)})) as runner:
        first, second = runner.run([probe(1), probe(2)], lambda _: None)
        assert of(second)[0] == probe(2).id
        assert isinstance(first, Failure) == (kind == "error"), "the others are tried again"
        assert (tmp_path / "starts-0").read_text(encoding="utf-8") == starts


@pytest.mark.parametrize("how", ["ends", "device"])
def test_one_bad_device_of_two_is_given_up_with_one_note_and_costs_no_probe(tmp_path: Path, how: Any) -> None:
    heard: list[Progress] = []
    script = Script(tmp_path, broken={0: how})
    with opened(script, workers=2) as runner:
        found = runner.run([probe(seed) for seed in range(20)], heard.append)
        assert [of(outcome)[1] for outcome in found] == [*range(20)]
        assert runner.width == 1
    assert script.counted("starts-0") == 1 + worker_pool.RESTARTS
    assert script.counted("starts-1") == 1
    assert max(script.counted(f"tries-{seed}") for seed in range(20)) == 2, "again in the good worker, at once"
    (note,) = [progress.note for progress in heard if progress.note]
    assert "worker 0 is not started again" in note
    assert "1 of 2 workers are left" in note
    assert how == "ends" or "uncorrectable ECC error" in note


@pytest.mark.parametrize("how", ["ends", "device"])
def test_where_the_only_device_is_bad_the_run_ends_and_no_probe_has_failed_for_good(tmp_path: Path, how: Any) -> None:
    kept: list[Outcome] = []
    script = Script(tmp_path, broken={0: how})
    with opened(script) as runner, pytest.raises(MissingRequirement, match=r"no worker is left: .*worker-0\.log"):
        runner.run([probe(seed) for seed in range(8)], lambda _: None, lambda _, outcome: kept.append(outcome))
    assert kept == []
    assert script.counted("starts-0") == 1 + worker_pool.RESTARTS


def test_a_probe_that_ends_every_worker_is_not_held_against_them(tmp_path: Path) -> None:
    with opened(Script(tmp_path, kills=(1, 2, 4))) as runner:
        found = runner.run([probe(seed) for seed in range(6)], lambda _: None)
        assert runner.width == 1
    assert [isinstance(outcome, Failure) for outcome in found] == [False, True, True, False, True, False]


def test_the_time_for_the_start_does_not_count_the_download(tmp_path: Path) -> None:
    settings = RunnerSettings(workers=1, start_seconds=1.5)
    with ResidentRunner(cast(Material, Script(tmp_path, downloads=20)), settings, tmp_path) as runner:
        assert runner.environment == ALIKE
    assert (tmp_path / "starts-0").read_text(encoding="utf-8") == "x", "it was not started again"


def test_out_of_memory_is_tried_once_more_and_no_more(tmp_path: Path) -> None:
    script = Script(tmp_path, fails={1: ("oom",) * 9})
    with opened(script, attempts=5) as runner:
        (found,) = runner.run([probe(1)], lambda _: None)
    assert isinstance(found, Failure)
    assert found.kind == "oom"
    assert script.counted("tries-1") == 2


def test_out_of_memory_is_asked_again_with_half_at_once_and_that_is_remembered_for_the_base(tmp_path: Path) -> None:
    heard: list[Progress] = []
    with opened(Script(tmp_path, room=2)) as runner:
        found = runner.run([probe(1), probe(2)], heard.append)
        other = Probe(tiny.recipe(quantization="nf4", effective_batch=1), KEY, 3)
        found += runner.run([other], heard.append)
        found += runner.run([probe(4)], heard.append)
    figures = [outcome.final for outcome in found if isinstance(outcome, Reading)]
    assert [(of["rows"], of["answers"]) for of in figures] == [(2, 128), (2, 128), (8, 256), (2, 128)]
    notes = [progress.note for progress in heard if progress.note]
    assert notes == [
        f"probe {probe(1).id} ran out of memory with 4 rows and 256 answers at once; it is tried again in a new worker "
        "with 2 and 128"
    ]
    assert (tmp_path / "starts-0").read_text(encoding="utf-8") == "xx", "the worker was replaced once"


def test_what_does_not_fit_by_halves_fails_alone_and_nothing_is_remembered_of_it(tmp_path: Path) -> None:
    large = Probe(tiny.recipe(effective_batch=16), KEY, 1)
    with opened(Script(tmp_path, room=2)) as runner:
        failed, _ = runner.run([large, Probe(tiny.recipe(effective_batch=1), KEY, 2)], lambda _: None)
        (after,) = runner.run([Probe(tiny.recipe(effective_batch=1), KEY, 3)], lambda _: None)
    assert isinstance(failed, Failure)
    assert failed.kind == "oom"
    assert isinstance(after, Reading)
    assert after.final["rows"] == RunnerSettings().micro_batch


@pytest.mark.parametrize(
    ("theirs", "differs"),
    [
        (ALIKE.replace("3.11.9", "3.12.1"), "python=3.12.1 where the first has python=3.11.9"),
        (ALIKE.replace("cpu-x86_64", "NVIDIA-H100"), "NVIDIA-H100 where the first has cpu-x86_64"),
        (f"{ALIKE} trl=1.16.0", "trl=1.16.0 where the first has none"),
    ],
)
def test_workers_that_are_unlike_are_refused(tmp_path: Path, theirs: str, differs: str) -> None:
    script = Script(tmp_path, environments={1: theirs}, holds=(1,))
    with opened(script, workers=2) as runner:
        with pytest.raises(MissingRequirement, match=r"CUDA_VISIBLE_DEVICES .* as they were$") as refused:
            runner.run([probe(1), probe(1)], lambda _: None)
        told = str(refused.value)
        first, other = differs.split(" where the first has ")
        assert differs in told or f"{other} where the first has {first}" in told, "whichever answered first"


@pytest.mark.long
def test_a_worker_that_dies_before_it_takes_its_material_is_one_more_death(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The material is larger than any pipe holds, so that writing it to a dead child would never end."""
    monkeypatch.setattr(SpawnContext, "Process", SpawnProcess)
    monkeypatch.setattr(worker_pool, "serve", stub_worker.dead)
    monkeypatch.setattr(worker_pool, "RESTARTS", 1)
    with pytest.raises(MissingRequirement, match="no worker is left: each ended 2 times in a row"):
        opened(Script(tmp_path, bulk="x" * (1 << 22))).__enter__().environment  # noqa: B018


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (1, "with exit code 1"),
        (-9, "killed by SIGKILL, which the system sends when memory runs out"),
        (-11, "killed by SIGSEGV"),
        (-99, "killed by signal 99"),
        (None, "it does not answer and has not ended"),
    ],
)
def test_the_end_of_a_worker_is_told_in_words(code: int | None, said: str) -> None:
    assert worker_pool.ended(code) == said


def test_probes_that_were_cut_off_together_are_measured_one_by_one_and_only_the_guilty_fails(tmp_path: Path) -> None:
    """Four in a list; the second ends its worker each time. The first is not measured again."""
    script = Script(tmp_path, kills=(1,))
    batch = [probe(seed) for seed in range(4)]
    with opened(script, attempts=2, engine="packed") as runner:
        outcomes = runner.run(batch, lambda _: None)
    assert [of(outcomes[place]) for place in (0, 2, 3)] == [(batch[n].id, n) for n in (0, 2, 3)]
    failure = outcomes[1]
    assert isinstance(failure, Failure)
    assert failure.kind == "lost_worker"
    assert [script.counted(f"tries-{seed}") for seed in range(4)] == [1, 3, 1, 1]


def test_of_a_list_past_its_deadline_each_probe_has_its_own_deadline_alone(tmp_path: Path) -> None:
    script = Script(tmp_path, holds=(1,))
    batch = [probe(seed) for seed in range(3)]
    with opened(script, engine="packed", deadline=0.3) as runner:
        outcomes = runner.run(batch, lambda _: None)
        (tmp_path / "go").touch()
    assert [of(outcomes[place]) for place in (0, 2)] == [(batch[n].id, n) for n in (0, 2)]
    failure = outcomes[1]
    assert isinstance(failure, Failure)
    assert failure.kind == "timeout"


def test_a_worker_that_is_replaced_leaves_the_rest_of_its_list_to_others(tmp_path: Path) -> None:
    script = Script(tmp_path, fails={0: ("oom",)})
    batch = [probe(seed) for seed in range(3)]
    with opened(script, engine="packed") as runner:
        outcomes = runner.run(batch, lambda _: None)
    assert [of(outcome) for outcome in outcomes] == [(one.id, one.seed) for one in batch]
