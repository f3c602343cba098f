"""The curve of a training run, read while it grows, smoothed, and thinned for a screen. Pure, except the reader."""

import json
import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.followed_file import FollowedFile
from probes.train.curve import NAME

METRICS = ("loss", "token_accuracy", "grad_norm", "learning_rate")
"""The figures of train.jsonl that have a chart."""
MOST_POINTS = 800
"""The most points of a line in a chart; a longer line keeps the least and the greatest value of each stretch."""


@dataclass(frozen=True, slots=True)
class CurveLine:
    """One figure over the steps, where it has a finite value."""

    steps: Sequence[int]
    values: Sequence[float]

    @property
    def last(self) -> float | None:
        return self.values[-1] if self.values else None


@dataclass
class Curve:
    """``train.jsonl`` of a folder, to its last whole row. ``last``: the figures of that row."""

    folder: Path
    last: Mapping[str, Any] = field(default_factory=dict)
    _file: FollowedFile = field(init=False)
    _steps: "array[int]" = field(default_factory=lambda: array("q"))
    _values: dict[str, "array[float]"] = field(default_factory=lambda: _no_values())

    def __post_init__(self) -> None:
        self._file = FollowedFile(self.folder / NAME, is_whole=lambda text: _row(text) is not None)

    def refresh(self) -> "Curve":
        """Read what was added since the last time; a run that was resumed begins its file anew."""
        if self._file.begins_anew():
            self.last, self._steps, self._values = {}, array("q"), _no_values()
        for _, text in self._file.new_lines():
            row = _row(text)
            if row is not None:
                self._steps.append(row["step"])
                for name, values in self._values.items():
                    values.append(_finite(row.get(name)))
                self.last = row
        return self

    @property
    def step(self) -> int:
        """The last step; 0 before the first."""
        return self._steps[-1] if self._steps else 0

    def line(self, metric: str) -> CurveLine:
        found = [
            (step, value)
            for step, value in zip(self._steps, self._values[metric], strict=True)
            if not math.isnan(value)
        ]
        return CurveLine([step for step, _ in found], [value for _, value in found])


def smoothed(line: CurveLine, weight: float) -> CurveLine:
    """The exponential moving average, with the bias towards zero at its beginning corrected. ``weight``: that of the
    past, from 0 (no smoothing) to below 1."""
    values, average, total = list[float](), 0.0, 0.0
    for value in line.values:
        average, total = weight * average + (1 - weight) * value, weight * total + (1 - weight)
        values.append(average / total)
    return CurveLine(line.steps, values)


def thinned(line: CurveLine, most: int = MOST_POINTS) -> CurveLine:
    """At most ``most`` points: the first, the last, and the least and the greatest of each stretch, so that no spike is
    lost."""
    number = len(line.steps)
    if number <= most:
        return line
    stretches, kept = (most - 2) // 2, {0, number - 1}
    for place in range(stretches):
        stretch = range(place * number // stretches, (place + 1) * number // stretches)
        kept |= {min(stretch, key=line.values.__getitem__), max(stretch, key=line.values.__getitem__)}
    places = sorted(kept)
    return CurveLine([line.steps[place] for place in places], [line.values[place] for place in places])


def _no_values() -> dict[str, "array[float]"]:
    return {name: array("d") for name in METRICS}


def _row(text: bytes) -> dict[str, Any] | None:
    """The object in a line of train.jsonl; None if there is none."""
    try:
        row = dict(json.loads(text))
        row["step"] = int(row["step"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return row


def _finite(value: object) -> float:
    """The value as a float; NaN for one that a chart cannot show."""
    known = isinstance(value, int | float) and math.isfinite(value)
    return float(value) if known else math.nan  # type: ignore[arg-type]
