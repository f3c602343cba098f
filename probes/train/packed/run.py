"""One job of the packed engine: its rows, adapter, curve and result. Imports torch."""

import time
from collections.abc import Hashable, Mapping
from typing import Any

import torch

from probes.inputs.settings import MemorySettings
from probes.model.load import Base
from probes.train.curve import NAME
from probes.train.curve_writer import CurveWriter
from probes.train.job import Trained, TrainingJob, rows_at_once, tokenised, tokens_of
from probes.train.packed.adapter import Adapter
from probes.train.packed.blocks import Block, blocks_of_step, plain_block
from probes.train.packed.losses import loss_of
from probes.train.packed.passes import Passes
from probes.train.reference_store import Logps


class AdapterTraining:
    """One job in training. ``seconds``: its share, by tokens, of the time of its steps, plus the time for its reference
    log probabilities. The constructor raises what ``tokenised`` and ``Adapter`` raise."""

    def __init__(self, base: Base, job: TrainingJob, memory: MemorySettings) -> None:
        self.job, self.seconds = job, 0.0
        self._device = base.model.device
        self._rows = tokenised(base, job)
        self._at_once = rows_at_once(base.model, job.recipe, memory)
        self._references: list[Logps] | None = None
        self._figures: dict[str, torch.Tensor] = {}
        self.adapter = Adapter(base, job.recipe, job.seed, job.steps)
        self._curve = CurveWriter(job.directory / NAME, job.on_step, clock=lambda: self.seconds)

    def masks_needed(self) -> Hashable:
        """A key that is equal for jobs that draw the same dropout masks; None without dropout."""
        recipe = self.job.recipe
        if not recipe.lora_dropout:
            return None
        lengths = [
            min(len(row["prompt_ids"]) + len(row[side]), recipe.max_length)
            for row in self._rows
            for side in ("chosen_ids", "rejected_ids")
        ]
        layout = (recipe.effective_batch, self._at_once, *lengths)
        return self.job.seed, recipe.lora_dropout, tuple(self.adapter.layers), layout

    def take_references(self, passes: Passes) -> None:
        """With DPO: compute or load the rows' reference log probabilities, each row in a pass of its own."""
        if self.job.recipe.objective != "dpo":
            return

        @torch.no_grad()
        def compute(row: Mapping[str, Any]) -> Logps:
            block = plain_block(row, self.job.recipe, self._device)
            [(logps, _)] = passes.logps([(None, block)])
            chosen, rejected = (block.answer_weights @ logps).tolist()
            return chosen, rejected

        began, store = time.perf_counter(), self.job.references
        self._references = [compute(row) for row in self._rows] if store is None else store.logps(self._rows, compute)
        self.seconds += time.perf_counter() - began

    def blocks(self, step: int) -> list[Block]:
        """The blocks of a step, counted from 0."""
        size = self.job.recipe.effective_batch
        own = slice(step * size, (step + 1) * size)
        references = None if self._references is None else self._references[own]
        return blocks_of_step(self._rows[own], self.job.recipe, self._at_once, self._device, references)

    def loss(self, block: Block, logps: torch.Tensor, is_argmax: torch.Tensor) -> torch.Tensor:
        """The block's part of the step's loss. Also adds the block's figures to those of the step."""
        loss, figures = loss_of(block, self.job.recipe, logps, is_argmax)
        for name, value in figures.items():
            self._figures[name] = self._figures.get(name, 0.0) + block.loss_weight * value
        return block.loss_weight * loss

    def step(self) -> dict[str, float]:
        """Apply the gradient of a step. Returns the figures of the step by their names in TRL's log."""
        figures, self._figures = self._figures, {}
        values = torch.stack(list(figures.values())).tolist()
        return {**dict(zip(figures, values, strict=True)), **self.adapter.step()}

    def note(self, step: int, figures: dict[str, float], seconds: float) -> None:
        """Write the line of a step, counted from 1, to the curve; Diverged as by ``CurveWriter.add``."""
        self.seconds += seconds
        self._curve.add(step, figures)

    def save(self) -> Trained:
        folder = self.job.directory / "adapter"
        self.adapter.save(folder)
        return Trained(folder, self.seconds, sum(tokens_of(self._rows, self.job.recipe.max_length)), self._curve.last)

    def close(self) -> None:
        self._curve.close()
