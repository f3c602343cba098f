"""What is remembered of a planted night: every KEEP and retraction with its truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lanes import Value


@dataclass(frozen=True, slots=True)
class Event:
    """A KEEP or a retraction ("keep", "retract") after ``spent`` probes.

    ``gain`` and ``guard``: the true change of the target, and of the worst category, against what stood before;
    ``level``: the true gain over the start from now on. ``moved``: parameter -> before and after; ``values``: recipe.
    ``standing``: whether it is part of what stands at the end of the night.
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


@dataclass(frozen=True, slots=True)
class NightRecord:
    """One night of one policy. ``missed``: improvements it measured, one knob from what stood, and never kept.
    ``seconds``: computing time."""

    policy: str
    family: str
    number: int
    budget: float
    spent: float
    headroom: float
    missed: int
    events: tuple[Event, ...]
    seconds: float = 0.0

    @property
    def made(self) -> list[Event]:
        """Every KEEP of the night."""
        return [event for event in self.events if event.kind == "keep"]

    @property
    def kept(self) -> list[Event]:
        """The KEEPs that stand at the end."""
        return [event for event in self.made if event.standing]

    @property
    def level(self) -> float:
        return self.events[-1].level if self.events else 0.0

    def level_at(self, spent: float) -> float:
        """The true gain over the start of what stood after so many probes."""
        return next((event.level for event in reversed(self.events) if event.spent <= spent + 1e-9), 0.0)

    @property
    def area(self) -> float:
        """The level's mean over the probes of the night."""
        ends = [event.spent for event in self.events[1:]] + [self.budget]
        total = sum(event.level * (end - event.spent) for event, end in zip(self.events, ends, strict=False))
        return total / self.budget


def stands(events: Sequence[Event], final: Mapping[str, Value]) -> list[Event]:
    """The events, each KEEP marked by whether the night's last recipe still holds it.

    Looked at from the last KEEP to the first: one stands when each parameter that it moved has the value that it gave,
    or a KEEP that stands took it on from there.
    """
    needed, marked = dict(final), []
    for event in reversed(events):
        holds = all(needed.get(name, 0.0) == after for name, (_, after) in event.moved.items())
        if event.kind == "keep" and holds:
            needed |= {name: before for name, (before, _) in event.moved.items()}
        marked.append(replace(event, standing=event.kind == "keep" and holds))
    return marked[::-1]
