"""A contract: what a function must do. Its JSON form, in which all keys but the first three are optional:

    {
      "entry_point": "encode",
      "parameters": {"text": "word", "shift": "small"},      name -> kind, in order (parameter_kinds.py)
      "reference": "def encode(text, shift):\\n    ...\\n",    a correct program; also helpers of properties
      "invariants": ["len(result) == len(text)"],            expressions over the parameters and `result`
      "properties": ["deterministic", {"round_trip": "decode"}],      see properties.py
      "cases": [{"args": ["ab", 1], "expected": "bc"}],      values as in sandbox/values.py
      "compares": "value"                                    or "shape", for a function that uses random numbers
    }

The value of a parameter of a function-valued kind is the name of one of its functions.
"""

import ast
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from common.digests import digest_of
from common.errors import BadInput
from preferences.code_gate.contract.agreement import Compares
from preferences.code_gate.contract.parameter_kinds import KINDS
from preferences.code_gate.contract.properties import PROPERTIES, Arguments, Property
from preferences.code_gate.static_checks.syntax_tree import UNREADABLE, parse
from probes.inputs.files.text import read_jsonl
from sandbox import Value, decode, encode

_TYPES = {
    "entry_point": (str, "a text"),
    "parameters": (dict, "an object"),
    "reference": (str, "a text"),
    "invariants": (list, "a list"),
    "properties": (list, "a list"),
    "cases": (list, "a list"),
}
_KEYS = (*_TYPES, "compares")


@dataclass(frozen=True, slots=True)
class Case:
    arguments: Arguments
    expected: Value


