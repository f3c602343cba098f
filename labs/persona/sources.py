"""The two preference sources, in TRL's preference format. They prefer different things.

plain   the persona's voice against an answer out of character (modern or assistant)
ornate  the same keeper in velvet, three times as long, against the plain voice: what the rubric does not want
"""

from random import Random

from labs.microcoder.sources import Row
from labs.persona.nearness import Reserved
from labs.persona.texts import CATEGORIES, answer, ask, difficulty

# chosen voice, and the voices that a rejected answer is drawn from
STYLES = {"plain": ("keeper", ("modern", "assistant")), "ornate": ("ornate", ("keeper",))}


def pairs(style: str, count: int, seed: int, reserved: Reserved) -> list[Row]:
    """So many different pairs, the categories in equal parts; no question near a reserved one."""
    random = Random(f"{seed}/{style}")
    chosen, rejected = STYLES[style]
    rows: dict[tuple[str, str], Row] = {}
    while len(rows) < count:
        category = CATEGORIES[len(rows) % len(CATEGORIES)]
        question, subject = ask(category, random)
        if reserved.is_near(question):
            continue
        good = answer(chosen, category, subject, random)
        bad = answer(random.choice(rejected), category, subject, random)
        rows.setdefault((question, good), Row(question, good, bad, category, difficulty(question)))
    return list(rows.values())
