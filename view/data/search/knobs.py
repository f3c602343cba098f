"""What each knob does around the present incumbent, by all readings; and what follows for the next session."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from agent.ledger.store import Ledger
from agent.loop.search.evidence import Evidence
from agent.policy.confirmation import ErrorBudget
from agent.policy.knob_effects import Axis
from agent.policy.night import NightState, likely_breaks
from agent.policy.own_effects import own_effect
from lanes import Knob, show
from view.data.changes import Change
from view.data.session_record import SessionRecord

SURE = 0.9
"""A knob's best value is reported as lying at an end if it is better than those before it with at least this chance."""
FLAT = 0.05
"""Points: a knob whose expected effects are all smaller is left out, since it does nothing worth looking at."""
Edge = Literal["bounds", "reach"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnobPlace:
    """A value of a knob, and the expected effect of moving there on the target, with a band at the policy's confidence.
    ``chance``: that the effect is above zero. ``readings``: how many readings there are of recipes with this value,
    whatever else they moved. ``breaks``: a guard that the move is expected to break."""

    value: str
    effect: Change
    chance: float
    readings: int
    is_start: bool
    is_incumbent: bool
    breaks: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnobCurve:
    """The values of a knob within reach, in their order. ``edge``: the end at which the best value lies: that of the
    knob's bounds, or of its reach; None if it lies at neither."""

    knob: str
    lane: str
    places: tuple[KnobPlace, ...]
    edge: Edge | None

    @property
    def best(self) -> KnobPlace:
        """The value that is expected to be worth most; the incumbent's own where no other is."""
        return max(self.places, key=lambda place: place.effect.delta if place.breaks is None else -math.inf)

    @property
    def is_flat(self) -> bool:
        """Whether no value shows an effect, and none is expected to have one that matters."""
        return all(
            place.effect.low <= 0 <= place.effect.high and abs(place.effect.delta) < FLAT for place in self.places
        )

    @property
    def largest(self) -> float:
        return max(abs(place.effect.delta) for place in self.places)

    @property
    def widest(self) -> float:
        """The largest effect, in either direction, that a band still contains."""
        return max(max(abs(place.effect.low), abs(place.effect.high)) for place in self.places)


def knob_curves(record: SessionRecord) -> tuple[KnobCurve, ...]:
    """A curve for every searched knob, the largest effect first; empty before any recipe that moves a knob was
    measured, and in an older session."""
    if not record.waves and not record.stacks:
        return ()
    with Ledger(record.workspace.ledger, read_only=True) as ledger:
        sessions = ledger.sessions()
        later = sessions[sessions.index(record.session.id) + 1 :]
        evidence = Evidence(record.study, ledger, record.store, record.session, passed_over=later)
        known = evidence.known(record.incumbent, ErrorBudget(record.study.file.policy.night_error, {}), 0)
        if not known.explored:
            return ()
        curves = [_curve(record, evidence, known, axis) for axis in known.axes]
    return tuple(sorted(curves, key=lambda curve: -curve.largest))


def _curve(record: SessionRecord, evidence: Evidence, known: NightState, axis: Axis) -> KnobCurve:
    readings, here = Counter(one.places[axis.knob] for one in known.target), known.incumbent[axis.knob]
    found = []
    for place in sorted(axis.options, key=lambda one: (isinstance(one, str), one)):
        own = own_effect(known, axis.knob, place)  # None of the incumbent's own place
        found.append(
            KnobPlace(
                value=show(evidence.value(record.incumbent, axis.knob, place)),
                effect=Change(own.delta, own.low, own.high) if own else Change(0.0, 0.0, 0.0),
                chance=own.chance if own else 0.0,
                readings=readings[place],
                is_start=place == axis.start,
                is_incumbent=place == here,
                breaks=likely_breaks(own.guards, known.margins) if own else None,
            )
        )
    knob = record.study.lanes.knob(axis.knob)
    return KnobCurve(knob=axis.knob, lane=knob.lane, places=tuple(found), edge=edge_of(knob, found))


def edge_of(knob: Knob, places: Sequence[KnobPlace]) -> Edge | None:
    """Whether the best value of an ordered knob is the last one within reach, with some certainty."""
    if not knob.ordered or len(places) < 2:
        return None
    best = max(places, key=lambda place: place.effect.delta)
    if best.breaks is not None or best not in (places[0], places[-1]):
        return None
    inner = [place for place in places if place is not best]
    if best.is_incumbent and max(place.chance for place in inner) > 1 - SURE:
        return None
    if not best.is_incumbent and best.chance < SURE:
        return None
    if best.value == show(0):
        return None  # no knob goes below 0
    if best.value in {show(value) for value in (min(knob.values), max(knob.values))}:
        return "bounds"
    return None if best.is_incumbent else "reach"


@dataclass(frozen=True, slots=True, kw_only=True)
class LikelyImprovement:
    """A change of the incumbent that is likely an improvement, and was not confirmed. ``reason``: why this session did
    not keep it; None if it was not decided on."""

    knob: str
    before: str
    after: str
    effect: Change
    chance: float
    readings: int
    reason: str | None


def promises(
    curves: Sequence[KnobCurve], member_chance: float, reasons: Mapping[tuple[str, str], str]
) -> list[LikelyImprovement]:
    """At most one change of each knob, the largest expected effect first. ``reasons``: of the session's DISCARD rows,
    by knob and value."""
    found = []
    for curve in curves:
        here = next(place for place in curve.places if place.is_incumbent)
        best = curve.best
        if best.chance >= member_chance and best.effect.delta > 0:
            reason = reasons.get((curve.knob, best.value))
            found.append(
                LikelyImprovement(
                    knob=curve.knob,
                    before=here.value,
                    after=best.value,
                    effect=best.effect,
                    chance=best.chance,
                    readings=best.readings,
                    reason=reason,
                )
            )
    return sorted(found, key=lambda one: -one.effect.delta)
