"""A certificate: the receipts of one program; and what each layer caught over many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lanes.errors import BadInput
from preferences.gate.layers import LAYERS
from preferences.gate.receipt import Receipt
from preferences.provenance import Origin, origin_of


@dataclass(frozen=True, slots=True)
class Certificate:
    """program, contract: their digests. receipts: one per layer in order; none for what is mechanical."""

    program: str
    contract: str
    origin: Origin
    seed: int
    receipts: tuple[Receipt, ...]

    def __post_init__(self) -> None:
        origin_of(self.origin)
        wanted = [] if self.origin == "mechanical" else list(LAYERS)
        if (found := [receipt.layer for receipt in self.receipts]) != wanted:
            raise BadInput(
                f"a certificate has the receipts {', '.join(wanted) or '(none)'}, not {', '.join(found) or '(none)'}; "
                "certify the program again"
            )

    @property
    def certified(self) -> bool:
        """Whether it may be a chosen side: all eight layers passed."""
        return bool(self.receipts) and all(receipt.passed for receipt in self.receipts)

    @property
    def reason(self) -> str:
        """Why it is refused, in one line; "" where it is certified."""
        if self.origin == "mechanical":
            return (
                "a mechanical transformation of a failing program teaches how to hide a failure; it can be no chosen "
                "side, whatever it passes"
            )
        return "; ".join(f"{receipt.layer}: {receipt.failing}" for receipt in self.receipts if not receipt.passed)

    @property
    def failed(self) -> tuple[str, ...]:
        """The layers that refused it."""
        return tuple(receipt.layer for receipt in self.receipts if not receipt.passed)

    def as_json(self) -> dict[str, Any]:
        return {
            "program": self.program,
            "contract": self.contract,
            "origin": self.origin,
            "seed": self.seed,
            "certified": self.certified,
            "receipts": [receipt.as_json() for receipt in self.receipts],
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "Certificate":
        """BadInput for data that no certificate would have written, one that claims more than its receipts too."""
        match data:
            case {
                "program": str(program), "contract": str(contract), "origin": str(origin), "seed": int(seed),
                "certified": bool(certified), "receipts": list(receipts),
            }:  # fmt: skip
                rows = tuple(Receipt.from_json(row if isinstance(row, dict) else {}) for row in receipts)
                read = Certificate(program, contract, origin_of(origin), seed, rows)
                if read.certified == certified:
                    return read
        raise BadInput(
            f"a certificate has program, contract, origin, seed, receipts, and certified as these say, not "
            f"{str(data)[:80]}; certify the program again"
        )


@dataclass(frozen=True, slots=True)
class Catch:
    """caught: programs that the layer refused. alone: of these, those that no other layer refused. left: programs
    that it and every layer before it passed."""

    layer: str
    caught: int
    alone: int
    left: int


@dataclass(frozen=True, slots=True)
class Catches:
    """programs: all of them. mechanical: those refused for their origin, which no layer saw."""

    programs: int
    mechanical: int
    layers: tuple[Catch, ...]

    @property
    def funnel(self) -> tuple[int, ...]:
        """The pool before the first layer and after each; the last is what is certified."""
        return (self.programs - self.mechanical, *(catch.left for catch in self.layers))


def catches(certificates: Sequence[Certificate]) -> Catches:
    seen = [certificate for certificate in certificates if certificate.origin != "mechanical"]
    rows, left = [], seen
    for layer in LAYERS:
        left = [certificate for certificate in left if layer not in certificate.failed]
        caught = [certificate for certificate in seen if layer in certificate.failed]
        alone = sum(certificate.failed == (layer,) for certificate in caught)
        rows.append(Catch(layer, len(caught), alone, len(left)))
    return Catches(len(certificates), len(certificates) - len(seen), tuple(rows))
