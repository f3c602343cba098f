"""How many probes a session without limits plans its next stack with."""

import math
from types import SimpleNamespace
from typing import Any

from agent.loop.nodes import Session
from agent.policy.night_power import MOST_PROBES


def designed(time: str, *recipes: str) -> Any:
    return SimpleNamespace(time=time, data={"incumbent": "start", "recipes": [{"recipe": name} for name in recipes]})


def left(waves: list[Any], stacks: list[Any]) -> int:
    session: Any = SimpleNamespace(
        measurements=SimpleNamespace(probes_left=lambda: math.inf),
        _waves=SimpleNamespace(recorded=lambda: waves),
        _confirmations=SimpleNamespace(recorded=lambda: stacks),
    )
    return Session._probes_left(session)


def test_each_stack_has_as_many_and_an_aa_test_adds_none() -> None:
    waves = [designed("1", "a", "b"), designed("3", "c", "d", "e")]
    assert left(waves, []) == MOST_PROBES - 5
    assert left(waves, [designed("2", "stack")]) == MOST_PROBES - 3
    assert left(waves, [designed("2", "stack"), designed("4", "start")]) == MOST_PROBES - 3
