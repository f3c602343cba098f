"""The result of an examination of a judge, and what follows from it. Pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

ExaminationKind = Literal["canary", "calibration", "pair", "choice"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was wanted and what the judge gave (0 to 10; None if its reply was unreadable)."""

    kind: ExaminationKind
    name: str
    wanted: str
    got: float | None
    passed: bool
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """``levels``: mean overall score by digest of the calibration question. ``spread``: standard deviation between
    judgements of one answer, None without repeats. ``shift``: root mean square change of the levels in this epoch."""

    findings: tuple[Finding, ...]
    epoch: int
    levels: Mapping[str, float]
    spread: float | None
    shift: float | None
    most_shift: float
    most_out_of_range: float

    @property
    def failed(self) -> tuple[Finding, ...]:
        """The findings that make the judge unfit: each failed canary, pair and choice, and the calibration answers
        outside of their ranges if they are more than the allowed share."""
        outside = [f for f in self.findings if f.kind == "calibration" and not f.passed]
        placed = [f for f in self.findings if f.kind == "calibration"]
        others = [f for f in self.findings if f.kind != "calibration" and not f.passed]
        return (*others, *(outside if len(outside) > self.most_out_of_range * len(placed) else ()))

    @property
    def unfit(self) -> str:
        """Why the judge cannot be trusted, in words; "" when it can."""
        if not self.failed:
            return ""
        listed = ", ".join(f"{f.name} got {_figure(f)} and {f.wanted} was wanted" for f in self.failed[:3])
        more = len(self.failed) - 3
        return listed + (f", and {more} more" if more > 0 else "")

    @property
    def moved(self) -> str:
        """How far the calibration has moved since the epoch began, in words; "" when within chance."""
        if self.shift is None or self.shift <= self.most_shift:
            return ""
        return f"its calibration moved by {self.shift:.2f} points where {self.most_shift:.2g} may be chance"

    @property
    def summary(self) -> str:
        """One line for logs."""
        passed = sum(finding.passed for finding in self.findings)
        parts = [f"{passed} of {len(self.findings)} examined answers as wanted", f"comparison epoch {self.epoch}"]
        if self.spread is not None:
            parts.append(f"spread between judgements {self.spread:.2f}")
        if self.shift is not None:
            parts.append(f"calibration moved by {self.shift:.2f}")
        return ", ".join(parts)


def _figure(finding: Finding) -> str:
    return f"nothing that can be read ({finding.why})" if finding.got is None else f"{finding.got:.2f}"


def examination_from(data: Mapping[str, Any]) -> Examination:
    """The inverse of dataclasses.asdict."""
    return Examination(**{**data, "findings": tuple(Finding(**finding) for finding in data["findings"])})
