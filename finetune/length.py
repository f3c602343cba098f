"""The length of a full-length run in optimizer steps. Pure."""

from math import ceil

from common.errors import BadInput

EPOCHS = 3.0
MOST = 10_000_000


def resolve_steps(rows: int, batch: int, steps: int | None = None, epochs: float | None = None) -> int:
    """``steps``, or the steps of so many epochs (3 when neither is given).

    An epoch is as many rows as the sources that the mixture weighs hold together, ``rows``; how many of them each
    source supplies is the mixture's to say. E epochs are the fewest steps whose batches of ``batch`` rows hold E times
    ``rows``. BadInput where both are given, or where the run would be endless.
    """
    if steps is not None and epochs is not None:
        raise BadInput(
            f"a run's length is given in steps or in epochs, and --steps {steps} and --epochs {epochs:g} were given; "
            "leave one out"
        )
    asked = EPOCHS if epochs is None else epochs
    if not 0 < asked <= MOST:
        raise BadInput(f"--epochs {asked:g} must be above 0 and at most {MOST}; give 3 say")
    found = steps if steps is not None else max(1, ceil(round(asked * rows, 6) / batch))
    if not 0 < found <= MOST:
        raise BadInput(f"a run of {found} steps is outside [1, {MOST}]; give --steps or --epochs a smaller number")
    return found
