"""What a running session writes of its probes in flight, with a clock that the test moves."""

import json
from pathlib import Path

import pytest
import tiny

from agent.loop.in_flight import FILE, InFlightFile, read_in_flight
from probes.result.reading import Failure, Probe, ProbeKey, Reading, Timing
from probes.run.protocol import Phase, Progress, WorkerStatus

KEY = ProbeKey(steps=10, base="base", data="data", prompts="prompts", scorer="scorer", samples=2, environment="here")
PROBES = [Probe(tiny.recipe(), KEY, seed) for seed in (1, 2, 3)]


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def training(probe: Probe, step: int, loss: float = 2.0, phase: Phase = "training") -> Progress:
    return Progress(probe.id, phase, step, 10, loss)


def reading(probe: Probe, timing: Timing) -> Reading:
    return Reading(
        probe=probe.id,
        recipe=probe.recipe.digest,
        key=KEY,
        seed=probe.seed,
        scores=(),
        final={},
        timing=timing,
        tokens=0,
        peak_gb=0.0,
    )


def test_probes_are_followed_from_waiting_to_done(tmp_path: Path) -> None:
    clock = Clock()
    file = InFlightFile(tmp_path, clock)
    with file.batch("wave 2", PROBES):
        found = read_in_flight(tmp_path, _process(tmp_path))
        assert found is not None
        assert (found.title, found.probes, found.waiting, found.done) == ("wave 2", (), 3, 0)
        file.progress(training(PROBES[0], 1))
        clock.now += 2
        file.progress(training(PROBES[0], 2, loss=1.5))
        found = read_in_flight(tmp_path, _process(tmp_path))
        assert found is not None
        [probe] = found.probes
        assert (probe.step, probe.loss, probe.seconds_per_step, found.waiting) == (2, 1.5, 2.0, 2)
        assert probe.seconds_left(found.typical, clock.now) is None, "no probe has shown how long it takes"
        assert probe.training_left(found.typical, clock.now + 3) == 8 * 2.0 - 3
        file.progress(training(PROBES[0], 10, phase="done"))
        file.ended(PROBES[0], reading(PROBES[0], Timing(20, 6, 4, 30)))
        file.progress(training(PROBES[1], 10, phase="generating"))
        file.ended(PROBES[2], Failure(PROBES[2].id, 3, "oom", ""))
        found = read_in_flight(tmp_path, _process(tmp_path))
        assert found is not None
        [probe] = found.probes
        assert (probe.id, probe.phase, found.waiting, found.done) == (PROBES[1].id, "generating", 0, 2)
        assert probe.seconds_left(found.typical, clock.now + 1) == 5 + 4
        assert probe.seconds_left(found.typical, clock.now + 60) == 4, "it takes longer than the last one"
        assert found.seconds_left(clock.now) == 10
    assert not (tmp_path / FILE).exists()


def test_a_step_is_written_once_a_second_and_another_phase_at_once(tmp_path: Path) -> None:
    clock = Clock()
    file = InFlightFile(tmp_path, clock)
    with file.batch("wave 2", PROBES):
        file.progress(training(PROBES[0], 1))
        for step, seconds, shown in ((2, 0.4, 1), (3, 0.4, 1), (4, 0.4, 4)):
            clock.now += seconds
            file.progress(training(PROBES[0], step))
            assert _steps(tmp_path) == [shown]
        file.progress(training(PROBES[0], 10, phase="generating"))
        assert _steps(tmp_path) == [10]


def test_workers_are_told_with_their_probes_and_a_change_of_theirs_alone_is_written_at_once(tmp_path: Path) -> None:
    workers = [WorkerStatus(number=0, state="busy", probes=(PROBES[0].id,)), WorkerStatus(number=1, state="starting")]
    file = InFlightFile(tmp_path, Clock(), lambda: workers)
    with file.batch("wave 2", PROBES):
        file.progress(training(PROBES[0], 1))
        found = read_in_flight(tmp_path, _process(tmp_path))
        assert found is not None
        assert (found.worker_of(PROBES[0].id), found.worker_of(PROBES[1].id)) == (0, None)
        assert found.without_a_probe == (workers[1],)
        workers[0] = WorkerStatus(number=0, state="restarting", failures=1)
        file.progress(Progress("", "waiting", 0, 0))
        found = read_in_flight(tmp_path, _process(tmp_path))
        assert found is not None
        assert found.workers == tuple(workers)
        assert (found.probes, found.waiting) == ((), 3), "it waits for another worker"


def test_a_probe_that_runs_again_begins_anew(tmp_path: Path) -> None:
    clock = Clock()
    file = InFlightFile(tmp_path, clock)
    with file.batch("wave 2", PROBES):
        for step in (1, 8, 1):
            clock.now += 7
            file.progress(training(PROBES[0], step))
        found = read_in_flight(tmp_path, _process(tmp_path))
        assert found is not None
        [probe] = found.probes
        assert (probe.step, probe.seconds_per_step, probe.phase_began) == (1, None, clock.now)


def test_the_batchs_time_counts_the_waiting_probes_at_the_width_of_now(tmp_path: Path) -> None:
    clock = Clock()
    file = InFlightFile(tmp_path, clock)
    many = [Probe(tiny.recipe(), KEY, seed) for seed in range(10, 18)]
    with file.batch("wave 2", many, [reading(PROBES[0], Timing(20, 6, 4, 30))]):
        for probe in many[:2]:
            file.progress(training(probe, 5))
        found = read_in_flight(tmp_path, _process(tmp_path))
        assert found is not None
        assert found.seconds_left(clock.now) == pytest.approx((2 * (5 * 2 + 10) + 6 * 30) / 2)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"process": 1}', '{"process": 1, "probes": 3, "typical": null}'])
def test_a_damaged_file_says_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content, encoding="utf-8")
    assert read_in_flight(tmp_path, 1) is None


def test_a_folder_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    file = InFlightFile(tmp_path, Clock())
    file.forget()
    with file.batch("wave 1", PROBES):
        file.progress(training(PROBES[0], 1))
    gone = InFlightFile(tmp_path / "gone", Clock())
    with gone.batch("wave 1", PROBES):
        gone.progress(training(PROBES[0], 1))
    assert not (tmp_path / "gone").exists()


def _process(folder: Path) -> int:
    process = json.loads((folder / FILE).read_text(encoding="utf-8"))["process"]
    assert isinstance(process, int)
    return process


def _steps(folder: Path) -> list[int]:
    return [one["step"] for one in json.loads((folder / FILE).read_text(encoding="utf-8"))["probes"]]
