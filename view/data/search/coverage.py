"""Which part of the search space was tried, and which remains: for each knob, every value that may be set, and what
became of those that were tried."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from agent.ledger.tables import DecisionRow, ProposalRow
from lanes import Knob, show
from view.data.figures import shown
from view.data.session_record import SessionRecord

ValueState = Literal["stands", "start", "kept", "discarded", "crashed", "retracted", "not decided", "untried"]
STATES: Mapping[str, ValueState] = {"KEEP": "kept", "DISCARD": "discarded", "CRASH": "crashed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedValue:
    """A value of a knob. ``number``: the last decision on a change to this value, without its session; None if there
    was none. ``reason``: that decision's reason."""

    value: str
    state: ValueState
    number: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnobCoverage:
    """``values``: in their order, the incumbent's value, the starting recipe's, those that one change of the incumbent
    may set, and those that were tried."""

    knob: str
    lane: str
    values: tuple[TriedValue, ...]

    @property
    def tried(self) -> int:
        return sum(one.number is not None or one.state == "not decided" for one in self.values)

    @property
    def remaining(self) -> tuple[TriedValue, ...]:
        return tuple(one for one in self.values if one.state == "untried")


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneCoverage:
    """``share``: the lane's share of a language model's turns."""

    lane: str
    share: float
    knobs: tuple[KnobCoverage, ...]

    @property
    def tried(self) -> int:
        return sum(knob.tried for knob in self.knobs)

    @property
    def remaining(self) -> int:
        return sum(len(knob.remaining) for knob in self.knobs)


def coverage(record: SessionRecord) -> tuple[LaneCoverage, ...]:
    space, tried = record.study.lanes, _tried(record)
    total = sum(space.shares.values())
    return tuple(
        LaneCoverage(
            lane=lane,
            share=share / total,
            knobs=tuple(_knob(record, knob, tried) for knob in space.knobs if knob.lane == lane),
        )
        for lane, share in space.shares.items()
    )


TriedValues = Mapping[tuple[str, str], TriedValue]


def _tried(record: SessionRecord) -> TriedValues:
    """The last outcome of each tried value, by knob and value."""
    found: dict[tuple[str, str], TriedValue] = {}
    for row in record.in_flight:
        found[row.knob, shown(row.after)] = TriedValue(value=shown(row.after), state="not decided")
    for decision in record.decisions_on_changes:
        proposal = record.proposals[decision.id]
        found[proposal.knob, shown(proposal.after)] = _decided(record, decision, proposal)
    return found


def _decided(record: SessionRecord, decision: DecisionRow, proposal: ProposalRow) -> TriedValue:
    retracted = record.retractions.get(decision.id)
    return TriedValue(
        value=shown(proposal.after),
        state="retracted" if retracted else STATES[decision.status],
        number=decision.id.removeprefix(f"{record.session.id}-"),
        reason=retracted.reason if retracted else decision.reason,
    )


def _knob(record: SessionRecord, knob: Knob, tried: TriedValues) -> KnobCoverage:
    here, start = show(knob.read(record.incumbent)), show(knob.read(record.start))
    legal = record.study.lanes.moves(record.incumbent, knob.lane).get(knob.name, ())
    own = {value for name, value in tried if name == knob.name} | {here, start}
    texts = [show(value) for value in knob.values if show(value) in own or value in legal]
    texts += sorted(own - set(texts))
    if knob.ordered:
        texts.sort(key=float)
    untried = {text: TriedValue(value=text, state="start" if text == start else "untried") for text in texts}
    found = [tried.get((knob.name, text), untried[text]) for text in texts]
    values = tuple(replace(one, state="stands") if one.value == here else one for one in found)
    return KnobCoverage(knob=knob.name, lane=knob.lane, values=values)
