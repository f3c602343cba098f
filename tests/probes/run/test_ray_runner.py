"""The runner of a Ray cluster, on clusters of several machines that are processes here."""

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest
import ray_clusters
import tiny
from stub_worker import ALIKE, Script

from common.errors import BadInput, MissingRequirement
from lanes import Recipe
from probes.inputs.material import Material
from probes.inputs.settings import RunnerSettings
from probes.result.reading import Failure, Probe, ProbeKey, Reading
from probes.run.protocol import Progress
from probes.run.ray.archives import StudyArchive
from probes.run.runners import Runner, open_runner
from probes.run.store import ProbeStore
from testing import simulated_study
from testing.contracts import RunnerContract

pytest.importorskip("ray", reason="Ray is not installed; run: pip install 'nightlane[ray]'")
from probes.run.ray import runner as ray_runner
from probes.run.ray.runner import RayPool, RayRunner

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*:FutureWarning:ray"),
    pytest.mark.filterwarnings("ignore:.*:ResourceWarning"),
]
KEY = ProbeKey(steps=4, base="base", data="data", prompts="prompts", scorer="scorer", samples=1, environment="here")


@pytest.fixture(scope="class")
def two_machines() -> Iterator[ray_clusters.Machines]:
    with ray_clusters.machines([1, 1]) as cluster, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ADDRESS", cluster.address)
        yield cluster


@pytest.mark.usefixtures("two_machines")
class TestRay(RunnerContract):
    def material(self, folder: Path) -> Material:
        simulated_study.write_data(folder)
        tiny.write_model(folder / "model")
        return tiny.material(folder)

    def open(self, material: Material, runs: Path) -> Runner:
        return open_runner(material, RunnerSettings(kind="ray", workers=1, threads=1, deadline=120), runs, "none")

    def recipes(self) -> Sequence[Recipe]:
        return tiny.recipe(), tiny.recipe(objective="dpo")

    def failing_recipe(self) -> Recipe:
        return tiny.recipe(max_length=8)


def probe(seed: int) -> Probe:
    return Probe(tiny.recipe(), KEY, seed)


@pytest.fixture
def _stubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RayPool, "keeper", ray_clusters.StubKeeper)
    monkeypatch.setattr(StudyArchive, "of", classmethod(lambda cls, material: cls(material, b"", "")))
    monkeypatch.setattr(ray_runner, "LOOK_SECONDS", 0.3)


@contextmanager
def opened(
    script: Script, cluster: ray_clusters.Machines, workers: int = 0, gpus_per_worker: int = 1
) -> Iterator[RayRunner]:
    settings = RunnerSettings(
        kind="ray", workers=workers, gpus_per_worker=gpus_per_worker, address=cluster.address, start_seconds=60
    )
    with RayRunner(cast(Material, script), settings, script.folder) as runner:
        yield runner


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.usefixtures("_stubbed")
class TestMachines:
    """Workers that follow a script, on machines that are killed and that join."""

    def test_machines_killed_at_random_moments_cost_no_probe(self, tmp_path: Path) -> None:
        chance = random.Random(time.time_ns())
        batch = [probe(seed) for seed in range(24)]
        notes: list[str] = []
        with ray_clusters.machines() as cluster:
            nodes = [cluster.add() for _ in range(4)]
            at = sorted(chance.sample(range(1, 20), 2))
            print("killed after outcomes", at)
            with opened(Script(tmp_path, seconds=0.3), cluster) as runner:
                done = 0

                def keep(*_: object) -> None:
                    nonlocal done
                    done += 1
                    if done in at:
                        time.sleep(chance.random() * 0.3)
                        cluster.kill(nodes.pop())

                found = runner.run(batch, lambda progress: notes.append(progress.note), keep)
                assert len(runner.workers) <= 3
        assert [isinstance(one, Reading) and one.probe for one in found] == [one.id for one in batch]
        assert any("lost 1 machine" in note for note in notes)

    def test_a_machine_that_joins_gets_probes_and_all_may_be_lost_for_a_while(self, tmp_path: Path) -> None:
        with ray_clusters.machines() as cluster:
            first = cluster.add()
            script = Script(tmp_path, seconds=0.5)
            with opened(script, cluster) as runner:
                assert runner.environment == ALIKE
                assert runner.width == 1
                cluster.kill(first)
                cluster.add()
                cluster.add()
                found = runner.run([probe(seed) for seed in range(16)], lambda _: None)
                assert len(runner.workers) == 2
        assert all(isinstance(one, Reading) for one in found)
        assert len({one.final["process"] for one in found if isinstance(one, Reading)}) == 2

    def test_an_actor_has_as_many_gpus_as_a_worker_asks_for(self, tmp_path: Path) -> None:
        with ray_clusters.machines() as cluster:
            cluster.add(gpus=5)
            script = Script(tmp_path)
            with (
                pytest.raises(BadInput, match=r"more than the 5 GPUs that a machine of the Ray cluster has"),
                opened(script, cluster, gpus_per_worker=8),
            ):
                pass
            with opened(script, cluster, gpus_per_worker=2) as runner:
                assert all(isinstance(one, Reading) for one in runner.run([probe(1), probe(2)], lambda _: None))
                assert len(runner.workers) == 2
                (machine,) = [one for one in ray_runner.machines() if one.all.get("GPU")]
                assert machine.free["GPU"] == 1

    def test_unlike_machines_are_refused_at_the_begin_and_left_out_later(self, tmp_path: Path) -> None:
        other = ALIKE.replace("cpu-x86_64", "NVIDIA-H100")
        with ray_clusters.machines([1, 1]) as cluster:
            script = Script(tmp_path, environments={1: other, 2: other}, seconds=0.3)
            with (
                opened(script, cluster) as runner,
                pytest.raises(MissingRequirement, match="all workers of a session must be alike"),
            ):
                runner.run([probe(seed) for seed in range(60)], lambda _: None)
            notes: list[str] = []
            with opened(Script(tmp_path, environments={2: other}, seconds=0.3), cluster) as runner:
                assert runner.environment == ALIKE
                wait_until(lambda: all(slot.worker for slot in runner._pool.slots))
                cluster.add()
                found = runner.run([probe(seed) for seed in range(60)], lambda progress: notes.append(progress.note))
                assert [worker.number for worker in runner.workers] == [0, 1]
        assert all(isinstance(one, Reading) for one in found)
        assert [note.partition(":")[0] for note in notes if note] == ["a machine that joined the cluster is left out"]

    def test_a_worker_that_ends_is_replaced_and_counts_as_on_one_machine(self, tmp_path: Path) -> None:
        script = Script(tmp_path, kills=(1,))
        with ray_clusters.machines([1]) as cluster, opened(script, cluster) as runner:
            bad, good = runner.run([probe(1), probe(2)], lambda _: None)
        assert isinstance(bad, Failure)
        assert bad.kind == "lost_worker"
        assert "with exit code 0" in bad.message
        assert isinstance(good, Reading)
        assert script.counted("tries-1") == RunnerSettings().attempts

    def test_without_any_machine_a_session_ends_with_the_remedy(self, tmp_path: Path) -> None:
        with ray_clusters.machines() as cluster:
            settings = RunnerSettings(kind="ray", address=cluster.address, start_seconds=0.5)
            with (
                RayRunner(cast(Material, Script(tmp_path)), settings, tmp_path) as runner,
                pytest.raises(MissingRequirement, match="start one with ray start, then nightlane resume"),
            ):
                runner.environment  # noqa: B018


