"""An Inspect task (https://inspect.aisi.org.uk). Its own solver writes the prompt, and its own scorers score.

The solver runs with a stub that returns an already generated answer instead of a model, so templates, system messages
and multiple choice are the task's. It must ask the model once and without tools, and must not need a sandbox.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from common.errors import BadInput
from common.optional_dependencies import require_extra
from common.wording import one_line
from probes.inputs.rows.turns import Turn
from probes.scoring.benchmarks.settings import InspectSettings
from probes.scoring.benchmarks.task import TaskSample, TaskScore, error_line, simplest

AT_ONCE = 32
"""Answers that are scored side by side, for scorers that ask a model."""
Asked = tuple[Turn, ...]


class InspectTask:
    def __init__(self, settings: InspectSettings, folder: Path) -> None:
        require_extra("inspect", '[scorer] kind = "inspect"')
        from inspect_ai._eval.loader import load_tasks

        file, named = settings.file(folder), f"[scorer] task={settings.task!r}"
        if file and "@" not in settings.task:
            raise BadInput(f"{named} names a file and no task in it; write {settings.task}@NAME")
        try:
            spec = str(file) + settings.task[len(settings.task.partition("@")[0]) :] if file else settings.task
            tasks = load_tasks([spec])
        except Exception as error:  # the boundary to code that is not ours
            raise BadInput(f"{named} cannot be loaded by Inspect ({error_line(error)}); mend it") from error
        if len(tasks) != 1:
            found = ", ".join(task.name for task in tasks) or "none"
            raise BadInput(f"{named} names {len(tasks)} tasks ({found}), and one is scored; write file.py@name")
        self._task, self._settings, self._version = tasks[0], settings, f"inspect_ai {version('inspect_ai')}"
        self.name = str(self._task.name)
        self._scorers = self._task.scorer if isinstance(self._task.scorer, list) else [self._task.scorer]
        if not self._task.scorer:
            raise BadInput(f"{named} has no scorer; give it one")
        self._own = {_id(place, sample): sample for place, sample in enumerate(self._task.dataset, start=1)}
        if self._task.sandbox or any(sample.sandbox for sample in self._own.values()):
            raise BadInput(f"{named} needs a sandbox of Inspect, and none is started here; take a task without one")

    @cached_property
    def samples(self) -> Mapping[str, TaskSample]:
        asked = asyncio.run(self._all_asked())
        return {name: self._sample(name, asked[name]) for name in self._own}

    def score(self, answers: Sequence[tuple[str, str]]) -> Sequence[TaskScore]:
        return asyncio.run(self._scores(answers))

    async def _all_asked(self) -> dict[str, Asked]:
        found = {}
        for name in self._own:
            asked, again = [(await self._solved(name, ""))[1] for _ in range(2)]
            if asked != again:
                raise BadInput(
                    f"the Inspect task {self.name!r} asks sample {name} differently each time, and prompts are fixed; "
                    "take its shuffling out"
                )
            found[name] = asked
        return found

    def _sample(self, name: str, asked: Asked) -> TaskSample:
        own, key = self._own[name], self._settings.category
        category = (own.metadata or {}).get(key) if key else self.name
        if not isinstance(category, str | int) or category == "":
            raise BadInput(
                f"sample {name} of the Inspect task {self.name!r} has no {key!r} in its metadata ([scorer] category); "
                "name another key, or none"
            )
        truth = own.model_dump(mode="json", include={"target", "choices", "metadata"})
        return TaskSample(name, str(category), simplest(asked), truth, self._version)

    async def _solved(self, name: str, answer: str) -> tuple[Any, Asked]:
        """The state after the solver ran with this answer as the model's reply, and what the model was asked."""
        from inspect_ai.model import ChatMessageUser, ModelName, ModelOutput
        from inspect_ai.scorer import Target
        from inspect_ai.solver import TaskState

        own, asked = self._own[name], list[Asked]()
        messages = [ChatMessageUser(content=own.input)] if isinstance(own.input, str) else list(own.input)

        async def generate(state: Any, *_: Any, **__: Any) -> Any:
            if asked or state.tools:
                what = "with tools" if state.tools else "more than once"
                raise BadInput(
                    f"the Inspect task {self.name!r} asks the model {what}, and a probe answers one question; take a "
                    "task with a simpler solver"
                )
            asked.append(tuple(_turn(message, self.name) for message in state.messages))
            state.output = ModelOutput.from_content("nightlane", answer)
            state.messages.append(state.output.message)
            return state

        state = TaskState(
            model=ModelName("nightlane/probe"),
            sample_id=own.id or name,
            epoch=1,
            input=own.input,
            messages=messages,
            target=Target(own.target),
            choices=own.choices,
            output=ModelOutput(model="nightlane"),
            metadata=dict(own.metadata or {}),
        )
        state = await self._task.solver(state, generate)
        if not asked:
            raise BadInput(f"the Inspect task {self.name!r} never asks the model; take another task")
        return state, asked[0]

    async def _scores(self, answers: Sequence[tuple[str, str]]) -> list[TaskScore]:
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(name: str, answer: str) -> TaskScore:
            async with slots:
                state, _ = await self._solved(name, answer)
                given = [await scorer(state, state.target) for scorer in self._scorers]
            values: dict[str, float] = {}
            for scorer, found in zip(self._scorers, given, strict=True):
                if found is not None:
                    values |= _values(_name(scorer), found.value)
            explained = next((found.explanation for found in given if found and found.explanation), "")
            return TaskScore(values, one_line(explained, 200))

        return list(await asyncio.gather(*(one(name, answer) for name, answer in answers)))


def _id(place: int, sample: Any) -> str:
    return str(place if sample.id is None else sample.id)


def _turn(message: Any, task: str) -> Turn:
    text = message.content if isinstance(message.content, str) else message.text
    other = [] if isinstance(message.content, str) else [one for one in message.content if one.type != "text"]
    if other or message.role == "tool":
        what = other[0].type if other else "a tool's turn"
        raise BadInput(f"the Inspect task {task!r} asks with {what}, and only texts are asked here; take another task")
    return Turn(message.role, text)


def _name(scorer: Any) -> str:
    from inspect_ai._util.registry import registry_info

    try:
        return str(registry_info(scorer).name).rpartition("/")[2]
    except Exception:  # a scorer that is a plain function
        return str(getattr(scorer, "__name__", "scorer"))


def _values(name: str, value: Any) -> dict[str, float]:
    """The numbers in a score; C, I, P, N, yes and no count as the numbers that Inspect's own metrics read them as."""
    from inspect_ai.scorer import value_to_float

    if isinstance(value, dict):
        return {f"{key}": number for key, own in value.items() for number in _values(name, own).values()}
    if value is None or isinstance(value, list):
        return {}
    number = float(value_to_float()(value))
    return {name: number} if math.isfinite(number) else {}
