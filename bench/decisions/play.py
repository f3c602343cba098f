"""The nights to play, and playing them in parallel on all cores."""

import contextlib
import os
import signal
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from multiprocessing import get_context
from typing import Any

from bench.decisions.night import Family, Night, NightOver, Noise, Policy
from bench.decisions.record import NightRecord
from common.errors import BadInput
from common.parallel import one_thread
from common.plugins import plugins
from sandbox.kernel import system

BUDGETS = (24, 48, 96, 200)
"""Budgets of nights, in probes: from what an 8B model on one GPU allows up to what a small model allows."""
BUDGET = BUDGETS[-1]


@dataclass(frozen=True, slots=True)
class Nights:
    """Numbers of nights. ``each``: of each family with effects; ``null``: of each family without one."""

    each: int = 0
    null: int = 0


@dataclass(frozen=True, slots=True)
class Cell:
    """Nights of ``budget`` probes with one kind of noise. How many nights are played: ``ours`` by nightlane,
    ``variants`` by nightlane with one part changed and by slow rivals, ``rivals`` by all other rivals."""

    factor: float
    correlation: float
    samples: int
    ours: Nights
    variants: Nights = Nights()
    rivals: Nights = Nights()
    only: tuple[str, ...] = ()
    budget: int = BUDGET

    @property
    def noise(self) -> Noise:
        return replace(Noise().times(self.factor), correlation=self.correlation)

    @property
    def name(self) -> str:
        where = f", {', '.join(self.only)} only" if self.only else ""
        noise = f"noise x {self.factor:g}, correlation {self.correlation:g}"
        return f"{self.budget} probes, {noise}, {self.samples} answers{where}"

    def nights(self, policy: str, family: str) -> int:
        """How many nights of a family a policy plays."""
        if policy in SLOW and self.budget > SLOW[policy]:
            return 0
        count = self.ours if policy == OURS else self.variants if policy in VARIANTS else self.rivals
        return count.null if family in NULL else count.each


OURS = "nightlane"
SLOW = {"gp_sampler": 48}
"""Rivals that need seconds for a night, and the largest budget, in probes, that they play."""
CHANGED = ("nightlane_single", "no_waves", "no_model", "no_pruning", "no_replanning")
"""nightlane with one part changed."""
VARIANTS = (*CHANGED, *SLOW)
MAIN = Cell(1.0, 0.5, 4, Nights(10, 150), Nights(4, 4), Nights(5, 20))
LONG = {96: replace(MAIN, ours=Nights(6, 150), variants=Nights(2, 2), rivals=Nights(3, 20), budget=96)}
"""Long nights take longer, so fewer are played."""
LONG[200] = replace(MAIN, ours=Nights(4, 150), variants=Nights(1, 1), rivals=Nights(2, 10), budget=200)
TWICE = Cell(2.0, 0.5, 4, Nights(2, 10))
SMOOTH = Cell(1.0, 0.8, 8, Nights(12), rivals=Nights(12), only=("smooth",))
REST = tuple(
    Cell(factor, correlation, 4, Nights(1, 2), rivals=Nights(1, 2))
    for factor in (0.5, 1.0, 2.0)
    for correlation in (0.0, 0.5, 0.8)
    if (factor, correlation) not in ((1.0, 0.5), (2.0, 0.5))
)
REST_BUDGET = 48
"""The budget that is played with every kind of noise, or the nearest one that is asked for."""
NULL = ("null", "unequal_null")
"""The families in which nothing has an effect."""


def full(budgets: Sequence[int]) -> list[Cell]:
    """The cells of the full benchmark: ordinary and doubled noise at each budget, every kind of noise at one budget,
    and smooth landscapes at the largest budget."""
    each = [cell for budget in sorted(budgets, reverse=True) for cell in (_main(budget), replace(TWICE, budget=budget))]
    middle = min(budgets, key=lambda budget: abs(budget - REST_BUDGET))
    return [*each, replace(SMOOTH, budget=max(budgets)), *(replace(cell, budget=middle) for cell in REST)]


