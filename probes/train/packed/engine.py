"""Trains LoRA adapters of many recipes on one frozen base. Imports torch, transformers and peft.

On a GPU, a forward and backward pass has rows of several adapters, as many as [runner] micro_batch allows. On a CPU a
pass has rows of one adapter, so an adapter's result is bit for bit the same whatever else is trained; joining adapters
would save nothing there (docs/performance.md). On a CPU, adapters that need the same dropout masks share them.
"""

import time
from collections.abc import Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import zip_longest

import torch

from probes.inputs.settings import MemorySettings
from probes.model.load import Base
from probes.train.job import Diverged, Trained, TrainingJob, Untrainable
from probes.train.packed.blocks import Block
from probes.train.packed.passes import Passes
from probes.train.packed.run import AdapterTraining

FAILURES = (Diverged, Untrainable, RuntimeError, ValueError, MemoryError, OSError)
"""Exceptions that end a job; any other is an error of the program and passes through."""


def train(
    base: Base, jobs: Sequence[TrainingJob], memory: MemorySettings, together: bool | None = None
) -> list[Trained | Exception]:
    """Train every job on one base, which is unchanged afterwards. An exception in the list concerns that job, or the
    jobs of a shared pass. ``together``: whether adapters share passes; None means on a GPU."""
    joined = base.model.device.type != "cpu" if together is None else together
    training = _Training(jobs, memory.micro_batch if joined else 1)
    with ExitStack() as opened:
        training.begin(base, memory, opened)
        for group in [training.active] if joined else training.sharing_masks():
            training.train(group)
    return [training.results[place] for place in range(len(jobs))]


class _Training:
    """The jobs on one base. ``results``: of jobs that have ended, by index. ``rows``: most rows of a pass; a larger
    block has a pass of its own."""

    def __init__(self, jobs: Sequence[TrainingJob], rows: int) -> None:
        self.results: dict[int, Trained | Exception] = {}
        self._jobs, self._rows = jobs, rows
        self._runs: dict[int, AdapterTraining] = {}

    @property
    def active(self) -> list[int]:
        return [place for place in self._runs if place not in self.results]

    @contextmanager
    def _failing(self, *places: int) -> Iterator[None]:
        """A failure inside the block ends these jobs."""
        try:
            yield
        except FAILURES as error:
            error.__traceback__ = None  # its frames hold the tensors of the pass
            self.results |= dict.fromkeys(places, error)

    def begin(self, base: Base, memory: MemorySettings, opened: ExitStack) -> None:
        for place, job in enumerate(self._jobs):
            with self._failing(place):
                self._runs[place] = run = AdapterTraining(base, job, memory)
                opened.callback(run.close)
        layers = sorted({name for run in self._runs.values() for name in run.adapter.layers})
        self._passes = opened.enter_context(Passes.opened(base.model, layers))

    def sharing_masks(self) -> list[list[int]]:
        """Group the jobs by the dropout masks that they need, and give each group one stream of masks."""
        groups: dict[Hashable, list[int]] = {}
        for place in self.active:
            groups.setdefault(self._runs[place].masks_needed() or place, []).append(place)
        for group in groups.values():
            stream = self._runs[group[0]].adapter.masks
            stream.shared = len(group) > 1
            for place in group:
                self._runs[place].adapter.masks = stream
        return list(groups.values())

    def train(self, group: Sequence[int]) -> None:
        """Train these jobs side by side: at each step the first block of every job, then the second ones, and so on."""
        for place in group:
            with self._failing(place):
                self._runs[place].take_references(self._passes)
        for step in range(max((self._jobs[place].steps for place in group), default=0)):
            if left := [place for place in group if place in self.active and step < self._jobs[place].steps]:
                self._step(left, step)
        for place in group:
            if place in self.active:
                with self._failing(place):
                    self.results[place] = self._runs[place].save()

    def _step(self, group: Sequence[int], step: int) -> None:
        began = time.perf_counter()
        each = [[(place, block) for block in self._runs[place].blocks(step)] for place in group]
        blocks = [one for column in zip_longest(*each) for one in column if one is not None]
        for parts in _passes_of(blocks, self._rows):
            with self._failing(*(place for place, _ in parts)):
                self._pass(parts)
        figures = {}
        for place in group:
            if place in self.active:
                with self._failing(place):
                    figures[place] = self._runs[place].step()
        seconds = (time.perf_counter() - began) / sum(block.tokens for _, block in blocks)
        for place, own in figures.items():
            with self._failing(place):
                tokens = sum(block.tokens for one, block in blocks if one == place)
                self._runs[place].note(step + 1, own, seconds * tokens)

    def _pass(self, parts: Sequence[tuple[int, Block]]) -> None:
        runs = [self._runs[place] for place, _ in parts]
        found = self._passes.logps([(run.adapter, block) for run, (_, block) in zip(runs, parts, strict=True)])
        losses = [
            run.loss(block, logps, is_argmax)
            for run, (_, block), (logps, is_argmax) in zip(runs, parts, found, strict=True)
        ]
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]


def _passes_of(blocks: Sequence[tuple[int, Block]], rows: int) -> Iterator[list[tuple[int, Block]]]:
    """The blocks of each pass, in order: as many as ``rows`` allows, and at least one."""
    parts: list[tuple[int, Block]] = []
    for place, block in blocks:
        if parts and sum(len(own.sequences) for _, own in parts) + len(block.sequences) > 2 * rows:
            yield parts
            parts = []
        parts.append((place, block))
    if parts:
        yield parts
