"""What a decision rests on, as the ledger keeps it: the change's own effect, and the confirmation of its stack."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.policy.confirmation import Account, Estimate, Given, Look, Verdict
from probes.result.comparison import Comparison
from probes.result.reading import Failure, Reading
from probes.result.variance_pooling import Spread


@dataclass(frozen=True, slots=True)
class Own:
    """What all readings together say of one change: its effect on the target with an interval at the policy's
    confidence, the ``chance`` that it is worth more than nothing, its effect on each guard, and how many ``recipes``
    with a reading carried it."""

    delta: float
    low: float
    high: float
    chance: float
    guards: Mapping[str, Estimate]
    recipes: int


@dataclass(frozen=True)
class Confirmed:
    """A confirmation. ``number``: of the stack in its session; ``members``: ids of proposals; ``recipe``: digest of the
    stack's; ``seeds``: of candidate and incumbent, pair by pair, in the order that they were looked at."""

    number: int
    members: tuple[str, ...]
    recipe: str
    given: Given
    looks: tuple[Look, ...]
    seeds: tuple[tuple[int, int], ...]
    account: Account
    is_aa_test: bool = False


@dataclass(frozen=True)
class Basis:
    """``own``: None for an A/A test, and for a change that no reading tells of. ``stack``: None for a change that was
    not confirmed."""

    own: Own | None
    stack: Confirmed | None


@dataclass(frozen=True)
class Conclusion:
    """A confirmation that ended. ``comparison``: the one decided on; None where nothing was compared. ``readings``: of
    the stack's recipe; ``failure``: that of it which ended the confirmation."""

    verdict: Verdict
    confirmed: Confirmed
    comparison: Comparison | None
    readings: tuple[Reading, ...]
    failure: Failure | None = None


def basis_from(data: Mapping[str, Any]) -> Basis | None:
    """The basis of a decision, from the ledger's JSON; None for what an older version wrote."""
    if "own" not in data:
        return None
    own, stack = data["own"], data["stack"]
    return Basis(
        Own(**{**own, "guards": _estimates(own["guards"])}) if own else None,
        _confirmed(stack) if stack else None,
    )


def given_from(data: Mapping[str, Any]) -> Given:
    return Given(
        pairs=data["pairs"],
        error=data["error"],
        error_left=data["error_left"],
        expected=(data["expected"][0], data["expected"][1]),
        guards=_estimates(data["guards"]),
        cumulative=_estimates(data["cumulative"]),
        spreads={name: Spread(**found) for name, found in data["spreads"].items()},
        first=data["first"],
    )


def _confirmed(data: Mapping[str, Any]) -> Confirmed:
    account = data["account"]
    return Confirmed(
        number=data["number"],
        members=tuple(data["members"]),
        recipe=data["recipe"],
        given=given_from(data["given"]),
        looks=tuple(Look(**look) for look in data["looks"]),
        seeds=tuple((mine, theirs) for mine, theirs in data["seeds"]),
        account=Account(account["error"], account["kept"], _estimates(account["guards"])),
        is_aa_test=data["is_aa_test"],
    )


def _estimates(data: Mapping[str, Any]) -> dict[str, Estimate]:
    return {name: (change, error) for name, (change, error) in data.items()}
