"""Spot checks: a few holdout prompts are answered and scored while a full-length run trains. No recipe is chosen by
them.

DIR/spot_checks.jsonl   a line per step, with the answers; step 0 is the base
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from common.files import write_durably
from evaluation.own_study.answers import ModelInMemory, sampling_of, scored_answers
from finetune.watch.rules import SpotAnswer, SpotCheck, collapse, worse
from probes.inputs.material import Material, evenly
from probes.inputs.prompts import Prompt
from probes.model.load import Base
from probes.run.workbench import Workbench
from probes.scoring import Context, Mark, ScorerBroken

NAME = "spot_checks.jsonl"
SPLIT = "holdout"
Note = Callable[[str], None]


class Collapsed(RuntimeError):
    """The run has collapsed; the text says how."""


def spot_prompts(material: Material, number: int) -> tuple[Prompt, ...]:
    """The holdout prompts of the spot checks, spread evenly over the categories."""
    return evenly(material.prompts_of(SPLIT), number)


@dataclass
class SpotChecks:
    """The spot checks of one run. ``begin`` checks the base, ``at`` the run at a step."""

    bench: Workbench
    base: Base
    prompts: Sequence[Prompt]
    path: Path
    note: Note

    def begin(self, step: int) -> None:
        """Check the base. A run that goes on keeps the checks up to ``step``."""
        kept = [check for check in read_spot_checks(self.path) if check.step <= step]
        self.done = kept if kept and kept[0].step == 0 else [self._check(self.base.model, 0)]
        self._write()

    def at(self, model: Any, step: int) -> bool:
        """Check the model in training; return whether its answers are not shown to be worse than the base's. Raises
        Collapsed if they have collapsed."""
        check = self._check(model, step)
        self.done.append(check)
        self._write()
        if why := collapse(self.done[0], check):
            raise Collapsed(f"{why} at step {step}")
        if why := worse(self.done[0], check):
            self.note(f"spot check at step {step}: {why}")
        return not why

    @property
    def means(self) -> dict[int, float | None]:
        return {check.step: check.mean for check in self.done}

    def _check(self, model: Any, step: int) -> SpotCheck:
        sampling = replace(sampling_of(self.bench, 0), samples=1)
        model.eval()
        try:
            renderer = self.base.renderer
            sampler = ModelInMemory(model, renderer)
            found = scored_answers(self.bench, renderer, sampler, self.prompts, sampling, Context(self.note))
            marks = [mark.value if isinstance(mark, Mark) else None for mark in found.judged]
            answers = [
                SpotAnswer(answer.prompt.id, answer.prompt.category, whole.text, mark)
                for answer, whole, mark in zip(found.answers, found.sampled, marks, strict=True)
            ]
        except ScorerBroken as error:
            self.note(f"spot check at step {step} left out: the scorer failed ({error})")
            answers = []
        return SpotCheck(step, tuple(answers))

    def _write(self) -> None:
        text = "".join(json.dumps({"mean": check.mean, **asdict(check)}) + "\n" for check in self.done)
        write_durably(self.path, text)


def read_spot_checks(path: Path) -> list[SpotCheck]:
    """The checks of a run, until the first line that a kill cut off."""
    found: list[SpotCheck] = []
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            found.append(SpotCheck(row["step"], tuple(SpotAnswer(**answer) for answer in row["answers"])))
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return found
