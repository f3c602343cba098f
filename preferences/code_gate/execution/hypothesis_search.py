"""Hypothesis draws inputs of the contract's kinds, and shrinks one that fails.

hypothesis' default provider also draws constants that it finds in the imported modules, and keeps them in the working
directory. The provider here does not, so the same seed gives the same inputs everywhere.
"""

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample
from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, HypothesisProvider

from preferences.code_gate.contract.parameter_kinds import ParameterKind
from preferences.code_gate.contract.properties import Arguments

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
    """The smallest failing input that shrinking finds; None when no drawn input fails.

    `fails` must be deterministic and raise no Exception, which hypothesis would take for a failure.
    """
    try:
        return find(st.tuples(*(kind.strategy(st) for kind in kinds)), fails, settings=_SETTINGS, random=Random(seed))
    except NoSuchExample:
        return None
