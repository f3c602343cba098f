"""The three preference sources, in TRL's preference format. They differ in how they were made, not in their prompts.

honest     two answers of the base to one prompt, both executed: one passed every case, one did not
broken     the reference against itself with one mechanical break, of kinds the base rarely makes
unchecked  two answers of the base that were not executed; the shorter one is preferred
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from labs._build.pairs import PreferenceRow
from labs.microcoder.tasks import Task
from probes.inputs.prompts import Prompt

PAIRS_PER_PROMPT = 2


@dataclass(frozen=True)
class BaseAnswer:
    """One sample of the base on a harvest prompt; `passed` if it passes every case."""

    text: str
    passed: bool


def honest(prompts: Sequence[Prompt], answers: Sequence[Sequence[BaseAnswer]]) -> list[PreferenceRow]:
    rows = []
    for prompt, given in zip(prompts, answers, strict=True):
        right = list(dict.fromkeys(answer.text for answer in given if answer.passed))
        wrong = list(dict.fromkeys(answer.text for answer in given if not answer.passed))
        if right and wrong:
            rows += [
                _row(prompt, right[number % len(right)], text) for number, text in enumerate(wrong[:PAIRS_PER_PROMPT])
            ]
    return rows


def unchecked(prompts: Sequence[Prompt], answers: Sequence[Sequence[BaseAnswer]]) -> list[PreferenceRow]:
    rows = []
    for prompt, given in zip(prompts, answers, strict=True):
        shortest = min((answer.text for answer in given), key=len)
        longest = max((answer.text for answer in given), key=len)
        if len(shortest) < len(longest):
            rows.append(_row(prompt, shortest, longest))
    return rows


def broken(tasks: Sequence[Task], seed: int) -> list[PreferenceRow]:
    random = Random(f"{seed}/broken")
    rows = []
    for task in tasks:
        breaks = random.sample(BREAKS, len(BREAKS))
        rejected = next(text for text in (make(task) for make in breaks) if text is not None)
        rows.append(PreferenceRow(task.prompt, task.reference, rejected, task.category, task.difficulty))
    return rows


def _row(prompt: Prompt, chosen: str, rejected: str) -> PreferenceRow:
    return PreferenceRow(prompt.text, chosen, rejected, prompt.category, prompt.difficulty)


def _colon_lost(task: Task) -> str:
    return task.reference.replace("):\n", ")\n", 1)


def _bracket_open(task: Task) -> str | None:
    """The last line without its last closing bracket."""
    body, last = task.reference.rstrip("\n").rsplit("\n", 1)
    position = max(last.rfind(")"), last.rfind("]"))
    return None if position < 0 else f"{body}\n{last[:position]}{last[position + 1 :]}\n"


def _name_misspelt(task: Task) -> str | None:
    """The last use of a parameter in the body, doubled: `xs` becomes `xsxs`, which nothing defines."""
    start = task.reference.index(":\n") + 2
    uses = [
        use for name in task.parameters for use in re.finditer(rf"\b{name}\b", task.reference) if use.start() > start
    ]
    if not uses:
        return None
    last = max(uses, key=lambda use: use.start())
    return f"{task.reference[: last.end()]}{last.group()}{task.reference[last.end() :]}"


def _return_lost(task: Task) -> str:
    """Everything is computed and nothing is returned."""
    return task.reference.replace("return ", "")


BREAKS: tuple[Callable[[Task], str | None], ...] = (_colon_lost, _bracket_open, _name_misspelt, _return_lost)
