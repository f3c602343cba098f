"""Training jobs for either engine: the job, its rows as token ids, and the result. Imports no torch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lanes import Recipe
from lanes.rules import sees_whole_batch
from probes.inputs.settings import MemorySettings
from probes.inputs.training_rows import TrainingRow
from probes.model.load import Base
from probes.rendering.renderer import Unrenderable
from probes.train.reference_store import ReferenceStore

OnStep = Callable[[int, float], None]
Ids = dict[str, list[int]]
"""A row of token ids: prompt_ids, chosen_ids, rejected_ids."""


class Diverged(Exception):
    """The loss or the gradient norm is NaN or infinite."""


class Untrainable(Exception):
    """The trainer would drop or damage rows of the recipe."""


@dataclass(frozen=True)
class LongRun:
    """What a full-length run adds to the training of a probe.

    ``trainer``: makes a trainer from rows, configuration and arguments, instead of the one of the recipe's objective.
    ``arguments``: added to the trainer's configuration. ``callbacks``: of the trainer. ``checkpoint``: the folder of a
    checkpoint to resume from, taken at ``step``. ``figures``: further figures of a step, from its number and the
    seconds and tokens of training so far. ``on_line``: called with each line of the curve. ``processes``: how many
    processes train together. ``device``: where it trains, if not where the base is.
    """

    trainer: Callable[[Any, Mapping[str, Any], Mapping[str, Any]], Any] | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    callbacks: tuple[Any, ...] = ()
    checkpoint: Path | None = None
    step: int = 0
    figures: Callable[[int, float, int], Mapping[str, float]] = lambda *_: {}
    on_line: Callable[[Mapping[str, Any]], None] = lambda _: None
    processes: int = 1
    device: str = ""


SHORT = LongRun()


@dataclass(frozen=True)
class TrainingJob:
    """One adapter to train: a recipe, its rows in order, a seed, and the folder for train.jsonl and adapter/.
    ``references``: the store of DPO's reference log probabilities; without it they are computed anew.
    """

    recipe: Recipe
    rows: Sequence[TrainingRow]
    seed: int
    directory: Path
    on_step: OnStep
    long: LongRun = SHORT
    references: ReferenceStore | None = None

    @property
    def steps(self) -> int:
        return len(self.rows) // self.recipe.effective_batch


@dataclass(frozen=True)
class Trained:
    """A trained adapter. ``seconds``: of the training loop; ``tokens``: that it saw; ``final``: the last line of the
    curve."""

    adapter: Path
    seconds: float
    tokens: int
    final: dict[str, float]


def tokenised(base: Base, job: TrainingJob) -> list[Ids]:
    """The rows as token ids, in order. Untrainable for a row that cannot be rendered or has no room for an answer:
    DPOTrainer would drop it, and ORPOTrainer would compute NaN."""
    found = []
    for pair, row in zip(job.rows, base.renderer.rows(job.rows), strict=True):
        where = f"source {pair.source}, line {pair.line}"
        if isinstance(row, Unrenderable):
            raise Untrainable(f"{where}: {row}")
        if len(row.prompt) >= job.recipe.max_length:
            raise Untrainable(
                f"{where}: a prompt of {len(row.prompt)} tokens leaves no room for an answer in "
                f"max_length={job.recipe.max_length}; raise max_length or take the row out"
            )
        found.append({"prompt_ids": row.prompt, "chosen_ids": row.chosen, "rejected_ids": row.rejected})
    return found


def tokens_of(rows: Sequence[Mapping[str, Sequence[int]]], max_length: int) -> list[int]:
    """Training tokens of each row: chosen and rejected sequences with their prompts, cut at max_length."""
    return [
        sum(min(len(row["prompt_ids"]) + len(row[side]), max_length) for side in ("chosen_ids", "rejected_ids"))
        for row in rows
    ]


def rows_at_once(model: Any, recipe: Recipe, memory: MemorySettings, processes: int = 1) -> int:
    """Rows per forward pass of each process. It is the whole effective batch if the loss would change when the batch is
    divided: for losses that sort the pairs of a pass, and for the router's balancing loss of a mixture of experts."""
    balanced = bool(getattr(model.config.get_text_config(), "output_router_logits", False))
    if not sees_whole_batch(recipe) and not balanced:
        return memory.rows_at_once(recipe.effective_batch // processes)
    if processes > 1:
        raise Untrainable(
            "a loss that sorts the pairs of a batch, or balances a mixture of experts, needs the batch in one process, "
            f"and {processes} processes train; leave --processes out"
        )
    return recipe.effective_batch
