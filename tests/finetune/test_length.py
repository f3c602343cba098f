"""How epochs become steps."""

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import BadInput
from finetune.plan import EPOCHS, resolve_steps


@given(st.integers(1, 100_000), st.integers(1, 512), st.integers(1, 20))
def test_epochs_are_the_fewest_steps_whose_batches_hold_so_many_times_the_rows(
    rows: int, batch: int, epochs: int
) -> None:
    steps = resolve_steps(rows, batch, epochs=epochs)
    assert steps * batch >= epochs * rows > (steps - 1) * batch


@pytest.mark.parametrize(
    ("rows", "batch", "epochs", "steps"),
    [(64, 4, 1.0, 16), (64, 4, 0.5, 8), (10, 4, 1.0, 3), (3, 8, 0.1, 1), (10, 1, 0.3, 3), (7, 2, EPOCHS, 11)],
)
def test_a_last_batch_is_filled_and_a_part_of_an_epoch_is_one(rows: int, batch: int, epochs: float, steps: int) -> None:
    assert resolve_steps(rows, batch, epochs=epochs) == steps


def test_steps_are_taken_as_they_are_said_and_three_epochs_where_nothing_is() -> None:
    assert resolve_steps(64, 4, steps=7) == 7
    assert resolve_steps(64, 4) == resolve_steps(64, 4, epochs=3) == 48


def test_a_length_that_is_said_twice_or_is_none_is_refused() -> None:
    with pytest.raises(BadInput, match=r"--steps 5 and --epochs 2 were given; leave one out"):
        resolve_steps(64, 4, 5, 2.0)
    for epochs in (0.0, -1.0, nan, inf):
        with pytest.raises(BadInput, match="must be above 0"):
            resolve_steps(64, 4, epochs=epochs)
    with pytest.raises(BadInput, match="is outside"):
        resolve_steps(64, 1, epochs=1e6)
