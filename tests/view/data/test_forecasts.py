"""Forecasts, scored by what was found."""

from dataclasses import dataclass

import pytest

from view.data.changes import Change
from view.data.sections.forecasts import forecasts


@dataclass(frozen=True)
class Decision:
    """What is read of a decision."""

    turn: int
    proposer: str
    predicted: float | None
    effect: Change | None


def decisions(proposer: str, *pairs: tuple[float | None, float | None]) -> list[Decision]:
    return [
        Decision(turn, proposer, predicted, None if found is None else Change(found, found - 1, found + 1))
        for turn, (predicted, found) in enumerate(pairs, 1)
    ]


def test_a_proposer_is_scored_by_error_sign_and_order() -> None:
    made = decisions("model", (1.0, 0.5), (0.2, 0.1), (-0.5, 0.0), (None, 2.0), (0.4, None))
    [found] = forecasts(made)  # type: ignore[arg-type]
    assert [point.turn for point in found.points] == [1, 2, 3]
    assert found.silent == 2
    assert found.bias == pytest.approx((0.5 + 0.1 - 0.5) / 3)
    assert found.error == pytest.approx((0.5 + 0.1 + 0.5) / 3)
    assert (found.same_sign, found.signed) == (2, 3)
    assert found.correlation == pytest.approx(1.0)


def test_few_or_equal_forecasts_have_no_order() -> None:
    for made in (decisions("few", (1.0, 0.5), (0.2, 0.1)), decisions("equal", (1.0, 0.5), (1.0, 0.1), (1.0, 0.2))):
        [found] = forecasts(made)  # type: ignore[arg-type]
        assert found.correlation is None


def test_the_proposer_with_most_forecasts_comes_first_and_one_without_any_is_not_scored() -> None:
    made = [*decisions("silent", (None, 1.0)), *decisions("model", (1.0, 0.5))]
    first, second = forecasts(made)  # type: ignore[arg-type]
    assert (first.proposer, second.proposer) == ("model", "silent")
    assert (second.bias, second.error, second.points) == (None, None, ())
