"""Parameters of which ``make test`` runs some and ``make test-long`` the others."""

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def long_case(case: Any) -> Any:
    """Mark a case as long. ``case``: a value, or a tuple with a value for each argument."""
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.long)


def all_but(short: Collection[Any], cases: Iterable[Any]) -> list[Any]:
    """The cases; all except those in ``short`` are marked long."""
    return [case if case in short else long_case(case) for case in cases]


def but_one_in(count: int, cases: Iterable[Any], first: int = 0) -> list[Any]:
    """The cases; all except every ``count``-th one, starting at ``first``, are marked long."""
    return [case if place % count == first else long_case(case) for place, case in enumerate(cases)]
