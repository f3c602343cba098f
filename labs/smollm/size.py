"""How large a build is. The weights have their own size."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """``pairs``: of each source."""

    pairs: int = 240
    seed: int = 20
