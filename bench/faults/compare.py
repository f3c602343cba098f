"""A disturbed result against the undisturbed one: what is lost, doubled, different."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Result = Mapping[str, Sequence[str]]
"""Lines by what they are lines of (results.tsv, decisions, ...), free of times and places."""


@dataclass(frozen=True)
class Differences:
    lost: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()
    different: tuple[str, ...] = ()


def differences(wanted: Result, found: Result) -> Differences:
    """A line that is there once more than it should be is doubled. A line that is not there is lost, unless another
    stands in its place: then it is different, as is one that should not be there at all."""
    lost: list[str] = []
    doubled: list[str] = []
    different: list[str] = []
    for name in sorted(wanted.keys() | found.keys()):
        should, there = Counter(wanted.get(name, ())), Counter(found.get(name, ()))
        missing, more = should - there, there - should
        doubled += [f"{name}: {line}" for line in more if should[line]]
        strange = [line for line in more if not should[line]]
        gone = list(missing.elements())
        different += [f"{name}: {line}" for line in strange]
        lost += [f"{name}: {line}" for line in gone[len(strange) :]]
    return Differences(tuple(lost), tuple(doubled), tuple(different))
