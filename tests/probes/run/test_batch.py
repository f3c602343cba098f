"""To which worker a probe goes, and when its failure is final."""

import pytest
import tiny

from probes.inputs.settings import RunnerSettings
from probes.result.reading import Failure, Probe, ProbeKey, Reading, Timing
from probes.run.batch import Batch, ProbeTask
from probes.run.failures import FailureKind

KEY = ProbeKey(steps=4, base="base", data="data", prompts="prompts", scorer="scorer", samples=1, environment="here")


def batch(count: int, attempts: int = 3) -> Batch:
    probes = [Probe(tiny.recipe(), KEY, seed) for seed in range(count)]
    return Batch(probes, lambda _: None, RunnerSettings(attempts=attempts), {}, lambda _: None)


def failed(task: ProbeTask, kind: FailureKind = "device") -> Failure:
    return Failure(task.probe.id, task.probe.seed, kind, "as the test says")


def measured(task: ProbeTask) -> Reading:
    probe, timing = task.probe, Timing(0.0, 0.0, 0.0, 0.0)
    return Reading(
        probe=probe.id,
        recipe=probe.recipe.digest,
        key=probe.key,
        seed=probe.seed,
        scores=(),
        final={},
        timing=timing,
        tokens=0,
        peak_gb=0.0,
    )


def taken(batch: Batch, slot: int, failures: dict[int, int]) -> ProbeTask:
    task = batch.next_task(slot, failures)
    assert task is not None
    return task


@pytest.mark.parametrize("kind", ["device", "lost_worker"])
def test_a_retry_goes_to_a_worker_where_it_did_not_fail_and_that_fails_least(kind: FailureKind) -> None:
    now = batch(1)
    task = taken(now, 0, {0: 0, 1: 0, 2: 0})
    now.settle(task, failed(task, kind), 0)
    assert now.next_task(0, {0: 1, 1: 2, 2: 0}) is None
    assert now.next_task(1, {0: 1, 1: 2, 2: 0}) is None, "one that fails as well"
    assert taken(now, 2, {0: 1, 1: 2, 2: 0}).attempt == 2


def test_a_retry_goes_to_the_same_worker_where_no_other_is_left() -> None:
    now = batch(1)
    task = taken(now, 0, {0: 0, 1: 0})
    now.settle(task, failed(task), 0)
    assert taken(now, 0, {0: 1}).attempt == 2


@pytest.mark.parametrize("kind", ["scorer", "server"])
def test_a_retry_for_another_reason_goes_to_any_worker(kind: FailureKind) -> None:
    now = batch(1)
    task = taken(now, 0, {0: 0, 1: 0})
    now.settle(task, failed(task, kind), 0)
    assert taken(now, 0, {0: 0, 1: 0}).attempt == 2


def test_a_failure_of_the_device_is_final_once_another_probe_was_measured_there() -> None:
    now = batch(3, attempts=1)
    first, second, third = (taken(now, 0, {0: 0}) for _ in range(3))
    now.settle(first, failed(first), 0)
    now.settle(second, failed(second, "timeout"), 0)
    now.review({0: 1})
    assert now.outcomes.keys() == {1}, "a timeout shows nothing of the device"
    now.settle(third, measured(third), 0)
    assert now.outcomes.keys() == {0, 1, 2}


def test_a_failure_of_the_device_is_final_when_no_other_probe_is_left() -> None:
    now = batch(2, attempts=1)
    for _ in range(2):
        task = taken(now, 0, {0: 0})
        now.settle(task, failed(task), 0)
    assert now.outcomes == {}
    now.review({})
    assert now.outcomes == {}, "where no worker is left, the run ends without it"
    now.review({0: 2})
    assert now.outcomes.keys() == {0, 1}


def test_a_probe_that_failed_in_workers_that_were_given_up_is_run_in_another() -> None:
    now = batch(2, attempts=1)
    task = taken(now, 0, {0: 4, 1: 0})
    now.settle(task, failed(task), 0)
    now.review({1: 0})
    assert [waiting.probe.seed for waiting in now.waiting] == [1, 0]


def test_the_packed_engine_is_given_lists_and_a_retry_alone() -> None:
    recipes = [tiny.recipe()] * 6 + [tiny.recipe(quantization="nf4")] * 2
    probes = [Probe(recipe, KEY, seed) for seed, recipe in enumerate(recipes)]
    now = Batch(probes, lambda _: None, RunnerSettings(engine="packed"), {}, lambda _: None)
    slots = {0: 0, 1: 0}
    lists = [now.next_tasks(slot, slots) for slot in (0, 1, 0, 1)]
    assert [[task.place for task in tasks] for tasks in lists] == [[0, 1, 2, 3], [4, 5], [6, 7], []]
    now.separate(lists[0][1:])
    now.settle(lists[1][0], failed(lists[1][0], "lost_worker"), 1)
    again = [now.next_tasks(slot, slots) for slot in (0, 0, 0, 0)]
    assert [[task.place for task in tasks] for tasks in again] == [[1], [2], [3], [4]]
    assert [tasks[0].attempt for tasks in again] == [1, 1, 1, 2]


def test_trl_is_given_one_probe_at_a_time() -> None:
    now = batch(3)
    assert [len(now.next_tasks(0, {0: 0, 1: 0})) for _ in range(4)] == [1, 1, 1, 0]


def test_a_list_has_probes_of_one_seed_first() -> None:
    probes = [Probe(tiny.recipe(), KEY, place % 2) for place in range(6)]
    now = Batch(probes, lambda _: None, RunnerSettings(engine="packed"), {}, lambda _: None)
    lists = [now.next_tasks(slot, {0: 0, 1: 0}) for slot in (0, 1)]
    assert [[task.place for task in tasks] for tasks in lists] == [[0, 2, 4], [1, 3, 5]]
