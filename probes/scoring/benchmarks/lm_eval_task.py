"""A task of lm-evaluation-harness (https://github.com/EleutherAI/lm-evaluation-harness), asked without examples.

An answer is cut at the task's stop sequences, read by its filter and scored by its metrics. Only tasks that generate
text can be scored here: a likelihood is no sampled answer. Tasks that run what a model wrote are refused.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from numbers import Real
from pathlib import Path
from typing import Any

from common.errors import BadInput
from common.optional_dependencies import require_extra
from probes.inputs.rows.turns import Turn
from probes.scoring.benchmarks.settings import LmEvalSettings
from probes.scoring.benchmarks.task import TaskSample, TaskScore, error_line, simplest

_TASK = re.compile(r"^task:\s*['\"]?([^\s'\"#]+)", re.MULTILINE)


class LmEvalTask:
    def __init__(self, settings: LmEvalSettings, folder: Path) -> None:
        require_extra("lm-eval", '[scorer] kind = "lm_eval"')
        from lm_eval.tasks import TaskManager

        file, named = settings.file(folder), f"[scorer] task={settings.task!r}"
        name = _name_in(file, named) if file else settings.task
        try:
            manager = TaskManager(include_path=str(file.parent) if file else None, include_defaults=file is None)
            found = manager.load([name])["tasks"]
        except Exception as error:  # the boundary to code that is not ours
            raise BadInput(
                f"{named} cannot be loaded by lm-evaluation-harness ({error_line(error)}); mend it"
            ) from error
        if len(found) != 1:
            raise BadInput(f"{named} is a group of {len(found)} tasks, and one is scored; name one of them")
        self.name, self._task = name, next(iter(found.values()))
        self._settings, self._version = settings, f"lm_eval {version('lm_eval')}"
        if self._task.OUTPUT_TYPE != "generate_until":
            raise BadInput(
                f"{named} is of the type {self._task.OUTPUT_TYPE}, which measures likelihoods, and answers are sampled "
                "here; take a task that generates (generate_until)"
            )
        if getattr(self._task.config, "unsafe_code", False):
            raise BadInput(
                f'{named} runs what the model wrote without a sandbox; take kind = "execution", which has one'
            )
        if settings.metric and not self._task.higher_is_better().get(settings.metric, True):
            raise BadInput(f"[scorer] metric={settings.metric!r} is better when it is lower; name another metric")
        self._docs = {str(place): doc for place, doc in enumerate(self._task.eval_docs)}

    @cached_property
    def samples(self) -> Mapping[str, TaskSample]:
        return {name: self._sample(name, doc) for name, doc in self._docs.items()}

    def score(self, answers: Sequence[tuple[str, str]]) -> Sequence[TaskScore]:
        instances = []
        for place, (name, answer) in enumerate(answers):
            doc = self._docs[name]
            made = self._task.construct_requests(doc, "", metadata=(self.name, place, 1))
            instance = made[0] if isinstance(made, list) else made
            instance.resps = [self._cut(answer)]
            instances.append(instance)
        self._task._instances = instances
        self._task.apply_filters()
        return [
            TaskScore(_numbers(self._task.process_results(self._docs[name], [self._read(instance)])))
            for (name, _), instance in zip(answers, instances, strict=True)
        ]

    def _read(self, instance: Any) -> Any:
        wanted = self._settings.filter
        if wanted and wanted not in instance.filtered_resps:
            raise BadInput(f"the task has no filter {wanted!r}; known: {', '.join(instance.filtered_resps)}")
        return instance.filtered_resps[wanted] if wanted else next(iter(instance.filtered_resps.values()))

    def _cut(self, answer: str) -> str:
        """The answer up to the first of the task's stop sequences, where the harness stops generating."""
        stops = (self._task.config.generation_kwargs or {}).get("until", [])
        for stop in [stops] if isinstance(stops, str) else stops:
            answer = answer.split(stop)[0] if stop else answer
        return answer

    def _sample(self, name: str, doc: Any) -> TaskSample:
        key = self._settings.category
        category = doc.get(key) if key else self.name
        if not isinstance(category, str | int) or category == "":
            raise BadInput(
                f"document {name} of the task {self.name!r} has no {key!r} ([scorer] category); name another "
                "key, or none"
            )
        whole = self._task.fewshot_context(doc, 0)
        system = self._task.resolve_field(doc, self._task.config.description) or ""
        text = whole.removeprefix(system).lstrip("\n ") if system else whole
        turns = [*([Turn("system", system)] if system else []), Turn("user", text)]
        truth = [{key: str(value) for key, value in doc.items()}, str(self._task.doc_to_target(doc))]
        return TaskSample(name, str(category), simplest(turns), truth, self._version)


def _name_in(file: Path, named: str) -> str:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise BadInput(f"{named}: {file} cannot be read as UTF-8 text; write it or correct the path") from None
    if not (found := _TASK.search(text)):
        raise BadInput(f"{named}: {file} has no line 'task: NAME'; write one")
    return found[1]


def _numbers(given: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of one answer. Metrics of the whole set, such as BLEU, are no numbers here and are left out."""
    return {name: float(value) for name, value in given.items() if isinstance(value, Real | bool)}
