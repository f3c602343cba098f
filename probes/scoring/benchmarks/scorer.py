"""The scorers ``inspect`` and ``lm_eval``: the score of a benchmark's task, as the task gives it."""

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from common.errors import BadInput, NightlaneError
from probes.inputs.prompts import Prompt
from probes.inputs.settings import ScorerSettings
from probes.scoring.benchmarks.settings import BenchmarkSettings, InspectSettings, LmEvalSettings
from probes.scoring.benchmarks.task import BenchmarkTask, TaskScore, error_line
from probes.scoring.protocol import Answer, ChecksBroken, Context, Mark, Missing, ScorerBroken


def load_task(settings: BenchmarkSettings, folder: Path) -> BenchmarkTask:
    """BadInput for a task that cannot be scored here, MissingRequirement if its package is not installed."""
    return _loaded(settings, folder.resolve(), _changed(settings.file(folder)))


@lru_cache(maxsize=4)
def _loaded(settings: BenchmarkSettings, folder: Path, changed: float) -> BenchmarkTask:
    if isinstance(settings, InspectSettings):
        from probes.scoring.benchmarks.inspect_task import InspectTask

        return InspectTask(settings, folder)
    from probes.scoring.benchmarks.lm_eval_task import LmEvalTask

    assert isinstance(settings, LmEvalSettings)
    return LmEvalTask(settings, folder)


def _changed(file: Path | None) -> float:
    return file.stat().st_mtime if file and file.exists() else 0.0


class _BenchmarkScorer:
    """Components are the task's own scores. The outcome word is FULL at its best score of 1, ZERO at 0, else PART."""

    kind: ClassVar[str]
    Settings: ClassVar[type[ScorerSettings]]

    def __init__(self, settings: BenchmarkSettings, folder: Path = Path()) -> None:
        self._settings, self._task = settings, load_task(settings, folder)

    @property
    def about(self) -> str:
        return f"{self.kind}: {self._task.name}, {len(self._task.samples)} samples"

    @staticmethod
    def examiner(settings: ScorerSettings, folder: Path) -> None:
        """None: a task is taken as it is."""

    @staticmethod
    def files(settings: BenchmarkSettings, folder: Path) -> Sequence[Path]:
        """The task's file. Its samples are held by the checks of the prompts."""
        file = settings.file(folder)
        return (file,) if file else ()

    @staticmethod
    def check(settings: BenchmarkSettings, folder: Path, prompts: Sequence[Prompt]) -> None:
        """BadInput if the task cannot be scored here, or a prompt is not what the task asks now."""
        task = load_task(settings, folder)
        for prompt in prompts:
            sample = task.samples.get(str(prompt.checks.get("sample")))
            if sample is None or prompt.checks.get("digest") != sample.digest or prompt.asked != sample.asked:
                raise BadInput(
                    f"prompt {prompt.id!r} is not, or is no longer, what the task {task.name!r} asks, or its package "
                    "has another version; write the prompts again with nightlane prompts STUDY"
                )

    def score(self, answers: Sequence[Answer], context: Context | None = None) -> list[Mark | Missing]:
        known = self._task.samples
        asked = [(str(answer.prompt.checks.get("sample")), answer.text) for answer in answers]
        for answer, (name, _) in zip(answers, asked, strict=True):
            if name not in known:
                raise ChecksBroken(f"prompt {answer.prompt.id!r} names no sample of the task {self._task.name!r}")
        try:
            given = self._task.score(asked)
        except NightlaneError as error:
            raise ScorerBroken(str(error)) from error
        except Exception as error:  # the boundary to code that is not ours
            raise ScorerBroken(f"the task {self._task.name!r} raised {error_line(error)}; mend it") from error
        return [self._mark(one) for one in given]

    def close(self) -> None:
        """Nothing is held open."""

    def _mark(self, given: TaskScore) -> Mark | Missing:
        values, wanted = given.values, self._settings.metric
        if wanted and wanted not in values:
            return Missing(f"the task gave no {wanted!r}")
        if not values:
            return Missing("the task gave no score")
        if not wanted and len(values) > 1:
            raise ScorerBroken(
                f"the task {self._task.name!r} gives {', '.join(values)}, and one of them is the score; name it as "
                "metric under [scorer]"
            )
        own = values[wanted] if wanted else next(iter(values.values()))
        points = self._points(own)
        parts = {name: self._settings.scale * value for name, value in values.items()}
        components = {name: value for name, value in parts.items() if 0 <= value <= 10}
        outcome = "FULL" if own >= 1 else "ZERO" if own == 0 else "PART"
        return Mark(points, components, outcome=outcome, note=given.note)

    def _points(self, own: float) -> float:
        points = self._settings.scale * own
        if not (math.isfinite(points) and 0 <= points <= 10):
            raise ScorerBroken(
                f"a score is a number from 0 to 10, and the task {self._task.name!r} gave {own:g}, times scale "
                f"{self._settings.scale:g}; set scale under [scorer]"
            )
        return points


class InspectScorer(_BenchmarkScorer):
    kind: ClassVar[str] = "inspect"
    Settings: ClassVar[type[ScorerSettings]] = InspectSettings


class LmEvalScorer(_BenchmarkScorer):
    kind: ClassVar[str] = "lm_eval"
    Settings: ClassVar[type[ScorerSettings]] = LmEvalSettings


def prompts_task(settings: Any, folder: Path) -> BenchmarkTask:
    """The task of a study's scorer; BadInput if it has another scorer."""
    if not isinstance(settings, BenchmarkSettings):
        raise BadInput(
            f'prompts are written from the task of a benchmark, and [scorer] kind is "{settings.kind}"; set kind to '
            '"inspect" or "lm_eval"'
        )
    return load_task(settings, folder)
