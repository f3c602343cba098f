"""A store as long as anybody has: DPO pairs of about 700 characters a side, that differ in some words."""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

from agent.workspace.folder import Workspace
from preferences.store.provenance import Provenance, TextOrigin
from preferences.store.rows import Row, row_to_json

WORDS, LETTERS = 3000, "abcdefghijklmnop"
CATEGORIES = ("arithmetic", "strings", "lists", "conditions", "edge cases", "imports")
CHANGED = 0.3
"""Of the words of the rejected side."""


def add_pairs(workspace: Workspace, number: int) -> str:
    """Write so many rows; returns the address of their page."""
    folder = workspace.runs / "rl_data"
    folder.mkdir(parents=True)
    write_rows(folder / "dpo.jsonl", number)
    return "/rl-data/dpo"


def write_rows(path: Path, number: int) -> None:
    with path.open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row_to_json(row), ensure_ascii=False) + "\n" for row in _rows(number))


def _rows(number: int) -> Iterator[Row]:
    random = Random(1)
    words = ["".join(random.choices(LETTERS, k=random.randint(2, 9))) for _ in range(WORDS)]
    for place in range(number):
        chosen = random.choices(words, k=110)
        rejected = [random.choice(words) if random.random() < CHANGED else word for word in chosen]
        yield Row(
            kind="dpo",
            time="2026-11-30T20:00:00Z",
            prompt=f"{place}: {' '.join(random.choices(words, k=20))}",
            texts=(" ".join(chosen), " ".join(rejected)),
            scores=(5.0 + place % 50 / 10, 4.0),
            category=CATEGORIES[place % len(CATEGORIES)],
            source=("harvest", "web")[place % 2],
            provenance=Provenance((TextOrigin("sampled"), TextOrigin("sampled"))),
        )
