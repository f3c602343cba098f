"""How many probes a session without limits has looked with since its last stack."""

from types import SimpleNamespace
from typing import Any

from agent.loop.nodes import Session


def designed(*recipes: str, waves: int = 0) -> Any:
    """A wave with these recipes, or a stack with one, which is an A/A test where that is the start."""
    return SimpleNamespace(recipes=recipes, waves=waves, is_aa_test=recipes == ("start",))


def looked(waves: list[Any], stacks: list[Any]) -> object:
    session: Any = SimpleNamespace(
        _waves=SimpleNamespace(recorded=lambda: waves), _confirmations=SimpleNamespace(recorded=lambda: stacks)
    )
    return Session._searched(session)


def test_each_stack_begins_anew_and_an_aa_test_does_not() -> None:
    waves = [designed("a", "b"), designed("c", "d", "e")]
    assert looked(waves, []) == 5
    assert looked(waves, [designed("stack", waves=1)]) == 3
    assert looked(waves, [designed("stack", waves=1), designed("start", waves=2)]) == 3