def _main(budget: int) -> Cell:
    nearest = max((long for long in LONG if long <= budget), default=0)
    return replace(LONG.get(nearest, MAIN), budget=budget)


def quick(budgets: Sequence[int]) -> list[Cell]:
    """One night of each family at each budget."""
    few = replace(MAIN, ours=Nights(1, 2), variants=Nights(1), rivals=Nights(1, 1))
    return [replace(few, budget=budget) for budget in sorted(budgets, reverse=True)]


@dataclass(frozen=True, slots=True)
class NightTask:
    """One night of one policy, by their names, for another process."""

    policy: str
    family: str
    number: int
    cell: Cell
    landscapes: str | None


def families(landscapes: str | None = None) -> dict[str, Family]:
    """The families by name: built-in ones and those of entry points, or only those of ``landscapes`` (module:name)."""
    if landscapes is not None:
        found = _loaded(landscapes)
        return {_name(family): family for family in (found if isinstance(found, tuple | list) else (found,))}
    from bench.decisions.hard_landscapes import HARD_FAMILIES
    from bench.decisions.landscapes import FAMILIES

    named = {_name(family): family for family in (*FAMILIES, *HARD_FAMILIES)}
    return named | {name: point.load() for name, point in plugins("landscapes").items()}


def policies() -> dict[str, Policy]:
    """The policies by name: nightlane's, the rivals, and those of entry points."""
    from bench.decisions.rivals import RIVALS

    outside = [point.load() for point in plugins("policies").values()]
    found = [*_own(), *RIVALS, *(policy() if isinstance(policy, type) else policy for policy in outside)]
    return {policy.name: policy for policy in found}


def _own() -> list[Policy]:
    from bench.decisions.ablations import ablations
    from bench.decisions.nightlane import Nightlane

    return [Nightlane(), Nightlane("nightlane_single", {"confirm": "single"}), *ablations()]


def _name(family: Callable[..., Any]) -> str:
    return str(getattr(family, "__name__", type(family).__name__))


def _loaded(where: str) -> Any:
    module, _, name = where.partition(":")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise BadInput(
            f"--landscapes {where!r} cannot be loaded ({error}); give MODULE:NAME of a family or a tuple of them"
        ) from None


def tasks(cells: Sequence[Cell], landscapes: str | None = None) -> list[NightTask]:
    """All nights, one cell after the other."""
    names, players = list(families(landscapes)), list(policies())
    return [
        NightTask(policy, family, number, cell, landscapes)
        for cell in cells
        for family in names
        if not cell.only or family in cell.only or landscapes is not None
        for number in range(max(cell.nights(policy, family) for policy in players))
        for policy in players
        if number < cell.nights(policy, family)
    ]


def play(task: NightTask) -> NightRecord:
    """Play a night. It depends only on the task, not on order or process."""
    players, landscapes = _known(task.landscapes)
    seed = zlib.crc32(f"{task.family} {task.number}".encode())
    night = Night(landscapes[task.family](task.number), task.cell.noise, task.cell.samples, task.cell.budget, seed)
    begun = time.perf_counter()
    with contextlib.suppress(NightOver):
        players[task.policy].play(night)
    record = night.record(task.policy, task.number)
    return replace(record, family=task.family, seconds=time.perf_counter() - begun)


@lru_cache(maxsize=4)
def _known(landscapes: str | None) -> tuple[dict[str, Policy], dict[str, Family]]:
    return policies(), families(landscapes)


def _end_with_parent() -> None:
    system.prctl(system.PR_SET_PDEATHSIG, signal.SIGKILL)


def played(wanted: Sequence[NightTask], processes: int | None = None) -> Iterator[tuple[NightTask, NightRecord]]:
    """The records in the order of the tasks, played in new processes with one thread each."""
    one_thread()
    workers = processes or os.cpu_count() or 1
    if workers == 1:
        yield from ((task, play(task)) for task in wanted)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_end_with_parent) as pool:
        yield from zip(wanted, pool.map(play, wanted, chunksize=4), strict=True)
