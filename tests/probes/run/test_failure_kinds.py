"""The one table of what each kind of failure means, and that those who act on a kind read it."""

from typing import get_args

import pytest

from agent.proposers.dead_ends import is_machine_fault
from probes.generate.vllm import ServerBroken
from probes.result.reading import Failure
from probes.run.classify import classify
from probes.run.failures import MEANINGS, UNKNOWN, FailureKind, crash_meaning
from probes.scoring import ScorerBroken
from view.explain.criteria import crash_note
from view.reasons import reason

KINDS = get_args(FailureKind)


def test_every_kind_has_a_meaning() -> None:
    assert set(MEANINGS) == set(KINDS)
    assert len({meaning.words for meaning in (*MEANINGS.values(), UNKNOWN)}) == len(KINDS) + 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_runner_the_search_and_the_reports_say_the_same_of_a_kind(kind: FailureKind) -> None:
    meaning, failure, code = MEANINGS[kind], Failure("p", 1, kind, ""), f"crash:{kind}"
    assert failure.permanent == meaning.permanent
    assert failure.retryable == (meaning.retries > 0)
    assert crash_meaning(code) is meaning
    assert is_machine_fault(code) == (not meaning.recipe_at_fault)
    assert reason(code) == meaning.words
    assert ("The machine failed" in crash_note(code)) == (not meaning.recipe_at_fault)


@pytest.mark.parametrize("kind", KINDS)
def test_what_would_fail_again_is_not_tried_again_and_only_that_bars_a_direction(kind: FailureKind) -> None:
    meaning = MEANINGS[kind]
    assert not (meaning.permanent and meaning.retries)
    assert not (meaning.bars_direction and not meaning.permanent)
    assert not (meaning.permanent and not meaning.recipe_at_fault)


def test_a_kind_of_another_version_is_held_against_nobody() -> None:
    assert is_machine_fault("crash:melted")
    assert reason("crash:melted") == "the probe failed"
    assert not is_machine_fault("worse")
    assert crash_meaning("guard:crash") is None


@pytest.mark.parametrize(
    "text",
    [
        "CUDA error: device-side assert triggered",
        "CUDA error: an illegal memory access was encountered",
        "CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx`",
        "NCCL error in: ProcessGroupNCCL.cpp:1275",
    ],
)
def test_an_error_of_the_device_is_told_from_others(text: str) -> None:
    assert classify(RuntimeError(text)) == "device"
    assert classify(ServerBroken(text)) == "server", "its device is not ours"
    assert classify(ScorerBroken(text)) == "scorer"
    assert classify(RuntimeError("CUDA error: out of memory")) == "oom"
    assert classify(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")) == "oom"
    assert classify(ServerBroken("out of memory")) == "server"
