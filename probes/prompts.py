"""The prompts of a study: three disjoint splits, each prompt with a category and what its scorer needs."""

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import Any

from lanes.errors import BadInput
from probes.duplicates import Wordings
from probes.inputs.turns import Turns

SPLITS = ("probe", "harvest", "holdout")


@dataclass(frozen=True, slots=True)
class Prompt:
    """``checks`` is the scorer's own: for execution, the entry point and its cases. It never reaches a proposer."""

    id: str
    split: str
    category: str
    difficulty: int
    text: str
    checks: dict[str, Any] = field(hash=False)

    @property
    def asked(self) -> Turns:
        return self.text


def load_prompts(path: Path) -> tuple[Prompt, ...]:
    """All prompts of a JSONL file; BadInput names the line of a row that breaks a law."""
    prompts: list[Prompt] = []
    first_use: dict[str, Prompt] = {}
    ids: set[str] = set()
    for line, row in read_jsonl(path):
        prompt = _prompt(path, line, row)
        if prompt.id in ids:
            raise BadInput(f"{path}, line {line}: the id {prompt.id!r} is used twice; ids must be unique")
        ids.add(prompt.id)
        earlier = first_use.setdefault(prompt.text.strip(), prompt)
        if earlier.split != prompt.split:
            raise BadInput(
                f"{path}, line {line}: splits must be disjoint and this prompt is in {earlier.split} (id {earlier.id}) "
                f"and in {prompt.split}; keep it in one of them"
            )
        prompts.append(prompt)
    if not any(prompt.split == "probe" for prompt in prompts):
        raise BadInput(f'{path} has no prompt with "split": "probe", so nothing could be decided; add some')
    return tuple(prompts)


def check_categories(path: Path, prompts: Collection[Prompt], wanted: Collection[str]) -> None:
    """Refuse a target or guard category that no probe prompt measures: its score would be a phantom."""
    measured = Counter(prompt.category for prompt in prompts if prompt.split == "probe")
    for category in wanted:
        if measured[category] == 1:
            raise BadInput(
                f"{path} has one probe prompt in the category {category!r}, and one prompt gives no "
                "interval; add more, 20 say"
            )
        if category != "overall" and category not in measured:
            raise BadInput(
                f"{path} has no probe prompt in the category {category!r}, which the study targets or guards; "
                f"add prompts for it or take it out (measured: {', '.join(sorted(measured))})"
            )


def check_splits(path: Path, prompts: Collection[Prompt]) -> None:
    """Refuse a prompt that is in two splits in nearly the same words (law 7; probes/duplicates.py has the measure)."""
    for earlier, later in permutations(SPLITS, 2):
        known = Wordings((prompt.text, prompt) for prompt in prompts if prompt.split == earlier)
        for prompt in prompts:
            near = known.near(prompt.text) if prompt.split == later else None
            if near is not None:
                raise BadInput(
                    f"{path}: splits must be disjoint and {prompt.split} prompt {prompt.id!r} is {near[1]:.2f} similar "
                    f"to {near[0].split} prompt {near[0].id!r} (1 is equal but for case, spaces and punctuation, or "
                    "holds it); keep one of them, or make them two tasks"
                )


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, object) for each non-empty line of a file, of a gzip file where its name ends in ``.gz``.

    BadInput for a missing or damaged file or a line that is no object.
    """
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            try:
                yield number, parse_object(line)
            except ValueError as error:
                raise BadInput(f"{path}, line {number} {error}") from None


def read_text(path: Path) -> str:
    """A UTF-8 text, with or without a byte order mark, gzipped where the name ends in ``.gz``; BadInput for others."""
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig") as stream:
            return stream.read()
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist; check the path") from None
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read as UTF-8 text ({error}); check the file") from None


def parse_object(text: str) -> dict[str, Any]:
    """The JSON object of one line; ValueError says what the line is not, and the remedy."""
    try:
        row = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON ({error}); mend or remove it") from None
    if not isinstance(row, dict):
        raise ValueError("is not a JSON object; write one object per line")
    return row


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _prompt(path: Path, line: int, row: dict[str, Any]) -> Prompt:
    for column, kind in {"id": str, "split": str, "category": str, "prompt": str}.items():
        if not isinstance(row.get(column), kind) or not row[column]:
            raise BadInput(f"{path}, line {line} has no text in {column!r}; every prompt row needs one")
        if any(0xD800 <= ord(char) <= 0xDFFF for char in row[column]):
            raise BadInput(
                f"{path}, line {line}: {column!r} holds half a character that cannot be written as UTF-8; mend it"
            )
    if row["category"] == "overall":
        raise BadInput(f"{path}, line {line}: the category 'overall' is the mean of all; name this one otherwise")
    if row["split"] not in SPLITS:
        raise BadInput(f"{path}, line {line} has split={row['split']!r}; use one of {', '.join(SPLITS)}")
    difficulty, checks = row.get("difficulty", 1), row.get("checks", {})
    if type(difficulty) is not int or not isinstance(checks, dict):
        raise BadInput(f"{path}, line {line}: difficulty is a whole number and checks an object; mend the row")
    return Prompt(row["id"], row["split"], row["category"], difficulty, row["prompt"], checks)
