"""Rebuilds a set so that it iterates in the order that it had in another process of the same Python and hash seed. Runs
inside the jail.

A set iterates in the order of its hash table, which depends on the table's size and the order of insertion:
{12, 13, 14, 15, 16} and set([12, 13, 14, 15, 16]) iterate differently. The slots are read from the table (CPython's
setobject.h; only if the type has the size that it has there). The set is made again with each item in its slot. The
order may still change for items whose hash is an address: nan, and None before Python 3.12.
"""

import ctypes
import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MOST_ITEMS = 1000
MOST_SLOTS = 1 << 13
_TYPE_BYTES, _MASK_OFFSET = 200, 32  # of a set object: reference count, type, fill, used, mask, table, ...
_LINEAR_PROBES = 9


@dataclass(frozen=True)
class SetLayout:
    """``items``: in the order of the set. ``slots``: the size of its table; 0 if ``set(items)`` is enough or nothing
    better is known. ``places``: the slot of each item. ``passed``: other slots that CPython tries for an item before
    its own."""

    items: list[Any]
    slots: int = 0
    places: tuple[int, ...] = ()
    passed: tuple[int, ...] = ()


def laid_out(items: set[Any]) -> SetLayout:
    """The layout from which ``rebuilt`` makes the set again."""
    wanted = list(items)
    if not 1 < len(wanted) <= MOST_ITEMS or _alike(set(wanted), items) or set.__basicsize__ != _TYPE_BYTES:
        return SetLayout(wanted)
    mask, table = (ctypes.c_ssize_t * 2).from_address(id(items) + _MASK_OFFSET)
    if not 7 <= mask < MOST_SLOTS:
        return SetLayout(wanted)
    words = (ctypes.c_ssize_t * (2 * (mask + 1))).from_address(table)  # a key and its hash for each slot
    places = tuple(slot for slot in range(mask + 1) if words[2 * slot] and words[2 * slot + 1] != -1)
    passed = {slot for item, place in zip(wanted, places, strict=True) for slot in _before(item, place, mask)}
    found = SetLayout(wanted, mask + 1, places, tuple(sorted(passed.difference(places))))
    return found if _alike(rebuilt(found, set()), items) else SetLayout(wanted)


def _alike(one: set[Any], other: set[Any]) -> bool:
    """Whether both have the same order and tables of the same size, so that they also grow alike."""
    return sys.getsizeof(one) == sys.getsizeof(other) and list(one) == list(other)


def rebuilt(layout: SetLayout, result: set[Any]) -> set[Any]:
    """Make the set again in ``result``, which is empty. At first, fillers occupy all slots in ``places`` and
    ``passed``, and enough others to give the table its size. Then the filler in each item's slot is removed and the
    item added: CPython uses the slot of a removed item again, so the item gets that slot."""
    fillers = {slot: _Filler(slot) for slot in (*layout.places, *layout.passed)}
    # A set that is made from a dict of this many items has a table of this size.
    fewest, most = max(5, layout.slots // 4), layout.slots // 2 - 1
    if layout.slots > 8:  # larger than the smallest table, so it may need spare fillers
        spare = (slot for slot in range(layout.slots) if slot not in fillers)
        fillers |= {slot: _Filler(slot) for slot in itertools.islice(spare, max(0, fewest - len(fillers)))}
    result.update(dict.fromkeys(itertools.islice(fillers.values(), max(4, most))))
    result.update(fillers.values())
    for item, place in zip(layout.items, layout.places, strict=True):
        result.discard(fillers.pop(place, None))
        result.add(item)
    for filler in fillers.values():
        result.discard(filler)  # difference_update would make the table smaller
    return result


class _Filler:
    """An item that takes this slot of a table, if it is free."""

    def __init__(self, slot: int) -> None:
        self._slot = slot

    def __hash__(self) -> int:
        return self._slot


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
