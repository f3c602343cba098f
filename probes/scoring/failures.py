"""A scorer that fails outside of a probe, as the one sentence that ends a command."""

from collections.abc import Iterator
from contextlib import contextmanager

from common.errors import MissingRequirement
from probes.scoring.protocol import ScorerBroken


@contextmanager
def scorer_failures_reported() -> Iterator[None]:
    """MissingRequirement in place of ScorerBroken: on a machine that is too busy, or for a function that raises."""
    try:
        yield
    except ScorerBroken as error:
        raise MissingRequirement(
            f"an answer could not be judged ({error}); mend that, or try again on a quieter machine"
        ) from None
