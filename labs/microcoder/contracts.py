"""Tasks as contracts of the code gate, whose kinds of parameters have the same names."""

from collections.abc import Sequence

from labs.microcoder.tasks import LabCase, Task
from preferences.code_gate import Case, Contract, Property

PROPERTIES = (Property("deterministic"), Property("keeps_arguments"))


def contract_of(task: Task, cases: Sequence[LabCase]) -> Contract:
    """The contract that a program for this task must keep."""
    return Contract(
        entry_point=task.entry_point,
        parameters=dict(zip(task.parameters, task.kinds, strict=True)),
        reference=task.reference,
        invariants=task.invariants,
        properties=PROPERTIES,
        cases=tuple(Case(case.arguments, case.expected) for case in cases),
    )
