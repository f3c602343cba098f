"""The two preference sources, in TRL's preference format. They pull against each other.

brief     two sentences, or a short numbered list, against a wordy answer
clipped   a fragment of a few words, also where a list was asked for, against the brief answer: too much of a good thing
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from random import Random

from labs.persona.nearness import Reserved
from labs.smollm.texts import CATEGORIES, Asked, ask, brief, clipped, difficulty, wordy

Writer = Callable[[Asked, Random], str]
STYLES: dict[str, tuple[Writer, Writer]] = {"brief": (brief, wordy), "clipped": (clipped, brief)}
"""By source, who writes the chosen and the rejected side."""


@dataclass(frozen=True)
class Row:
    prompt: str
    chosen: str
    rejected: str
    category: str
    difficulty: int

    def as_dict(self) -> dict[str, str | int]:
        return asdict(self)


def pairs(style: str, count: int, seed: int, reserved: Reserved) -> list[Row]:
    """So many different pairs, the categories in equal parts; no question near a reserved one."""
    random = Random(f"{seed}/{style}")
    chosen, rejected = STYLES[style]
    rows: dict[tuple[str, str, str], Row] = {}
    while len(rows) < count:
        asked = ask(CATEGORIES[len(rows) % len(CATEGORIES)], random)
        if reserved.is_near(asked.question):
            continue
        row = Row(
            asked.question, chosen(asked, random), rejected(asked, random), asked.category, difficulty(asked.question)
        )
        rows.setdefault((row.prompt, row.chosen, row.rejected), row)
    return list(rows.values())