def base_of(folder: Path) -> object:
    """The base model that a probe's adapter names."""
    return json.loads((folder / "adapter" / "adapter_config.json").read_text())["base_model_name_or_path"]


def test_a_probe_comes_back_whole_and_as_from_this_machine(
    tiny_folder: Path, tmp_path: Path, forked_workers: None
) -> None:
    """The folder of the study is not on the other machine: there its files are what was sent."""
    material = tiny.material(tiny_folder)
    folders = {}
    with ray_clusters.machines([1]) as cluster:
        for kind in ("ray", "resident"):
            (tmp_path / kind).mkdir()
            settings = RunnerSettings(kind=kind, workers=1, threads=1, address=cluster.address)
            with open_runner(material, settings, tmp_path / kind, "none") as runner:
                measured = Probe(tiny.recipe(), material.key(runner.environment), 42)
                store, heard = ProbeStore(tmp_path / kind), list[Progress]()
                runner.run([measured], heard.append, store.put)
                borrowed = Probe(measured.recipe, material.harvest_key(measured.key), 42, adapter_of=measured.id)
                runner.run([borrowed], lambda _: None, store.put)
                folders[kind] = [store.directory(one.id) for one in (measured, borrowed)]
                assert [one.phase for one in heard if one.probe] == ["training"] * 4 + ["generating", "scoring", "done"]
    for theirs, ours in zip(folders["ray"], folders["resident"], strict=True):
        names = sorted(str(path.relative_to(ours)) for path in ours.rglob("*"))
        assert sorted(str(path.relative_to(theirs)) for path in theirs.rglob("*")) == names
        for name in ("answers.jsonl", "adapter/adapter_model.safetensors"):
            if name in names:
                assert (theirs / name).read_bytes() == (ours / name).read_bytes(), name
    (one, _), (other, _) = folders.values()
    assert "adapter_model.safetensors" in {path.name for path in (one / "adapter").iterdir()}
    assert base_of(one) == base_of(other), "the base's path here"
    assert list((tmp_path / "ray").glob("worker-0.log"))
    assert not list((tmp_path / "ray").glob(".*.tmp"))


def test_an_address_where_no_cluster_answers_is_one_sentence(tmp_path: Path, tiny_folder: Path) -> None:
    settings = RunnerSettings(kind="ray", address="127.0.0.1:1")
    with pytest.raises(MissingRequirement, match=r"needs a Ray cluster and 127\.0\.0\.1:1 gives none"):
        RayRunner(tiny.material(tiny_folder), settings, tmp_path)
