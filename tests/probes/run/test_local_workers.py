"""Resident workers with the tiny model: reuse, deadlines, deaths."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tiny
from commands import ROOT, Command

from common.errors import BadInput
from lanes import Recipe
from probes.inputs.settings import RunnerSettings
from probes.result.reading import Failure, Outcome, Probe, Reading
from probes.run.local_workers import ResidentRunner
from probes.run.protocol import Progress
from testing import simulated_study

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("forked_workers")]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def probes(runner: ResidentRunner, folder: Path, *recipes: Recipe, steps: int = 4) -> list[Probe]:
    key = tiny.material(folder, steps=steps).key(runner.environment)
    return [Probe(recipe, key, seed) for recipe in recipes for seed in (42, 123)]


@pytest.fixture(scope="module")
def runner(
    forked_workers: None, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ResidentRunner]:
    runs = tmp_path_factory.mktemp("runs")
    settings = RunnerSettings(workers=2, threads=1, deadline=120)
    with ResidentRunner(tiny.material(tiny_folder), settings, runs) as opened:
        yield opened


def gist(outcome: Outcome) -> object:
    assert isinstance(outcome, Reading), outcome
    return outcome.probe, outcome.scores, outcome.final, outcome.tokens


def test_outcomes_come_in_the_order_asked_and_progress_is_told(runner: ResidentRunner, tiny_folder: Path) -> None:
    heard: list[Progress] = []
    batch = probes(runner, tiny_folder, tiny.recipe(), tiny.recipe(objective="dpo"))
    outcomes = runner.run(batch, heard.append)
    assert [outcome.probe for outcome in outcomes] == [probe.id for probe in batch]
    assert all(isinstance(outcome, Reading) for outcome in outcomes)
    for probe in batch:
        phases = [progress.phase for progress in heard if progress.probe == probe.id]
        assert phases == ["training"] * 4 + ["generating", "scoring", "done"]


@pytest.mark.long
def test_a_worker_that_served_others_gives_bit_for_bit_what_a_fresh_one_gives(
    runner: ResidentRunner, tiny_folder: Path, tmp_path: Path
) -> None:
    batch = probes(runner, tiny_folder, tiny.recipe(objective="dpo"), tiny.recipe(lora_rank=8), tiny.recipe())
    served = [gist(outcome) for outcome in runner.run(batch, lambda _: None)]
    settings = RunnerSettings(workers=1, threads=1, deadline=120)
    for probe, before in zip(batch[-2:], served[-2:], strict=True):
        with ResidentRunner(tiny.material(tiny_folder), settings, tmp_path) as fresh:
            assert gist(fresh.run([probe], lambda _: None)[0]) == before


def test_a_killed_worker_is_replaced_and_its_probe_tried_again(runner: ResidentRunner, tiny_folder: Path) -> None:
    killed: list[int] = []

    def kill_one(progress: Progress) -> None:
        if progress.phase == "training" and progress.step == 2 and not killed:
            victim = next(w for w in runner._pool.workers if progress.probe in [task.probe.id for task in w.tasks])
            assert victim.process.pid is not None
            killed.append(victim.process.pid)
            os.kill(victim.process.pid, signal.SIGKILL)

    batch = probes(runner, tiny_folder, tiny.recipe(beta=0.2))
    undisturbed = [gist(outcome) for outcome in runner.run(batch, lambda _: None)]
    assert [gist(outcome) for outcome in runner.run(batch, kill_one)] == undisturbed
    assert len(killed) == 1
    assert killed[0] not in [worker.process.pid for worker in runner._pool.workers]


def test_the_packed_engine_measures_a_list_and_each_probe_as_alone(tiny_folder: Path, tmp_path: Path) -> None:
    settings = RunnerSettings(workers=2, threads=1, deadline=120, engine="packed")
    with ResidentRunner(tiny.material(tiny_folder), settings, tmp_path) as runner:
        assert "engine=packed" in runner.environment.split()
        recipes = (tiny.recipe(), tiny.recipe(objective="dpo", effective_batch=2), tiny.recipe(lora_rank=8))
        batch = probes(runner, tiny_folder, *recipes)
        heard: list[Progress] = []
        together = [gist(outcome) for outcome in runner.run(batch, heard.append)]
        for probe in batch:
            phases = [progress.phase for progress in heard if progress.probe == probe.id]
            assert phases == ["training"] * 4 + ["generating", "scoring", "done"]
        assert [gist(runner.run([probe], lambda _: None)[0]) for probe in batch] == together


def test_a_base_that_the_packed_engine_cannot_train_is_trained_by_trl(tiny_folder: Path, tmp_path: Path) -> None:
    config = json.loads((tiny_folder / "model" / "config.json").read_text(encoding="utf-8"))
    for path in tiny_folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "model").unlink()
    (tmp_path / "model").mkdir()
    for path in (tiny_folder / "model").iterdir():
        (tmp_path / "model" / path.name).symlink_to(path)
    (tmp_path / "model" / "config.json").unlink()
    (tmp_path / "model" / "config.json").write_text(json.dumps({**config, "attention_dropout": 0.1}), encoding="utf-8")
    settings = RunnerSettings(workers=1, threads=1, deadline=120, engine="packed")
    with ResidentRunner(tiny.material(tmp_path), settings, tmp_path) as runner:
        assert "engine=" not in runner.environment
        assert "trained by TRL, not packed: it draws dropout only before LoRA matrices" in runner.about


@pytest.mark.long
def test_a_probe_whose_worker_is_lost_every_time_is_a_failure_without_a_score(
    tiny_folder: Path, tmp_path: Path
) -> None:
    settings = RunnerSettings(workers=1, threads=1, attempts=2)
    with ResidentRunner(tiny.material(tiny_folder), settings, tmp_path) as runner:

        def kill_all(progress: Progress) -> None:
            if progress.phase == "training" and progress.step == 1:
                pid = runner._pool.workers[0].process.pid
                assert pid is not None
                os.kill(pid, signal.SIGKILL)

        outcome = runner.run(probes(runner, tiny_folder, tiny.recipe())[:1], kill_all)[0]
    assert isinstance(outcome, Failure)
    assert outcome.kind == "lost_worker"
    assert "attempt 2 of 2" in outcome.message
    assert not outcome.permanent


def test_a_probe_past_its_deadline_is_killed_and_its_worker_replaced(tiny_folder: Path, tmp_path: Path) -> None:
    settings = RunnerSettings(workers=1, threads=1, deadline=2.0)
    material = tiny.material(tiny_folder, steps=2_000)
    with ResidentRunner(material, settings, tmp_path) as runner:
        key = material.key(runner.environment)
        short = Probe(tiny.recipe(), key, 1)
        first = runner._pool.workers[0].process.pid
        started = time.monotonic()
        outcome = runner.run([short], lambda _: None)[0]
        assert time.monotonic() - started < 30
        assert runner._pool.workers[0].process.pid != first
        assert first is not None
        assert not alive(first)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "timeout"


def test_a_model_that_cannot_be_loaded_is_said_in_one_sentence(tmp_path: Path) -> None:
    simulated_study.write_data(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}", encoding="utf-8")
    material = tiny.material(tmp_path)
    with (
        ResidentRunner(material, RunnerSettings(workers=1), tmp_path) as runner,
        pytest.raises(BadInput, match="could not be loaded"),
    ):
        _ = runner.environment


@pytest.fixture(params=["forked", pytest.param("in a new interpreter", marks=pytest.mark.long)])
def parent(request: pytest.FixtureRequest, tiny_folder: Path, tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """The process id of one whose worker trains, and the file that it prints to. A new interpreter takes half a
    minute."""
    output, given = tmp_path / "output", (tiny_folder, tmp_path)
    output.touch()
    if request.param == "forked":
        command = Command(*given, module="training_parent")
        yield command.pid, command.output
        command.send_signal(signal.SIGKILL)
        command.communicate()
        return
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "helpers")])
    script = [sys.executable, str(ROOT / "tests" / "helpers" / "training_parent.py"), *map(str, given)]
    with (
        output.open("w") as stream,
        subprocess.Popen(script, stdout=stream, env={**os.environ, "PYTHONPATH": path}) as own,
    ):
        yield own.pid, output
        own.kill()


@pytest.mark.long
def test_a_worker_dies_with_its_parent_even_in_the_middle_of_training(parent: tuple[int, Path]) -> None:
    pid, output = parent

    def told() -> list[str]:
        return output.read_text(encoding="utf-8").splitlines() if output.exists() else []

    assert wait_until(lambda: any(line.startswith("training") for line in told()), 120)
    worker = int(told()[0].split()[1])
    children = Path(f"/proc/{worker}/task/{worker}/children").read_text(encoding="utf-8").split()
    assert children, "the worker has a sandbox of its own"
    assert alive(worker)
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not alive(worker), 10)
    assert wait_until(lambda: not any(alive(int(child)) for child in children), 10)
