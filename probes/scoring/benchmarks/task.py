"""What a benchmark's task is here: samples that become prompts, and a score for each answer to one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from common.digests import digest_of
from common.wording import one_line
from probes.inputs.rows.turns import Turn, Turns


@dataclass(frozen=True)
class TaskSample:
    """``asked``: what the model gets. ``truth``: all else that a score depends on, as JSON values, which no model and
    no proposer sees. ``version``: of the package."""

    id: str
    category: str
    asked: Turns
    truth: Any
    version: str

    @property
    def digest(self) -> str:
        return digest_of([self.asked, self.truth, self.version])


@dataclass(frozen=True)
class TaskScore:
    """What a task gave for one answer: numbers by name; none if it gave no score. ``note``: for people."""

    values: Mapping[str, float]
    note: str = ""


class BenchmarkTask(Protocol):
    name: str

    @property
    def samples(self) -> Mapping[str, TaskSample]:
        """By id, in the order of the task. BadInput for a task that cannot be asked here."""

    def score(self, answers: Sequence[tuple[str, str]]) -> Sequence[TaskScore]:
        """A score for each (id of a sample, answer). Any exception is the task's own."""


def simplest(turns: Sequence[Turn]) -> Turns:
    """The text of a single turn of the user, else the turns."""
    return turns[0].content if [turn.role for turn in turns] == ["user"] else tuple(turns)


def error_line(error: Exception) -> str:
    """An error of code that is not ours, in one line."""
    return one_line(f"{type(error).__name__}: {error}", 200)
