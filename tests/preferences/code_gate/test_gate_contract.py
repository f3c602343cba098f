"""Contracts, receipts and certificates: their JSON forms, what is refused and how, and what each layer caught."""

import json
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from correct_programs import CORRECT
from gate_contracts import ENCODE, FACTORIAL, SAMPLE
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import BadInput
from labs.microcoder.contracts import contract_of
from labs.microcoder.tasks import TEMPLATES
from labs.microcoder.tasks.inputs import KINDS as TASK_KINDS
from preferences.code_gate import (
    KINDS,
    LAYERS,
    Case,
    Certificate,
    Contract,
    ContractSandboxes,
    Property,
    Receipt,
    catches,
    certify,
)
from sandbox import Limits, encode

WHOLE: dict[str, Any] = ENCODE.as_json() | {"cases": [{"args": ["ab", 1], "expected": "bc"}]}


@pytest.mark.parametrize("contract", [ENCODE, FACTORIAL, SAMPLE, *{c.digest: c for c, _ in CORRECT}.values()])
def test_a_contract_comes_back_from_its_json(contract: Contract) -> None:
    text = json.dumps(contract.as_json())
    assert Contract.from_json(json.loads(text)) == contract
    assert Contract.from_json(json.loads(text)).digest == contract.digest


def test_cases_with_tuples_and_nan_come_back() -> None:
    one = replace(FACTORIAL, parameters={"n": "any_float"}, cases=(Case((float("inf"),), (1, {"a": [None]})),))
    assert Contract.from_json(json.loads(json.dumps(one.as_json()))) == one


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"invariant": []}, "did you mean 'invariants'"),
        ({"entry_point": "2x"}, "'2x' cannot name"),
        ({"entry_point": "code"}, "defines code, and it defines decode, encode"),
        ({"entry_point": None}, "entry_point of a contract is a text"),
        ({"parameters": {"s": "txt", "k": "small"}}, "did you mean 'text'"),
        ({"parameters": {"result": "text", "k": "small"}}, "'result' cannot name"),
        ({"parameters": {"s": 3}}, "s in a contract is a text"),
        ({"reference": "def encode(:"}, "it defines nothing"),
        ({"invariants": ["len(result"]}, "is an expression"),
        ({"invariants": ["1) ; import os ; (2"]}, "is an expression"),
        ({"properties": ["round_trip"]}, 'write {"round_trip": NAME}'),
        ({"properties": [{"round_trip": "code"}]}, "takes a function of the reference, not 'code'"),
        ({"properties": [{"order_free": "z"}]}, "takes a parameter, not 'z'"),
        ({"properties": [{"deterministic": "s"}]}, "name it alone"),
        ({"properties": ["determined"]}, "did you mean 'deterministic'"),
        ({"properties": [3]}, "a property is a name"),
        ({"cases": [{"args": ["a"], "expected": "b"}]}, "one argument per parameter"),
        ({"cases": [{"args": "a", "expected": "b"}]}, "a case is args"),
        ({"cases": [{"args": [{"$set": 3}], "expected": 1}]}, "a case is args"),
        ({"compares": "values"}, "did you mean 'value'"),
        ({"reference": "x = " + "-" * 100_000 + "1"}, "it defines nothing"),
        ({"reference": "x = 1" + "+1" * 100_000}, "it defines nothing"),
        ({"invariants": ["-" * 100_000 + "1"]}, "an invariant is an expression"),
    ],
)
def test_a_contract_that_is_wrong_is_refused_in_one_sentence(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput) as refused:
        Contract.from_json(WHOLE | change)
    assert message in str(refused.value)
    assert "; " in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_function_in_a_case_goes_by_its_name() -> None:
    rows = SAMPLE.as_json() | {"cases": [{"args": ["norml", 0.0, 1, 1.0], "expected": [0.0]}]}
    with pytest.raises(BadInput, match="did you mean 'normal'"):
        Contract.from_json(rows)


@pytest.mark.parametrize("name", KINDS)
def test_the_values_of_a_kind_cross_into_the_sandbox(name: str) -> None:
    kind, random = KINDS[name], Random(3)
    drawn = [kind.draw(random) for _ in range(30)]
    for value in (*drawn, kind.plain, *kind.edges, *kind.catalogue, *kind.near(3)):
        encode(value)
    again = Random(3)
    assert repr(drawn) == repr([kind.draw(again) for _ in range(30)])
    assert kind.edges
    assert kind.catalogue
    assert set(kind.functions) >= ({*kind.edges, *kind.catalogue, *drawn} if kind.functions else set())

    @settings(max_examples=5, database=None)
    @given(kind.strategy(st))
    def crosses(value: Any) -> None:
        encode(value)

    crosses()


def test_every_kind_of_the_bundled_study_is_a_kind_of_the_gate() -> None:
    assert set(TASK_KINDS) <= set(KINDS)
    task = TEMPLATES[0].task(Random(1))
    contract = contract_of(task, task.cases(Random(1)))
    assert (contract.entry_point, contract.reference) == (task.entry_point, task.reference)
    assert tuple(contract.parameters.items()) == tuple(zip(task.parameters, task.kinds, strict=True))
    assert len(contract.cases) >= 8


