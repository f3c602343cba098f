"""Rebuilds a set so that it iterates in the order that it had in another process of the same Python and hash seed. Runs
inside the jail.

A set iterates in the order of its hash table, which depends on the table's size and the order of insertion:
{12, 13, 14, 15, 16} and set([12, 13, 14, 15, 16]) iterate differently. The slots are read from the table (CPython's
setobject.h; only if the type has the size that it has there). They give an order of insertion and a size of the table.
"""

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MOST_ITEMS = 1000
MOST_SLOTS = 1 << 13
_TYPE_BYTES, _MASK_OFFSET = 200, 32  # of a set object: reference count, type, fill, used, mask, table, ...
_LINEAR_PROBES = 9


@dataclass(frozen=True)
class SetLayout:
    """``items``: in an order of insertion. ``slots``: of the table; 0 if that is unknown and set() has to do.
    ``holes``: slots that items had which were removed later, and which others were put behind."""

    items: list[Any]
    slots: int = 0
    holes: tuple[int, ...] = ()


def laid_out(items: set[Any]) -> SetLayout:
    """How to make the set again with ``rebuilt``."""
    wanted = list(items)
    if not 1 < len(wanted) <= MOST_ITEMS or list(set(wanted)) == wanted or set.__basicsize__ != _TYPE_BYTES:
        return SetLayout(wanted)
    mask, table = (ctypes.c_ssize_t * 2).from_address(id(items) + _MASK_OFFSET)
    if not 7 <= mask < MOST_SLOTS:
        return SetLayout(wanted)
    words = (ctypes.c_ssize_t * (2 * (mask + 1))).from_address(table)  # a key and its hash for each slot
    slots = [slot for slot in range(mask + 1) if words[2 * slot] and words[2 * slot + 1] != -1]
    placed = dict(zip(slots, wanted, strict=True))
    holes = {tried for slot, item in placed.items() for tried in _before(item, slot, mask)} - placed.keys()
    found = SetLayout(_insertable(placed, holes, mask), mask + 1, tuple(sorted(holes)))
    return found if list(rebuilt(found)) == wanted else SetLayout(wanted)


def rebuilt(layout: SetLayout) -> set[Any]:
    """The set. Extra items give the table its size at once, hold the holes, and are removed again."""
    holes = [_Hole(slot) for slot in layout.holes]
    most = min(layout.slots, MOST_SLOTS) // 2 - 1  # as many as a dict may have for a table of this size
    items = [*holes, *layout.items]
    others = [object() for _ in range(most - len(items))] if layout.slots > 8 else []
    result = set(dict.fromkeys([*items[:most], *others]))  # from a dict, the table is made at once, for twice as many
    for item in items[most:]:
        result.add(item)
    for extra in (*holes, *others):
        result.discard(extra)  # difference_update would make the table smaller
    return result


class _Hole:
    """Takes a slot of a table that has it free."""

    def __init__(self, slot: int) -> None:
        self._slot = slot

    def __hash__(self) -> int:
        return self._slot


def _insertable(placed: dict[int, Any], holes: set[int], mask: int) -> list[Any]:
    """Each item after those in the slots that CPython would have tried before."""
    order: list[Any] = []
    taken = set(holes)
    while len(order) < len(placed):
        free = [
            slot for slot, item in placed.items() if slot not in taken and taken.issuperset(_before(item, slot, mask))
        ]
        if not free:
            break
        taken.update(free)
        order += [placed[slot] for slot in free]
    return order


def _before(item: Any, slot: int, mask: int) -> Iterator[int]:
    """The slots that CPython tries for an item before this one (set_add_entry)."""
    rest = hash(item) & (1 << 64) - 1
    start = rest & mask
    while True:
        for tried in range(start, start + (_LINEAR_PROBES + 1 if start + _LINEAR_PROBES <= mask else 1)):
            if tried == slot:
                return
            yield tried
        rest >>= 5
        start = (start * 5 + 1 + rest) & mask
