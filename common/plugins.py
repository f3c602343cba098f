"""Plug-ins of other packages. An installed package adds a part to nightlane by an entry point in one of these groups:

    group                  what it names                                        its type is imported from
    nightlane.scorers      a class: a Scorer                                    probes.scoring
    nightlane.proposers    a function that opens a Proposer: an OpenProposer    agent.proposers
    nightlane.runners      a function that opens a Runner: an OpenRunner        probes.run.runners
    nightlane.landscapes   a function of a seed: a Landscape for bench          bench.decisions.night
    nightlane.policies     a Policy for bench, or its class                     bench.decisions.night

In the package's own pyproject.toml:

    [project.entry-points."nightlane.scorers"]
    politeness = "my_package.politeness:PolitenessScorer"

The study then names it: ``[scorer] kind = "politeness"``. testing/contracts has the tests that such a part must pass.
"""

import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from common.wording import nearest


def plugins(group: str) -> Mapping[str, EntryPoint]:
    """The entry points of ``nightlane.GROUP`` by name; ``load`` of one imports what it names."""
    return installed(f"nightlane.{group}", tuple(sys.path))


@cache
def installed(group: str, path: tuple[str, ...]) -> Mapping[str, EntryPoint]:
    """The entry points of a group by name, for a search path: looking through a hundred packages takes milliseconds,
    and a study asks several times."""
    return {point.name: point for point in entry_points(group=group)}


def unknown_kind(group: str, kind: str, built_in: Iterable[str]) -> str:
    """Why a study's ``kind`` is refused, with the nearest known one; "" where it is built in or installed."""
    known = [*built_in, *plugins(group)]
    return "" if kind in known else f"kind={kind!r} is not a {group.removesuffix('s')}{nearest(kind, known)}"
