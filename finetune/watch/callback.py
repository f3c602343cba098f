"""The trainer's callback of a full-length run: at each checkpoint a spot check, then its complete.json.

Imports torch and transformers.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import distributed
from transformers import TrainerCallback

from common.files import sync
from finetune.checkpoints import last_complete, seal
from finetune.watch.spot_check import SpotChecks
from probes.train.curve import NAME


class CheckpointCallback(TrainerCallback):  # type: ignore[misc]
    """``complete``: writes notes on the study beside the checkpoint's adapter (``_note_study``, finetune/run.py)."""

    def __init__(self, run: Path, spot_checks: SpotChecks | None, complete: Callable[[Path], None]) -> None:
        self.run, self.spot_checks, self.complete = run, spot_checks, complete

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if (found := last_complete(self.run, good=True)) is not None:
            _protect(state, found.folder, found.step)

    def on_save(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        folder, good = Path(args.output_dir) / f"checkpoint-{state.global_step}", True
        if distributed.is_initialized():
            distributed.barrier()  # each process has written its random state
        if self.spot_checks is not None:
            with same_random_numbers():
                good = self.spot_checks.at(model, state.global_step)
        for path in (self.run / NAME, self.run):
            sync(path)
        self.complete(folder)
        seal(folder, good)
        if _agreed(good):
            _protect(state, folder, state.global_step)


class FollowingCallback(TrainerCallback):  # type: ignore[misc]
    """In every process but the first: keeps in step with the first one, which alone checks and seals."""

    def __init__(self, run: Path) -> None:
        self.run = run

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if (found := last_complete(self.run, good=True)) is not None:
            _protect(state, found.folder, found.step)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        distributed.barrier()
        if _agreed(False):
            _protect(state, Path(args.output_dir) / f"checkpoint-{state.global_step}", state.global_step)


def _agreed(good: bool) -> bool:
    """Whether the checkpoint is good, as the first process found it; the same in every process."""
    if not distributed.is_initialized():
        return good
    found = [good]
    distributed.broadcast_object_list(found, src=0)
    return found[0]


def _protect(state: Any, folder: Path, step: int) -> None:
    """The trainer removes old checkpoints, but not the best one."""
    state.best_model_checkpoint, state.best_global_step = str(folder), step


@contextmanager
def same_random_numbers() -> Iterator[None]:
    """Restore the state of the random generators after the block, so that training draws as without it."""
    states = random.getstate(), numpy.random.get_state(), torch.get_rng_state()
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    try:
        yield
    finally:
        random.setstate(states[0])
        numpy.random.set_state(states[1])
        torch.set_rng_state(states[2])
        if devices:
            torch.cuda.set_rng_state_all(devices)
