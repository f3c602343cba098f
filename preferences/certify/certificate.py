"""A certificate: the receipts of all layers of a gate for one text, a program or an answer; and counts per layer."""

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
"""The layers of each gate in order; code_gate/layers.py and text_gate/layers.py have their functions."""


def gate_of(text: str) -> Gate:
    if text not in _NAMES:
        raise BadInput(f"there is no gate {text!r}; use one of {', '.join(_NAMES)}")
    return text


@dataclass(frozen=True, slots=True)
class Certificate:
    """text: digest of the program or answer. against: digest of the contract, or of the prompt and its set. seed: of
    the drawn inputs, 0 for the text gate. receipts: one per layer in order; none for a mechanically made text."""

    gate: Gate
    text: str
    against: str
    origin: Origin
    seed: int
    receipts: tuple[Receipt, ...]

    def __post_init__(self) -> None:
        origin_of(self.origin)
        wanted = [] if self.origin == "mechanical" else list(GATES[gate_of(self.gate)])
        if (found := [receipt.layer for receipt in self.receipts]) != wanted:
            raise BadInput(
                f"a certificate has the receipts {', '.join(wanted) or '(none)'}, not {', '.join(found) or '(none)'}; "
                "certify the text again"
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
                "a mechanical transformation of a failing text teaches how to hide a failure; it can be no chosen "
                "side, whatever it passes"
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
        """BadInput for other data, and for a certificate that claims more than its receipts do."""
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
                read = Certificate(gate_of(gate), text, against, origin_of(origin), seed, rows)
                if read.certified == certified:
                    return read
        raise BadInput(
            f"a certificate has gate, text, against, origin, seed, receipts, and certified as these say, not "
            f"{str(data)[:80]}; certify the text again"
        )


@dataclass(frozen=True, slots=True)
class Catch:
    """caught: texts that the layer refused. alone: of these, those that only it refused. left: texts that passed it and
    all layers before it."""

    layer: str
    caught: int
    alone: int
    left: int


@dataclass(frozen=True, slots=True)
class Catches:
    """texts: the number of all texts. mechanical: of these, those refused for their origin, before any layer."""

    texts: int
    mechanical: int
    layers: tuple[Catch, ...]

    @property
    def funnel(self) -> tuple[int, ...]:
        """The number of texts before the first layer and after each; the last is the number of certified texts."""
        return (self.texts - self.mechanical, *(catch.left for catch in self.layers))


def catches(certificates: Sequence[Certificate], gate: Gate) -> Catches:
    """What each layer of a gate caught; certificates of the other gate are not counted."""
    own = [certificate for certificate in certificates if certificate.gate == gate]
    seen = [certificate for certificate in own if certificate.origin != "mechanical"]
    rows, left = [], seen
    for layer in GATES[gate]:
        left = [certificate for certificate in left if layer not in certificate.failed]
        caught = [certificate for certificate in seen if layer in certificate.failed]
        alone = sum(certificate.failed == (layer,) for certificate in caught)
        rows.append(Catch(layer, len(caught), alone, len(left)))
    return Catches(len(own), len(own) - len(seen), tuple(rows))
