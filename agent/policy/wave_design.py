"""The recipes of a wave. Each moves several knobs of the incumbent, so that one reading is evidence about all of them
(Box, Hunter & Hunter 2005, Statistics for Experimenters, ch. 5 and 6). Pure functions.

The first wave is spread: a knob is moved in up to three quarters of its recipes, about equally often to the near places
on both sides. Later waves are drawn by Thompson sampling (Thompson 1933): each recipe draws an effect for every move
and takes the best move of each knob. It leaves out some of them at random, so that the effects of the others can be
told apart; fewer once there are many readings, so that later waves are closer to the recipe that will be confirmed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy

from agent.policy.knob_effects import Axis, Effects, Place, Places

MOVED, STRUCTURAL_MOVED = 0.75, 0.25
"""Largest share of a first wave's recipes that move a knob, and that move a structural one: most readings should show
the other knobs under the incumbent's value of it."""
NEAR, NEAR_STEPS = 0.5, 2
"""An ordered knob moves in a first wave at most by this share of its reach, or by so many steps if that is further."""
LEFT_OUT, LEFT_OUT_LATER, MANY = 0.3, 0.15, 30
"""Chance that a drawn recipe leaves a move out: before MANY readings, and from then on."""
TRIES = 6
"""Draws per wanted recipe: some recipes are illegal, or were drawn before."""
NAMED_BY_OTHERS = 0.5
"""Chance that a recipe also takes a move that was proposed for another recipe of its wave."""
Usable = Callable[[Places], bool]
"""Whether a probe may run a recipe."""


def spread_wave(
    axes: Sequence[Axis],
    size: int,
    incumbent: Places,
    usable: Usable,
    random: numpy.random.Generator,
    near: Mapping[str, Sequence[Place]] | None = None,
) -> list[Places]:
    """At most ``size`` recipes of a first wave. ``near``: knob -> the places that it may be moved to; by default
    ``near_places``."""
    rows: list[dict[str, Place]] = [dict(incumbent) for _ in range(size)]
    for axis in axes:
        places = near_places(axis, incumbent[axis.knob]) if near is None else near.get(axis.knob, ())
        if not places:
            continue
        order = [places[place] for place in random.permutation(len(places))]
        moved = random.permutation(size)[: max(1, round(size * _share_moved(axis, len(places))))]
        for turn, row in enumerate(moved):
            rows[row][axis.knob] = order[turn % len(order)]
    return distinct([allowed(row, incumbent, usable, random) for row in rows], incumbent)


def drawn_wave(
    effects: Effects, size: int, incumbent: Places, usable: Usable, random: numpy.random.Generator, readings: int
) -> list[Places]:
    """At most ``size`` recipes, each from a draw of its own. ``readings``: their number so far."""
    left_out = LEFT_OUT if readings < MANY else LEFT_OUT_LATER
    found: list[Places] = []
    for _ in range(TRIES * size):
        if len(found) == size:
            break
        worth = effects.mean[0] + effects.root @ random.standard_normal(len(effects.moves))
        best: dict[str, tuple[float, Place]] = {}
        for (knob, place), own in zip(effects.moves, worth, strict=True):
            if own > best.get(knob, (0.0, place))[0]:
                best[knob] = (float(own), place)
        row = {**incumbent, **{knob: place for knob, (_, place) in best.items() if random.random() >= left_out}}
        found = distinct([*found, allowed(row, incumbent, usable, random)], incumbent)
    return found


def with_proposed(
    rows: Sequence[Places],
    proposed: Mapping[int, tuple[str, Place]],
    incumbent: Places,
    usable: Usable,
    random: numpy.random.Generator,
) -> list[Places]:
    """The recipes of a wave, with moves that somebody proposed. ``proposed``: index of a recipe -> the move that it
    must have. The other recipes take each such move at random, so that its effect can be told from those beside it."""
    found = []
    for place in range(max([len(rows), *(one + 1 for one in proposed)])):
        row: dict[str, Place] = dict(rows[place] if place < len(rows) else incumbent)
        for other, (knob, value) in proposed.items():
            if other != place and random.random() < NAMED_BY_OTHERS:
                row[knob] = value
        row = dict(allowed(row, incumbent, usable, random))
        if place in proposed:
            knob, value = proposed[place]
            row = {**row, knob: value} if usable({**row, knob: value}) else {**incumbent, knob: value}
        found.append(row)
    return distinct([row for row in found if usable(row)], incumbent)


def _share_moved(axis: Axis, places: int) -> float:
    """The share of a first wave's recipes that move a knob with so many other places: small enough that the incumbent's
    own place is measured at least as often as each of them."""
    return STRUCTURAL_MOVED if axis.structural else min(MOVED, places / (places + 1))


def near_places(axis: Axis, here: Place) -> list[Place]:
    """The places that a first wave moves a knob to: within NEAR of its reach or NEAR_STEPS steps, or any other name."""
    others = [place for place in axis.options if place != here]
    if isinstance(here, str):
        return others
    near = max(NEAR_STEPS, NEAR * axis.reach)
    within = [place for place in others if abs(float(place) - here) <= near]
    return within or sorted(others, key=lambda place: abs(float(place) - here))[:2]


def allowed(row: dict[str, Place], incumbent: Places, usable: Usable, random: numpy.random.Generator) -> Places:
    """The row, with moves undone in random order until a probe may run it."""
    moved = [knob for knob, place in row.items() if place != incumbent[knob]]
    for place in random.permutation(len(moved)):
        if usable(row):
            break
        row[moved[place]] = incumbent[moved[place]]
    return row


def distinct(rows: Sequence[Places], incumbent: Places) -> list[Places]:
    """Each recipe once, without the incumbent."""
    found: list[Places] = []
    for row in rows:
        if row not in found and row != incumbent:
            found.append(row)
    return found


@dataclass(frozen=True)
class Crashes:
    """Which moves may cause crashes. ``ran``: recipes that gave a reading; ``crashed``: those that failed for good."""

    axes: tuple[Axis, ...]
    ran: tuple[Places, ...]
    crashed: tuple[Places, ...]

    def suspected(self, places: Places) -> bool:
        """Whether a recipe shares all suspected moves of a recipe that crashed, or all but one of several."""
        for one in self.crashed:
            suspects = [axis for axis in self.axes if not self._cleared(axis, one[axis.knob])]
            shared = sum(self._as_far(axis, places[axis.knob], one[axis.knob]) for axis in suspects)
            if suspects and shared >= max(1, len(suspects) - 1):
                return True
        return False

    def _cleared(self, axis: Axis, place: Place) -> bool:
        """Whether this place, or one further out on the same side, ran."""
        return place == axis.start or any(self._as_far(axis, one[axis.knob], place) for one in self.ran)

    @staticmethod
    def _as_far(axis: Axis, place: Place, limit: Place) -> bool:
        """Whether a place is as far from the start as another, or further, on the same side."""
        if isinstance(place, str) or isinstance(limit, str) or isinstance(axis.start, str):
            return place == limit
        away, bound = place - axis.start, limit - axis.start
        return away * bound > 0 and abs(away) >= abs(bound)
