"""The two preference sources, in TRL's preference format. They prefer opposite things.

brief     two sentences, or a short numbered list, against a wordy answer
clipped   a fragment of a few words, even for a list, against the brief answer: shorter than the rules reward
"""

from collections.abc import Callable
from random import Random

from labs._build.pairs import PreferenceRow, ReservedQuestions
from labs.smollm.texts import CATEGORIES, SourceQuestion, ask, brief, clipped, difficulty, wordy

Writer = Callable[[SourceQuestion, Random], str]
STYLES: dict[str, tuple[Writer, Writer]] = {"brief": (brief, wordy), "clipped": (clipped, brief)}
"""By source: the writers of the chosen and the rejected side."""


def pairs(style: str, count: int, seed: int, reserved: ReservedQuestions) -> list[PreferenceRow]:
    """`count` different pairs, the categories in equal parts; no question is near a reserved one."""
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
