"""The two preference sources, in TRL's preference format. They pull against each other.

brief     two sentences, or a short numbered list, against a wordy answer
clipped   a fragment of a few words, also where a list was asked for, against the brief answer: too much of a good thing
"""

from collections.abc import Callable
from random import Random

from labs._build.pairs import PreferenceRow, Reserved
from labs.smollm.texts import CATEGORIES, Asked, ask, brief, clipped, difficulty, wordy

Writer = Callable[[Asked, Random], str]
STYLES: dict[str, tuple[Writer, Writer]] = {"brief": (brief, wordy), "clipped": (clipped, brief)}
"""By source, who writes the chosen and the rejected side."""


def pairs(style: str, count: int, seed: int, reserved: Reserved) -> list[PreferenceRow]:
    """So many different pairs, the categories in equal parts; no question near a reserved one."""
    random = Random(f"{seed}/{style}")
    chosen, rejected = STYLES[style]
    rows: dict[tuple[str, str, str], PreferenceRow] = {}
    while len(rows) < count:
        asked = ask(CATEGORIES[len(rows) % len(CATEGORIES)], random)
        if reserved.is_near(asked.question):
            continue
        row = PreferenceRow(
            asked.question, chosen(asked, random), rejected(asked, random), asked.category, difficulty(asked.question)
        )
        rows.setdefault((row.prompt, row.chosen, row.rejected), row)
    return list(rows.values())
