"""What is not tried again: recipes that were decided on alone, and not members of a stack that was not kept."""

import pytest
import situations

from agent.ledger.tables import PastDecision
from agent.proposers.dead_ends import MOST_TRIES, DeadEnds

SPACE = situations.space()
BETA = SPACE.knob("beta")


def decision(reason: str, with_others: int, status: str = "DISCARD") -> PastDecision:
    return PastDecision(
        number=1,
        id="s1-001",
        session="s1",
        status=status,
        reason=reason,
        lane="hyperparameters",
        knob="beta",
        before="0.1",
        after="0.15",
        parent="parent",
        child="child",
        incumbent="parent",
        delta=0.5,
        with_others=with_others,
    )


@pytest.mark.parametrize("reason", ["worse", "guard:arithmetic", "cumulative:arithmetic", "crash:diverged"])
def test_what_a_stack_did_bars_none_of_its_members_until_they_were_tried_often(reason: str) -> None:
    alone, together = DeadEnds("s1", SPACE), DeadEnds("s1", SPACE)
    alone.add(decision(reason, 0), "of parent", "of child")
    together.add(decision(reason, 1), "of parent", "of child")
    assert alone.effects == {"of parent", "of child"}
    assert together.effects == {"of parent"}
    assert alone.bars(BETA, 0.1, 0.15)
    assert not together.bars(BETA, 0.1, 0.15)
    for _ in range(MOST_TRIES - 1):
        together.add(decision(reason, 1), "of parent", "of child")
    assert "of child" in together.effects


@pytest.mark.parametrize("with_others", [0, 1])
def test_a_change_that_was_kept_is_not_tried_again(with_others: int) -> None:
    dead_ends = DeadEnds("s1", SPACE)
    dead_ends.add(decision("improved", with_others, "KEEP"), "of parent", "of child")
    assert dead_ends.effects == {"of parent", "of child"}
    assert not dead_ends.bars(BETA, 0.1, 0.15)