def test_a_reference_that_cannot_be_one_is_refused() -> None:
    with ContractSandboxes(Limits(seconds=0.3)) as sandboxes:
        for change, message in (
            ({"reference": "def factorial(n):\n    return n\n"}, "a case and the reference must agree"),
            ({"reference": "def factorial(n):\n    raise KeyError\n", "cases": ()}, "a reference must return values"),
            ({"reference": "import numpy\ndef factorial(n):\n    return n\n"}, "a reference must load"),
        ):
            with pytest.raises(BadInput, match=message):
                certify("", replace(FACTORIAL, **change), "sampled", sandboxes)


def test_many_cases_are_no_trouble() -> None:
    many = tuple(Case((n,), n * n) for n in range(350))
    with ContractSandboxes(Limits(seconds=0.5)) as sandboxes:
        square = Contract("square", {"n": "int"}, "def square(n):\n    return n * n\n", ("result >= 0",), (), many)
        assert certify("def square(n):\n    return n**2\n", square, "human", sandboxes).certified
        wrong = "def square(n):\n    return n * n if n != 349 else 0\n"
        assert certify(wrong, square, "human", sandboxes).failed == ("differential",)


def receipts(*failed: str) -> tuple[Receipt, ...]:
    return tuple(Receipt(layer, layer not in failed, {}, "line 1" if layer in failed else "") for layer in LAYERS)


def test_a_certificate_needs_all_eight_receipts_in_order() -> None:
    whole = receipts()
    assert Certificate("code", "p", "c", "sampled", 0, whole).certified
    assert not Certificate("code", "p", "c", "sampled", 0, receipts("coverage")).certified
    for wrong in (whole[:7], whole[::-1], (), (*whole, whole[0])):
        with pytest.raises(BadInput, match="has the receipts invariant, differential"):
            Certificate("code", "p", "c", "sampled", 0, wrong)


def test_a_receipt_names_what_failed_exactly_when_it_failed() -> None:
    for passed, failing in ((True, "line 3"), (False, "")):
        with pytest.raises(BadInput, match="if and only if its layer failed"):
            Receipt("fuzz", passed, {}, failing)


@given(st.sets(st.sampled_from(list(LAYERS))), st.sampled_from(["sampled", "human", "reference"]), st.integers(0, 99))
def test_a_certificate_comes_back_from_its_json(failed: set[str], origin: Any, seed: int) -> None:
    certificate = Certificate("code", "p", "c", origin, seed, receipts(*failed))
    data = json.loads(json.dumps(certificate.as_json()))
    assert Certificate.from_json(data) == certificate
    assert data["certified"] is (not failed)
    with pytest.raises(BadInput):
        Certificate.from_json(data | {"certified": bool(failed)})


@pytest.mark.parametrize(
    "change",
    [
        {"origin": "robot"},
        {"receipts": [{}]},
        {"receipts": 3},
        {"seed": "x"},
        {"receipts": []},
        {"gate": "text"},
        {"gate": "x"},
    ],
)
def test_a_certificate_that_nobody_wrote_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        Certificate.from_json(Certificate("code", "p", "c", "human", 0, receipts()).as_json() | change)


def test_a_mechanical_transformation_is_no_chosen_side_whatever_it_passes() -> None:
    with ContractSandboxes(Limits(seconds=0.3)) as sandboxes:
        right = FACTORIAL.reference
        assert certify(right, FACTORIAL, "reference", sandboxes).certified
        refused = certify(right, FACTORIAL, "mechanical", sandboxes)
        assert not refused.certified
        assert "mechanical transformation" in refused.reason
        assert Certificate.from_json(refused.as_json()) == refused
        with pytest.raises(BadInput, match="origin='robot' is not known; use one of sampled, human, reference"):
            certify(right, FACTORIAL, "robot", sandboxes)  # type: ignore[arg-type]


@pytest.mark.long
def test_the_seed_decides_the_receipts() -> None:
    with ContractSandboxes(Limits(seconds=0.5)) as sandboxes, ContractSandboxes(Limits(seconds=0.5)) as others:
        for program in (FACTORIAL.reference, "def factorial(n):\n    return n or 1\n"):
            first = certify(program, FACTORIAL, "sampled", sandboxes, seed=4)
            assert certify(program, FACTORIAL, "sampled", others, seed=4) == first


def test_what_each_layer_caught_alone_and_what_is_left() -> None:
    found = catches(
        [
            Certificate("code", "a", "c", "sampled", 0, receipts()),
            Certificate("code", "b", "c", "sampled", 0, receipts("edge_cases")),
            Certificate("code", "d", "c", "sampled", 0, receipts("edge_cases", "coverage")),
            Certificate("code", "e", "c", "human", 0, receipts("differential", "property")),
            Certificate("code", "f", "c", "mechanical", 0, ()),
        ],
        "code",
    )
    assert (found.texts, found.mechanical) == (5, 1)
    assert {catch.layer: (catch.caught, catch.alone) for catch in found.layers if catch.caught} == {
        "differential": (1, 0),
        "property": (1, 0),
        "edge_cases": (2, 1),
        "coverage": (1, 0),
    }
    assert found.funnel == (4, 4, 3, 3, 3, 3, 3, 1, 1)
    assert catches([], "code").funnel == (0,) * 9


def test_properties_with_and_without_an_argument_are_read() -> None:
    assert Contract.from_json(WHOLE).properties == (Property("round_trip", "decode"), Property("deterministic"))
