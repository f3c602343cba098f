"""What ends a session."""

import pytest

from agent.loop.budget import Spent, budget_left, exhausted, with_overrides
from agent.study.schema import Budget


@pytest.mark.parametrize(
    ("budget", "spent", "word"),
    [
        (Budget(decisions=3), Spent(3, 0, 0, 0, 99), "decisions"),
        (Budget(hours=1), Spent(0, 1.5, 0, 0, 99), "hours"),
        (Budget(probes=5), Spent(0, 0, 5, 0, 99), "probes"),
        (Budget(dollars=2), Spent(0, 0, 0, 2.5, 99), "$2.50"),
        (Budget(disk_gb=10), Spent(0, 0, 0, 0, 9.5), "disk"),
    ],
)
def test_a_session_ends_at_the_first_limit_it_reaches(budget: Budget, spent: Spent, word: str) -> None:
    reason = exhausted(budget, spent)
    assert reason is not None
    assert word in reason
    assert exhausted(budget, Spent(0, 0, 0, 0, 99)) is None


def test_the_command_line_overrides_the_budget() -> None:
    given = with_overrides(Budget(decisions=3, hours=2, probes=7), {"decisions": 9, "hours": None, "workers": 2})
    assert (given.decisions, given.hours, given.probes) == (9, 2, 7)
    assert budget_left(given, Spent(4, 0.5, 2, 0, 99)) == "5 of 9 decisions, 1.50 of 2 hours, 5 of 7 probes"


def test_what_is_kept_back_for_the_end_counts_before_it_is_spent() -> None:
    budget = Budget(probes=10, hours=2)
    assert exhausted(budget, Spent(0, 0, 6, 0, 99), 4) is None
    assert "5 more are needed or kept back" in str(exhausted(budget, Spent(0, 0, 6, 0, 99), 5))
    assert "10 probes run" in str(exhausted(budget, Spent(0, 0, 10, 0, 99)))
    assert exhausted(budget, Spent(0, 1.5, 0, 0, 99), 0, 0.4) is None
    assert "0.60 are kept back" in str(exhausted(budget, Spent(0, 1.5, 0, 0, 99), 0, 0.6))
