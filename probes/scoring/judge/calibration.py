"""The calibration set: a JSONL file of answers, each with the range in which a fit judge scores it.

    {"id": "good-1", "category": "advice", "prompt": "...", "answer": "...", "low": 7.5, "high": 10}

``low`` and ``high`` bound the overall score (0 to 10, after caps). Two answers to one prompt whose ranges do not
overlap are a pair, which the judge must rank correctly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from common.errors import BadInput
from probes.inputs.files.text import read_jsonl
from probes.inputs.prompts import Prompt
from probes.scoring.judge.settings import JudgeSettings


@dataclass(frozen=True, slots=True)
class CalibrationItem:
    """One answer and the range of its overall score."""

    prompt: Prompt
    answer: str
    low: float
    high: float

    @property
    def id(self) -> str:
        return self.prompt.id


def load_calibration(settings: JudgeSettings, folder: Path) -> tuple[CalibrationItem, ...]:
    """The study's calibration set; empty when it names none. BadInput names the first bad line."""
    if not settings.calibration:
        return ()
    path = folder / settings.calibration
    items: list[CalibrationItem] = []
    for line, row in read_jsonl(path):
        items.append(_item(path, line, row))
        if items[-1].id in {item.id for item in items[:-1]}:
            raise BadInput(f"{path}, line {line}: the id {items[-1].id!r} is used twice; ids must be unique")
    if len(items) < 2:
        raise BadInput(f"{path} holds {len(items)} answers and a calibration set needs two or more; add some, ten say")
    return tuple(items)


def ordered_pairs(items: Sequence[CalibrationItem]) -> list[tuple[CalibrationItem, CalibrationItem]]:
    """(good, bad) for each pair of answers to one prompt whose ranges do not overlap."""
    found = []
    for one, other in combinations(items, 2):
        if one.prompt.text == other.prompt.text:
            better, worse = (one, other) if one.low > other.low else (other, one)
            if better.low > worse.high:
                found.append((better, worse))
    return found


def _item(path: Path, line: int, row: dict[str, Any]) -> CalibrationItem:
    for column in ("id", "category", "prompt", "answer"):
        if not isinstance(row.get(column), str) or (column != "answer" and not row[column]):
            raise BadInput(f"{path}, line {line} has no text in {column!r}; every calibration row needs one")
    low: Any = row.get("low")
    high: Any = row.get("high")
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (low, high))
    if not numbers or not 0 <= low < high <= 10:
        raise BadInput(
            f"{path}, line {line}: low={low!r} and high={high!r} must be 0 <= low < high <= 10; mend the row"
        )
    prompt = Prompt(row["id"], "calibration", row["category"], 1, row["prompt"], {})
    return CalibrationItem(prompt, row["answer"], float(low), float(high))
