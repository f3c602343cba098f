"""A full-length run in a process of its own, which is killed with SIGKILL at a step."""

import os
import signal
from collections.abc import Mapping
from typing import Any

import commands

from finetune.plan import TrainingPlan


def killed_at(step: int, plan: TrainingPlan) -> None:
    """Start the run and kill it during this step, after the step's line was written and before its checkpoint."""
    process = commands.server().Process(target=_run, args=(plan, step))
    process.start()
    process.join(commands.LONGEST)
    assert process.exitcode == -signal.SIGKILL, process.exitcode


def _run(plan: TrainingPlan, last: int) -> None:
    import torch

    from finetune.run import run

    def on_line(line: Mapping[str, Any]) -> None:
        if line["step"] == last:
            os.kill(os.getpid(), signal.SIGKILL)

    torch.set_num_threads(1)
    run(plan, 1, on_line)