@dataclass(frozen=True)
class Contract:
    """What a function must do (the JSON form is above). BadInput for an inconsistent contract."""

    entry_point: str
    parameters: Mapping[str, str]
    reference: str
    invariants: tuple[str, ...] = ()
    properties: tuple[Property, ...] = ()
    cases: tuple[Case, ...] = ()
    compares: Compares = "value"

    def __post_init__(self) -> None:
        for name in (self.entry_point, *self.parameters):
            if not name.isidentifier() or name == "result":
                raise BadInput(
                    f"{name!r} cannot name a function or a parameter; give a Python name other than `result`"
                )
        for name, kind in self.parameters.items():
            _one_of(kind, KINDS, f"the kind of the parameter {name}")
        _one_of(self.compares, get_args(Compares), "compares")
        self._check_sources()
        for property_ in self.properties:
            self._check(property_)
        for case in self.cases:
            if len(case.arguments) != len(self.parameters):
                raise BadInput(
                    f"a case has one argument per parameter ({len(self.parameters)}), and one of {self.entry_point} "
                    f"has {len(case.arguments)}; mend its args"
                )
            for place, functions in self.functions.items():
                _one_of(case.arguments[place], functions, "a function in the args of a case")

    def _check_sources(self) -> None:
        functions = _functions(self.reference)
        if self.entry_point not in functions:
            raise BadInput(
                f"the reference is a program that defines {self.entry_point}, and it defines "
                f"{', '.join(sorted(functions)) or 'nothing'}; mend the reference or the entry_point"
            )
        for invariant in self.invariants:
            if not _is_expression(invariant):
                raise BadInput(
                    f"an invariant is an expression over the parameters and result, not {invariant[:60]!r}; mend it"
                )

    def _check(self, property_: Property) -> None:
        _one_of(property_.name, PROPERTIES, "a property")
        takes, argument = PROPERTIES[property_.name].takes, property_.argument
        known: Iterable[str] = {
            "nothing": ("",),
            "a parameter": self.parameters,
            "a function of the reference": _functions(self.reference),
        }[takes]
        if argument not in known:
            raise BadInput(
                f"the property {property_.name} takes {takes}, not {argument!r}; "
                + ("name it alone" if takes == "nothing" else f'write {{"{property_.name}": NAME}}')
            )
        if property_.name in ("idempotent", "round_trip") and not self.parameters:
            raise BadInput(f"the property {property_.name} needs a first parameter, and there is none; leave it out")

    @property
    def functions(self) -> Mapping[int, Mapping[str, str]]:
        """The functions by name that each function-valued parameter may take, by its position."""
        kinds = enumerate(self.parameters.values())
        return {place: KINDS[kind].functions for place, kind in kinds if KINDS[kind].functions}

    @property
    def digest(self) -> str:
        return digest_of(self.as_json())

    def as_json(self) -> dict[str, Any]:
        return {
            "entry_point": self.entry_point,
            "parameters": dict(self.parameters),
            "reference": self.reference,
            "invariants": list(self.invariants),
            "properties": [{law.name: law.argument} if law.argument else law.name for law in self.properties],
            "cases": [
                {"args": [encode(value) for value in case.arguments], "expected": encode(case.expected)}
                for case in self.cases
            ],
            "compares": self.compares,
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "Contract":
        """BadInput for data of another form."""
        for key in data:
            _one_of(key, _KEYS, "a key of a contract")
        for key, (kind, word) in _TYPES.items():
            if not isinstance(data.get(key, [] if kind is list else None), kind):
                raise BadInput(f"{key} of a contract is {word}, not {str(data.get(key))[:60]}; mend it")
        for name, value in [*data["parameters"].items(), *(("an invariant", v) for v in data.get("invariants", []))]:
            if not isinstance(value, str):
                raise BadInput(f"{name} in a contract is a text, not {str(value)[:60]}; mend it")
        return Contract(
            entry_point=data["entry_point"],
            parameters=dict(data["parameters"]),
            reference=data["reference"],
            invariants=tuple(data.get("invariants", ())),
            properties=tuple(map(_property, data.get("properties", ()))),
            cases=tuple(map(_case, data.get("cases", ()))),
            compares=data.get("compares", "value"),
        )


def load_contracts(path: Path) -> Mapping[str, Contract]:
    """Contracts by the text of their prompt, from lines of JSONL with ``prompt`` and ``contract``; BadInput names the
    line that has neither."""
    contracts: dict[str, Contract] = {}
    for line, row in read_jsonl(path):
        prompt, contract = row.get("prompt"), row.get("contract")
        if not isinstance(prompt, str) or not isinstance(contract, dict):
            raise BadInput(f"{path}, line {line} needs a text prompt and an object contract; write both")
        if prompt in contracts:
            raise BadInput(f"{path}, line {line} repeats the prompt of an earlier line; keep one contract per prompt")
        try:
            contracts[prompt] = Contract.from_json(contract)
        except BadInput as error:
            raise BadInput(f"{path}, line {line}: {error}") from None
    if not contracts:
        raise BadInput(f"{path} holds no contracts; give a file with some")
    return contracts


def _property(data: Any) -> Property:
    if isinstance(data, str):
        return Property(data)
    if isinstance(data, dict) and len(data) == 1 and all(isinstance(part, str) for part in (*data, *data.values())):
        return Property(*next(iter(data.items())))
    raise BadInput(f'a property is a name or one {{"name": "argument"}}, not {str(data)[:60]}; mend it')


def _case(data: Any) -> Case:
    try:
        arguments, expected = decode(data["args"]), decode(data["expected"])
    except (KeyError, TypeError, ValueError):
        arguments, expected = None, None
    if isinstance(arguments, list):
        return Case(tuple(arguments), expected)
    raise BadInput(f"a case is args (a list) and expected, values of sandbox.values, not {str(data)[:60]}; mend it")


def _is_expression(text: str) -> bool:
    try:
        body = parse(f"(\n{text}\n)").body
    except UNREADABLE:
        return False
    return len(body) == 1 and isinstance(body[0], ast.Expr)


def _functions(source: str) -> set[str]:
    """The functions that a source defines at its top level; none when it is not Python."""
    try:
        tree = parse(source)
    except UNREADABLE:
        return set()
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def _one_of(name: Any, known: Iterable[str], what: str) -> None:
    names = list(known)
    if name not in names:
        near = difflib.get_close_matches(str(name), names, 1)
        raise BadInput(
            f"{what} is one of {', '.join(names)}, not {str(name)[:60]!r}; "
            + (f"did you mean {near[0]!r}?" if near else "choose one of them")
        )
