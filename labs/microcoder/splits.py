"""The prompts of microcoder in three disjoint splits, and the rows of prompts.jsonl.

Every category is drawn from its templates in turn, so each split holds every template about equally often.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle
from random import Random
from typing import Any

from labs.microcoder.tasks import CATEGORIES, TEMPLATES, LabCase, Task
from probes.inputs.prompts import SPLITS
from sandbox import encode


@dataclass(frozen=True)
class Drawn:
    """A task with the split it belongs to and its cases."""

    identifier: str
    split: str
    task: Task
    cases: tuple[LabCase, ...]

    def as_row(self) -> dict[str, Any]:
        """The row of prompts.jsonl; values in the encoding of `sandbox.values`."""
        cases = [{"args": encode(list(case.arguments)), "expected": encode(case.expected)} for case in self.cases]
        return {
            "id": self.identifier,
            "split": self.split,
            "category": self.task.category,
            "difficulty": self.task.difficulty,
            "prompt": self.task.prompt,
            "checks": {"entry_point": self.task.entry_point, "cases": cases},
        }

    def as_problem(self) -> dict[str, str]:
        """The same in the form of a HumanEval row; a nan, which equals nothing, is left out."""
        calls = [(", ".join(map(repr, case.arguments)), repr(case.expected)) for case in self.cases]
        asserts = [
            f"    assert candidate({arguments}) == {value}\n" for arguments, value in calls if "nan" not in value
        ]
        return {
            "task_id": self.identifier,
            "prompt": self.task.prompt,
            "entry_point": self.task.entry_point,
            "canonical_solution": self.task.reference,
            "test": "from math import inf, nan\n\n\ndef check(candidate):\n" + "".join(asserts),
        }


def draw_prompts(per_category: Mapping[str, int], seed: int) -> tuple[Drawn, ...]:
    """`per_category` prompts of each category in each split; no prompt text occurs twice."""
    prompts = []
    for category in CATEGORIES:
        random = Random(f"{seed}/{category}")
        tasks = _distinct_tasks(category, random)
        for split in SPLITS:
            for number in range(per_category[split]):
                task = next(tasks)
                identifier = f"{split}-{category}-{number:03d}"
                prompts.append(Drawn(identifier, split, task, task.cases(random)))
    return tuple(prompts)


def _distinct_tasks(category: str, random: Random) -> Iterator[Task]:
    templates = [template for template in TEMPLATES if template.category == category]
    seen: set[str] = set()
    for template in cycle(templates):
        task = template.task(random)
        while task.prompt in seen:
            task = template.task(random)
        seen.add(task.prompt)
        yield task
