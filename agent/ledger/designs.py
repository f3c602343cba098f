"""Waves and stacks, recorded before their first probe runs, and the checks at the end of a session, as typed values.
All are rows of the table checks."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from agent.ledger.tables import STACK, WAVE, CheckRow
from agent.policy.confirmation import ConfirmationInputs
from agent.policy.decision_basis import given_from
from agent.policy.knob_effects import Places
from agent.policy.night_plan import NightPlan
from probes.result.comparison import Comparison, comparison_from

LEAVE_ONE_OUT, HOLDOUT = "leave_one_out", "holdout"


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignedRecipe:
    """A recipe of a wave or a stack. ``places``: of the searched knobs; ``proposals``: ids of the proposals that a
    wave's recipe carries."""

    digest: str
    places: Places
    proposals: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RecordedWave:
    """``incumbent``: the digest of the recipe whose knobs the wave moves. ``design``: "spread" for a first wave, which
    moves every knob in many of its recipes; "drawn" for later ones, from the model of the readings. ``declined``: a
    line for each turn in which the study's own proposer made no suggestion."""

    session: str
    number: int
    time: str
    incumbent: str
    seed: int
    design: Literal["spread", "drawn"]
    plan: NightPlan
    recipes: tuple[DesignedRecipe, ...]
    declined: tuple[str, ...] = ()

    @property
    def proposals(self) -> set[str]:
        return {name for made in self.recipes for name in made.proposals}

    @property
    def row(self) -> CheckRow:
        data: dict[str, Any] = {
            "incumbent": self.incumbent,
            "seed": self.seed,
            "design": self.design,
            "plan": asdict(self.plan),
            "recipes": [
                {"recipe": made.digest, "places": dict(made.places), "proposals": list(made.proposals)}
                for made in self.recipes
            ],
        }
        if self.declined:
            data["declined"] = list(self.declined)
        return CheckRow(session=self.session, kind=WAVE, subject=str(self.number), time=self.time, data=data)


@dataclass(frozen=True, kw_only=True)
class RecordedStack:
    """``incumbent``: the digest of the recipe that it is compared with. ``members``: ids of proposals. ``given``: the
    inputs of the rule. ``waves``: number of waves before it. ``plan``: why it is confirmed now; None for an A/A test.
    ``noisier``: the assumed variance of its readings, as a multiple of that of the incumbent's."""

    session: str
    number: int
    time: str
    incumbent: str
    recipe: DesignedRecipe
    members: tuple[str, ...]
    given: ConfirmationInputs
    waves: int
    plan: NightPlan | None = None
    noisier: float = 1.0

    @property
    def is_aa_test(self) -> bool:
        """Whether the stack is the incumbent itself."""
        return self.recipe.digest == self.incumbent

    @property
    def row(self) -> CheckRow:
        data = {
            "incumbent": self.incumbent,
            "recipes": [{"recipe": self.recipe.digest, "places": dict(self.recipe.places)}],
            "members": list(self.members),
            "given": asdict(self.given),
            "waves": self.waves,
        }
        if self.plan is not None:
            data |= {"plan": asdict(self.plan), "noisier": self.noisier}
        return CheckRow(session=self.session, kind=STACK, subject=str(self.number), time=self.time, data=data)


@dataclass(frozen=True, kw_only=True)
class EndCheck:
    """A check at the end: a KEEP re-tested by leaving it out, or the last recipe on the holdout prompts.

    ``verdict``: "holds", "retracted", "superseded" (leaving it out changes nothing, or is illegal), "not measured", or
    a claim about the holdout prompts. ``reason``: of a retraction by the holdout prompts; ``failure``: why nothing was
    measured. ``effect``, ``chance``: of a KEEP that was left out: its effect by the earlier readings and the re-test
    together, and the chance that it is above the smallest effect; None in an older session."""

    verdict: str
    reason: str | None = None
    failure: str | None = None
    effect: float | None = None
    chance: float | None = None
    comparison: Comparison | None = None

    @property
    def data(self) -> dict[str, Any]:
        """As the ledger stores it: without what is None."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def recorded_waves(checks: Sequence[CheckRow]) -> tuple[RecordedWave, ...]:
    """The waves among these checks, in their order."""
    return tuple(_wave(check) for check in checks if check.kind == WAVE)


def recorded_stacks(checks: Sequence[CheckRow]) -> tuple[RecordedStack, ...]:
    """The stacks among these checks, in their order."""
    return tuple(_stack(check) for check in checks if check.kind == STACK)


def designed_recipes(check: CheckRow) -> tuple[DesignedRecipe, ...]:
    """The recipes of a wave or a stack, from its row."""
    return tuple(
        DesignedRecipe(digest=made["recipe"], places=made["places"], proposals=tuple(made.get("proposals", ())))
        for made in check.data["recipes"]
    )


def end_check_from(data: Mapping[str, Any]) -> EndCheck:
    """A check from the ledger's JSON, which may have more keys in an older session."""
    known: dict[str, Any] = {field.name: data.get(field.name) for field in fields(EndCheck)}
    comparison = known.pop("comparison")
    return EndCheck(**known, comparison=comparison_from(comparison) if comparison else None)


def _wave(check: CheckRow) -> RecordedWave:
    data = check.data
    return RecordedWave(
        session=check.session,
        number=int(check.subject),
        time=check.time,
        incumbent=data["incumbent"],
        seed=int(data["seed"]),
        design=data["design"],
        plan=NightPlan(**data["plan"]),
        recipes=designed_recipes(check),
        declined=tuple(data.get("declined", ())),
    )


def _stack(check: CheckRow) -> RecordedStack:
    data, plan = check.data, check.data.get("plan")
    return RecordedStack(
        session=check.session,
        number=int(check.subject),
        time=check.time,
        incumbent=data["incumbent"],
        recipe=designed_recipes(check)[0],
        members=tuple(data["members"]),
        given=given_from(data["given"]),
        waves=data["waves"],
        plan=NightPlan(**plan) if plan else None,
        noisier=data.get("noisier", 1.0),
    )
