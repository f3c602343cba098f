"""A certificate: the receipts of all layers of a gate for one program or answer. Also counts what each layer caught."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from common.errors import BadInput
from preferences.certify.receipt import Receipt
from preferences.store.provenance import Origin, origin_of

Gate = Literal["code", "text"]
_NAMES: tuple[Gate, ...] = get_args(Gate)
GATES: Mapping[Gate, tuple[str, ...]] = {
    "code": ("invariant", "differential", "property", "fuzz", "semantic", "dataflow", "edge_cases", "coverage"),
    "text": ("components", "critical", "topic", "length", "repetition", "language", "refusal", "near_duplicate"),
}
"""The layers of each gate in order; their functions are in code_gate/layers and text_gate/layers."""


def gate_of(text: str) -> Gate:
    if text not in _NAMES:
        raise BadInput(f"there is no gate {text!r}; use one of {', '.join(_NAMES)}")
    return text


@dataclass(frozen=True, slots=True)
class Certificate:
    """text: digest of the program or answer. against: digest of what it was checked against: the contract, or the
    prompt and the rows that it was compared with. seed: of the drawn inputs, 0 for the text gate. receipts: one per
    layer, in order; none for a mechanically made text."""

    gate: Gate
    text: str
    against: str
    origin: Origin
    seed: int
    receipts: tuple[Receipt, ...]

    def __post_init__(self) -> None:
        origin_of(self.origin)
        expected = [] if self.origin == "mechanical" else list(GATES[gate_of(self.gate)])
        layers = [receipt.layer for receipt in self.receipts]
        if layers != expected:
            raise BadInput(
                f"a certificate has the receipts {', '.join(expected) or '(none)'}, not "
                f"{', '.join(layers) or '(none)'}; certify the text again"
            )

    @property
    def certified(self) -> bool:
        """Whether all layers passed, so that the text may be a chosen side."""
        return bool(self.receipts) and all(receipt.passed for receipt in self.receipts)

    @property
    def reason(self) -> str:
        """Why it was refused, in one line; "" for a certified text."""
        if self.origin == "mechanical":
            return (
                "a mechanical transformation of a failing text teaches how to hide a failure, so it is never a chosen "
                "side"
            )
        return "; ".join(f"{receipt.layer}: {receipt.failing}" for receipt in self.receipts if not receipt.passed)

    @property
    def failed(self) -> tuple[str, ...]:
        """The layers that refused it."""
        return tuple(receipt.layer for receipt in self.receipts if not receipt.passed)

    def as_json(self) -> dict[str, Any]:
        return {
            "gate": self.gate,
            "text": self.text,
            "against": self.against,
            "origin": self.origin,
            "seed": self.seed,
            "certified": self.certified,
            "receipts": [receipt.as_json() for receipt in self.receipts],
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "Certificate":
        """BadInput for other data, and for a certificate whose `certified` contradicts its receipts."""
        match data:
            case {
                "gate": str(gate),
                "text": str(text),
                "against": str(against),
                "origin": str(origin),
                "seed": int(seed),
                "certified": bool(certified),
                "receipts": list(receipts),
            }:
                rows = tuple(Receipt.from_json(row if isinstance(row, dict) else {}) for row in receipts)
                certificate = Certificate(gate_of(gate), text, against, origin_of(origin), seed, rows)
                if certificate.certified == certified:
                    return certificate
        raise BadInput(
            f"a certificate has gate, text, against, origin, seed, receipts, and a value of certified that agrees with "
            f"the receipts, not {str(data)[:80]}; certify the text again"
        )


@dataclass(frozen=True, slots=True)
class Catch:
    """Numbers of texts. caught: the layer refused them. alone: no other layer did. left: they passed this layer and all
    before it."""

    layer: str
    caught: int
    alone: int
    left: int


@dataclass(frozen=True, slots=True)
class Catches:
    """texts: the number of all texts. mechanical: how many of them were refused for their origin, before any layer."""

    texts: int
    mechanical: int
    layers: tuple[Catch, ...]

    @property
    def funnel(self) -> tuple[int, ...]:
        """The number of texts before the first layer and after each; the last is the number of certified texts."""
        return (self.texts - self.mechanical, *(catch.left for catch in self.layers))


def catches(certificates: Sequence[Certificate], gate: Gate) -> Catches:
    """Counts what each layer of a gate caught; certificates of the other gate are ignored."""
    of_gate = [certificate for certificate in certificates if certificate.gate == gate]
    checked = [certificate for certificate in of_gate if certificate.origin != "mechanical"]
    layers, remaining = [], checked
    for layer in GATES[gate]:
        remaining = [certificate for certificate in remaining if layer not in certificate.failed]
        caught = [certificate for certificate in checked if layer in certificate.failed]
        alone = sum(certificate.failed == (layer,) for certificate in caught)
        layers.append(Catch(layer, len(caught), alone, len(remaining)))
    return Catches(len(of_gate), len(of_gate) - len(checked), tuple(layers))
