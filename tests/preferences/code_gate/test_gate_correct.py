"""Correct programs in many styles are certified, and every mistake of the bundled study's templates is refused."""

import ast
from collections.abc import Iterator
from random import Random

import pytest
from correct_programs import CORRECT
from hypothesis import Phase, settings
from long_cases import but_one_in

from labs.microcoder.contracts import contract_of
from labs.microcoder.tasks import TEMPLATES, Task, Template
from preferences.code_gate import Certificate, Contract, ContractSandboxes, certify
from preferences.code_gate.execution import hypothesis_search
from sandbox import Limits

TASKS = 2  # per template


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[ContractSandboxes]:
    with ContractSandboxes(Limits(seconds=0.5)) as opened:
        yield opened


@pytest.fixture(autouse=True, scope="module")
def unshrunk() -> Iterator[None]:
    """An input that shows a mistake is not made smaller, which would take half of the time (test_gate_layers.py)."""
    drawn_alone = settings(hypothesis_search._SETTINGS, phases=(Phase.generate,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hypothesis_search, "_SETTINGS", drawn_alone)
        yield


@pytest.fixture(scope="module")
def refused() -> list[str]:
    """What the tests of this file found of correct programs that were refused; the last of them looks at it."""
    return []


@pytest.fixture(scope="module")
def judged() -> list[Certificate]:
    return []


def task_of(template: Template, seed: int) -> tuple[Task, Contract]:
    random = Random(f"{seed}/{template.name}")
    task = template.task(random)
    return task, contract_of(task, task.cases(random))


class Restyle(ast.NodeTransformer):
    """The same program as somebody else would write it: other parameter names, a result by a name, a docstring."""

    def __init__(self, task: Task) -> None:
        self.names = {name: f"given_{name}" for name in task.parameters}

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self.names.get(node.id, node.id), node.ctx)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(self.names.get(node.arg, node.arg))

    def visit_Return(self, node: ast.Return) -> list[ast.stmt]:
        assert node.value
        answer = ast.Assign([ast.Name("answer", ast.Store())], self.visit(node.value))
        return [answer, ast.Return(ast.Name("answer", ast.Load()))]

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        node.body.insert(0, ast.Expr(ast.Constant("What was asked for.")))
        return node


def restyled(task: Task) -> str:
    return ast.unparse(ast.fix_missing_locations(Restyle(task).visit(ast.parse(task.reference))))


@pytest.mark.parametrize("template", but_one_in(7, TEMPLATES), ids=lambda template: template.name)
def test_references_are_certified_and_every_mistake_is_refused(
    template: Template, sandboxes: ContractSandboxes, judged: list[Certificate], refused: list[str]
) -> None:
    for seed in range(TASKS):
        task, contract = task_of(template, seed)
        program = restyled(task) if seed else task.reference
        judged.append(certify(program, contract, "human" if seed else "reference", sandboxes, seed))
        if not judged[-1].certified:
            refused.append(f"{judged[-1].reason}\n{program}")
        for mistake in task.mistakes if not seed else ():
            certificate = certify(mistake, contract, "sampled", sandboxes, seed)
            assert not certificate.certified, f"this is certified for {task.prompt}:\n{mistake}"


@pytest.mark.parametrize(
    "place", but_one_in(2, range(len(CORRECT))), ids=lambda place: f"{CORRECT[place][0].entry_point}-{place}"
)
def test_programs_by_hand_are_refused_for_coverage_at_most(
    place: int, sandboxes: ContractSandboxes, judged: list[Certificate], refused: list[str]
) -> None:
    contract, program = CORRECT[place]
    judged.append(certify(program, contract, "human", sandboxes))
    if not judged[-1].certified:
        refused.append(f"{judged[-1].reason}\n{program}")
        assert judged[-1].failed == ("coverage",), judged[-1].reason


@pytest.mark.parametrize("command", ["make test", pytest.param("make test-long", marks=pytest.mark.long)])
def test_at_least_98_percent_of_two_hundred_correct_programs_are_certified(
    judged: list[Certificate], refused: list[str], command: str
) -> None:
    """Of those that this command runs; both together run two hundred."""
    assert TASKS * len(TEMPLATES) + len(CORRECT) >= 200
    print(f"{len(judged) - len(refused)} of {len(judged)} correct programs of {command} are certified")
    assert len(refused) <= max(1, 0.02 * len(judged)), "\n\n".join(refused)
