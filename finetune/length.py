"""The length of a full-length run in optimizer steps. Pure function."""

from math import ceil

from common.errors import BadInput

EPOCHS = 3.0
MOST = 10_000_000


def resolve_steps(rows: int, batch: int, steps: int | None = None, epochs: float | None = None) -> int:
    """``steps``, or the steps of so many epochs (3 if neither is given).

    An epoch is as many rows as all sources of the mixture have together, ``rows``; the mixture decides how many of them
    come from each source. E epochs are the fewest steps whose batches of ``batch`` rows hold E times ``rows``. BadInput
    if both are given, or if the length is out of bounds.
    """
    if steps is not None and epochs is not None:
        raise BadInput(
            f"a run's length is given in steps or in epochs, and --steps {steps} and --epochs {epochs:g} were given; "
            "leave one out"
        )
    epochs = EPOCHS if epochs is None else epochs
    if not 0 < epochs <= MOST:
        raise BadInput(f"--epochs {epochs:g} must be above 0 and at most {MOST}; give 3 say")
    steps = steps if steps is not None else max(1, ceil(round(epochs * rows, 6) / batch))
    if not 0 < steps <= MOST:
        raise BadInput(f"a run of {steps} steps is outside [1, {MOST}]; give --steps or --epochs a smaller number")
    return steps
