import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.budget import Spent, exhausted, left, limits
from agent.decision import crash, decide
from agent.study import Budget
from probes.comparison import Comparison, Difference
from probes.reading import Failure

GUARDS = {"lists": 0.5, "strings": 1.0}


def comparison(**intervals: tuple[float, float]) -> Comparison:
    found = {
        name: Difference(name, 10, 5.0 + (low + high) / 2, 5.0, (low + high) / 2, 0.1, low, high)
        for name, (low, high) in {"lists": (-0.1, 0.1), "strings": (-0.1, 0.1), **intervals}.items()
    }
    return Comparison(found, (1, 2), 0.95, 0, 0)


@pytest.mark.parametrize(
    ("intervals", "smallest", "status", "reason"),
    [
        ({"imports": (0.1, 0.9)}, 0.0, "KEEP", "improved"),
        ({"imports": (0.0, 0.9)}, 0.0, "DISCARD", "inconclusive"),
        ({"imports": (0.1, 0.9)}, 0.2, "DISCARD", "inconclusive"),
        ({"imports": (-0.9, -0.1)}, 0.0, "DISCARD", "worse"),
        ({"imports": (-0.1, 0.1)}, 0.2, "DISCARD", "no_effect"),
        ({"imports": (0.0, 0.0)}, 0.0, "DISCARD", "no_effect"),
        ({"imports": (0.1, 0.9), "lists": (-0.6, 0.4)}, 0.0, "DISCARD", "guard:lists"),
        ({"imports": (0.1, 0.9), "lists": (-0.5, 0.4)}, 0.0, "DISCARD", "guard:lists"),
        ({"imports": (0.1, 0.9), "lists": (-0.49, 0.4)}, 0.0, "KEEP", "improved"),
        ({"imports": (0.1, 0.9), "lists": (-0.6, 0), "strings": (-3, 0)}, 0.0, "DISCARD", "guard:strings"),
        ({"imports": (-0.9, -0.1), "lists": (-3, 0)}, 0.0, "DISCARD", "worse"),
    ],
)
def test_the_rule(intervals: dict[str, tuple[float, float]], smallest: float, status: str, reason: str) -> None:
    verdict = decide(comparison(**intervals), "imports", GUARDS, smallest)
    assert (verdict.status, verdict.reason) == (status, reason)


NUMBERS = st.floats(-10, 10)


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.floats(0, 2))
def test_a_keep_always_has_both_its_bounds(a: float, b: float, c: float, d: float, smallest: float) -> None:
    effect, guard = (min(a, b), max(a, b)), (min(c, d), max(c, d))
    verdict = decide(comparison(imports=effect, lists=guard), "imports", GUARDS, smallest)
    assert (verdict.status == "KEEP") == (effect[0] > smallest and guard[0] > -0.5)


def test_a_failure_is_a_crash_of_its_kind() -> None:
    verdict = crash(Failure("p", 1, "diverged", "loss is nan"))
    assert (verdict.status, verdict.reason) == ("CRASH", "crash:diverged")


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
    given = limits(Budget(decisions=3, hours=2, probes=7), 9, None)
    assert (given.decisions, given.hours, given.probes) == (9, 2, 7)
    assert left(given, Spent(4, 0.5, 2, 0, 99)) == "5 of 9 decisions, 1.50 of 2 hours, 5 of 7 probes"
