"""What a decision rests on, as the ledger keeps it: the change's own effect, and the confirmation of its stack."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.policy.confirmation import ConfirmationInputs, ErrorSpending, Estimate, Look, Verdict
from probes.result.comparison import Comparison
from probes.result.reading import Failure, Reading
from probes.result.variance_pooling import Spread


@dataclass(frozen=True, slots=True)
class OwnEffectEstimate:
    """The effect of one change, estimated from all readings together, in points: its mean on the target with an
    interval at the policy's confidence, the ``chance`` that it is above zero, and its effect on each guard.
    ``recipes``: how many measured recipes had the change."""

    delta: float
    low: float
    high: float
    chance: float
    guards: Mapping[str, Estimate]
    recipes: int


@dataclass(frozen=True)
class ConfirmationRecord:
    """A confirmation. ``number``: of the stack in its session; ``members``: ids of its proposals; ``recipe``: digest of
    the stack's recipe; ``seeds``: of candidate and incumbent, pair by pair, in the order of the looks."""

    number: int
    members: tuple[str, ...]
    recipe: str
    given: ConfirmationInputs
    looks: tuple[Look, ...]
    seeds: tuple[tuple[int, int], ...]
    account: ErrorSpending
    is_aa_test: bool = False


@dataclass(frozen=True)
class DecisionBasis:
    """``own``: None for an A/A test, and for a change without a reading. ``stack``: None for a change that was not in a
    confirmation."""

    own: OwnEffectEstimate | None
    stack: ConfirmationRecord | None


@dataclass(frozen=True)
class EndedConfirmation:
    """A confirmation that ended. ``comparison``: the last one, which was decided on; None if nothing was compared.
    ``readings``: of the stack's recipe; ``failure``: the failure of that recipe which ended the confirmation."""

    verdict: Verdict
    confirmed: ConfirmationRecord
    comparison: Comparison | None
    readings: tuple[Reading, ...]
    failure: Failure | None = None


def basis_from(data: Mapping[str, Any]) -> DecisionBasis | None:
    """The basis of a decision, from the ledger's JSON; None for what an older version wrote."""
    if "own" not in data:
        return None
    own, stack = data["own"], data["stack"]
    return DecisionBasis(
        OwnEffectEstimate(**{**own, "guards": _estimates(own["guards"])}) if own else None,
        _confirmed(stack) if stack else None,
    )


def given_from(data: Mapping[str, Any]) -> ConfirmationInputs:
    return ConfirmationInputs(
        pairs=data["pairs"],
        error=data["error"],
        error_left=data["error_left"],
        expected=(data["expected"][0], data["expected"][1]),
        guards=_estimates(data["guards"]),
        cumulative=_estimates(data["cumulative"]),
        spreads={name: Spread(**found) for name, found in data["spreads"].items()},
        first=data["first"],
    )


def _confirmed(data: Mapping[str, Any]) -> ConfirmationRecord:
    account = data["account"]
    return ConfirmationRecord(
        number=data["number"],
        members=tuple(data["members"]),
        recipe=data["recipe"],
        given=given_from(data["given"]),
        looks=tuple(Look(**look) for look in data["looks"]),
        seeds=tuple((mine, theirs) for mine, theirs in data["seeds"]),
        account=ErrorSpending(account["error"], account["kept"], _estimates(account["guards"])),
        is_aa_test=data["is_aa_test"],
    )


def _estimates(data: Mapping[str, Any]) -> dict[str, Estimate]:
    return {name: (change, error) for name, (change, error) in data.items()}
