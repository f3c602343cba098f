"""A task as a contract of the gate: the kinds have the same names there."""

from collections.abc import Sequence

from labs.microcoder.tasks import Case as LabCase
from labs.microcoder.tasks import Task
from preferences.code_gate import Case, Contract, Property

PROPERTIES = (Property("deterministic"), Property("keeps_arguments"))


def contract_of(task: Task, cases: Sequence[LabCase]) -> Contract:
    """What a program for this task is held to."""
    return Contract(
        entry_point=task.entry_point,
        parameters=dict(zip(task.parameters, task.kinds, strict=True)),
        reference=task.reference,
        invariants=task.invariants,
        properties=PROPERTIES,
        cases=tuple(Case(case.arguments, case.expected) for case in cases),
    )
