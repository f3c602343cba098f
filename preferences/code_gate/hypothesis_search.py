"""What hypothesis does for the gate: it draws inputs of the contract's kinds, and it shrinks one that fails.

Its usual source of randomness also draws constants that it finds in whatever modules are imported, and keeps them in
the working directory. Ours does not, so that the same seed gives the same inputs everywhere.
"""

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample
from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, HypothesisProvider

from preferences.code_gate.parameter_kinds import ParameterKind
from preferences.code_gate.properties import Arguments

EXAMPLES = 30


class _Steady(HypothesisProvider):
    def _maybe_draw_constant(self, *arguments: Any, **named: Any) -> None:
        return None


AVAILABLE_PROVIDERS["nightlane"] = _Steady
_SETTINGS = settings(
    max_examples=EXAMPLES,
    database=None,
    deadline=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
    verbosity=Verbosity.quiet,
    backend="nightlane",
)


def examples(kinds: Iterable[ParameterKind], seed: str) -> list[Arguments]:
    """The inputs that hypothesis draws, each once."""
    rows: dict[str, Arguments] = {}

    def note(row: Arguments) -> bool:
        rows.setdefault(repr(row), row)
        return False

    shrunk(kinds, seed, note)
    return list(rows.values())


def shrunk(kinds: Iterable[ParameterKind], seed: str, fails: Callable[[Arguments], bool]) -> Arguments | None:
    """The smallest input that fails, of those that follow from the drawn ones; None where none does.

    `fails` must say the same of the same row. Exceptions of it are taken for failures, so it raises none.
    """
    try:
        return find(st.tuples(*(kind.strategy(st) for kind in kinds)), fails, settings=_SETTINGS, random=Random(seed))
    except NoSuchExample:
        return None
