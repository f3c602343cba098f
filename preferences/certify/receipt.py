"""A receipt: the result of one layer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.errors import BadInput


@dataclass(frozen=True, slots=True)
class Receipt:
    """failing: the input or line that failed, and how; empty if and only if the layer passed."""

    layer: str
    passed: bool
    figures: Mapping[str, float]
    failing: str = ""

    def __post_init__(self) -> None:
        if self.passed == bool(self.failing):
            raise BadInput(
                f"a receipt names what failed if and only if its layer failed, and {self.layer} has "
                f"passed={self.passed} with failing={self.failing!r}; give one or the other"
            )

    def as_json(self) -> dict[str, Any]:
        return {
            "layer": self.layer,
            "passed": self.passed,
            "figures": dict(self.figures),
            "failing": self.failing,
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "Receipt":
        match data:
            case {"layer": str(layer), "passed": bool(passed), "figures": dict(figures), "failing": str(failing)}:
                if all(isinstance(figure, int | float) for figure in figures.values()):
                    return Receipt(layer, passed, figures, failing)
        raise BadInput(f"a receipt has layer, passed, figures and failing, not {str(data)[:80]}; certify the row again")
