"""A template is a family of tasks; a task is one prompt with its reference, its mistakes and its cases.

Texts of a template have `$placeholders` (string.Template) for its parameters and choices.
Alternatives of a name or a wording are separated by `|`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from random import Random
from string import Template as Text
from textwrap import dedent, indent
from types import CodeType

from labs.microcoder.tasks.inputs import KINDS
from probes.scoring.execution.checks import same
from sandbox import Value

OPENINGS = ("# {header}: {description}\n", "# {header} gives {description}\n")
CASES = 10
MOST_CASES = 12

Filling = tuple[Mapping[str, str], ...]


def one_of(**options: Iterable[object]) -> Filling:
    """A choice between options; several names are drawn together: one_of(word=("even", "odd"), rest=(0, 1))."""
    names = tuple(options)
    return tuple(dict(zip(names, map(str, row), strict=True)) for row in zip(*options.values(), strict=True))


@dataclass(frozen=True)
class LabCase:
    arguments: tuple[Value, ...]
    expected: Value


@dataclass(frozen=True, kw_only=True)
class Task:
    """One prompt. `kinds` are those of its `parameters`, in order; `mistakes` are whole sources that are wrong."""

    category: str
    difficulty: int
    prompt: str
    entry_point: str
    parameters: tuple[str, ...]
    kinds: tuple[str, ...]
    reference: str
    mistakes: tuple[str, ...]
    invariants: tuple[str, ...]

    def cases(self, random: Random) -> tuple[LabCase, ...]:
        """Ten to twelve cases, edge inputs first; each mistake fails at least one, or this raises ValueError."""
        reference = _TemplateFunction(self.reference, self.entry_point)
        found: dict[str, LabCase] = {}
        for arguments in self._edges(random)[: CASES - 2]:
            found.setdefault(repr(arguments), LabCase(arguments, reference(arguments)))
        for _ in range(60):
            if len(found) >= CASES:
                break
            arguments = self.arguments(random)
            found.setdefault(repr(arguments), LabCase(arguments, reference(arguments)))
        cases = list(found.values())[:CASES]
        for mistake in self.mistakes:
            wrong = _TemplateFunction(mistake, self.entry_point)
            if not any(wrong.fails(case) for case in cases):
                cases.append(self._distinguishing_case(wrong, reference, random))
        if len(cases) > MOST_CASES:
            raise ValueError(f"{self.prompt!r} needs {len(cases)} cases; at most {MOST_CASES} are allowed")
        return tuple(cases)

    def arguments(self, random: Random) -> tuple[Value, ...]:
        return tuple(KINDS[kind].random(random) for kind in self.kinds)

    def _edges(self, random: Random) -> list[tuple[Value, ...]]:
        """Each edge input of each parameter once, with random values of the other parameters."""
        rows = []
        for position, kind in enumerate(self.kinds):
            for edge in KINDS[kind].edges:
                row = list(self.arguments(random))
                row[position] = edge
                rows.append(tuple(row))
        random.shuffle(rows)
        return rows

    def _distinguishing_case(
        self, wrong: "_TemplateFunction", reference: "_TemplateFunction", random: Random
    ) -> LabCase:
        """A case that the wrong function fails."""
        tries = (self.arguments(random) for _ in range(4000))
        for arguments in chain(self._edges(random), tries):
            case = LabCase(arguments, reference(arguments))
            if wrong.fails(case):
                return case
        raise ValueError(f"no input distinguishes this mistake of {self.prompt!r} from its reference:\n{wrong.source}")


@dataclass(frozen=True, kw_only=True)
class Template:
    """`mistakes` are pairs (right fragment, wrong fragment) of the body; the missing import is added to them.

    `parameters` maps a placeholder to a kind of inputs.py; `invariants` are expressions over the parameters and
    `result` that hold for every input.
    """

    category: str
    difficulty: int
    name: str
    parameters: Mapping[str, str]
    description: str
    body: str
    mistakes: tuple[tuple[str, str], ...]
    choices: tuple[Filling, ...] = ()
    imports: str = ""
    invariants: tuple[str, ...] = ()

    def task(self, random: Random) -> Task:
        values: dict[str, str] = {}
        for choice in self.choices:
            values.update(random.choice(choice))
        for placeholder, kind in self.parameters.items():
            free = [name for name in KINDS[kind].names if name not in values.values()]
            values[placeholder] = random.choice(free)
        values = {key: Text(value).substitute(values) for key, value in values.items()}
        names = tuple(values[placeholder] for placeholder in self.parameters)
        entry_point = Text(random.choice(self.name.split("|"))).substitute(values)
        header = f"{entry_point}({', '.join(names)})"
        description = Text(random.choice(self.description.split("|"))).substitute(values)
        body = Text(dedent(self.body).strip("\n")).substitute(values)
        start = f"{self.imports}\n\n" if self.imports else ""
        head, body = f"def {header}:\n", indent(body, "    ") + "\n"
        return Task(
            category=self.category,
            difficulty=self.difficulty,
            prompt=random.choice(OPENINGS).format(header=header, description=description),
            entry_point=entry_point,
            parameters=names,
            kinds=tuple(self.parameters.values()),
            reference=start + head + body,
            mistakes=tuple(self._mistakes(start, head, body, values)),
            invariants=tuple(Text(rule).substitute(values) for rule in self.invariants),
        )

    def _mistakes(self, start: str, head: str, body: str, values: Mapping[str, str]) -> Iterable[str]:
        if start:
            yield head + body
        for right, wrong in self.mistakes:
            before, after = Text(right).substitute(values), Text(wrong).substitute(values)
            if before not in body:
                raise ValueError(f"{self.name}: the fragment {before!r} is not in the body:\n{body}")
            yield start + head + body.replace(before, after, 1)


class _TemplateFunction:
    """A function of a template, called in this process. Code that a model wrote runs only in the sandbox."""

    def __init__(self, source: str, entry_point: str) -> None:
        self.source = source
        code: CodeType = compile(source, entry_point, "exec")
        namespace: dict[str, Value] = {}
        exec(code, namespace)
        self._call = namespace[entry_point]

    def __call__(self, arguments: tuple[Value, ...]) -> Value:
        assert callable(self._call)
        return self._call(*arguments)

    def fails(self, case: LabCase) -> bool:
        try:
            value = self(case.arguments)
        except Exception:
            return True
        return not same(value, case.expected)
