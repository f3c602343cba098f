"""The record of a planted night: every KEEP and retraction with its true effects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lanes import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionEvent:
    """A KEEP or a retraction ("keep", "retract") after ``spent`` probes.

    ``gain``: the true change of the target, compared with the previous incumbent. ``guard``: the true change of the
    worst category, compared with the previous incumbent or with the start, whichever is worse, because small losses of
    several KEEPs add up. ``level``: the true gain of the new incumbent over the start. ``members``: for each knob that
    was moved, the true loss if it alone were moved back. ``moved``: parameter -> before and after. ``values``: the
    recipe. ``standing``: whether the KEEP still holds at the end of the night.
    """

    spent: float
    kind: str
    claimed: float | None
    gain: float
    guard: float
    level: float
    moved: Mapping[str, tuple[Value, Value]] = field(default_factory=dict)
    values: Mapping[str, Value] = field(default_factory=dict)
    standing: bool = True
    members: tuple[float, ...] = ()

    @property
    def rows(self) -> tuple[float, ...]:
        """The true gain of each row of results.tsv: one per member of a stack."""
        return self.members or (self.gain,)


@dataclass(frozen=True, slots=True, kw_only=True)
class NightRecord:
    """One night of one policy. ``missed``: true improvements by one knob that were measured and never kept.
    ``seconds``: computing time."""

    policy: str
    family: str
    number: int
    budget: float
    spent: float
    headroom: float
    missed: int
    events: tuple[DecisionEvent, ...]
    seconds: float = 0.0

    @property
    def made(self) -> list[DecisionEvent]:
        """All KEEPs of the night."""
        return [event for event in self.events if event.kind == "keep"]

    @property
    def kept(self) -> list[DecisionEvent]:
        """The KEEPs that hold at the end."""
        return [event for event in self.made if event.standing]

    @property
    def level(self) -> float:
        return self.events[-1].level if self.events else 0.0

    def level_at(self, spent: float) -> float:
        """The incumbent's true gain over the start after ``spent`` probes."""
        return next((event.level for event in reversed(self.events) if event.spent <= spent + 1e-9), 0.0)

    @property
    def area(self) -> float:
        """The incumbent's true gain over the start, averaged over the probes of the night."""
        ends = [event.spent for event in self.events[1:]] + [self.budget]
        total = sum(event.level * (end - event.spent) for event, end in zip(self.events, ends, strict=False))
        return total / self.budget


def stands(events: Sequence[DecisionEvent], final: Mapping[str, Value]) -> list[DecisionEvent]:
    """The events, with ``standing`` of each KEEP set by the night's last recipe.

    A KEEP holds if each of its parameters still has the value that it set, or if a later KEEP that holds moved the
    parameter on from that value.
    """
    needed, marked = dict(final), []
    for event in reversed(events):
        holds = all(needed.get(name, 0.0) == after for name, (_, after) in event.moved.items())
        if event.kind == "keep" and holds:
            needed |= {name: before for name, (before, _) in event.moved.items()}
        marked.append(replace(event, standing=event.kind == "keep" and holds))
    return marked[::-1]
