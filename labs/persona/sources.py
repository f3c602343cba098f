"""The two preference sources, in TRL's preference format. They prefer different things.

plain   the persona's voice against an answer out of character (modern or assistant)
ornate  an ornate voice, three times as long, against the persona's: the opposite of what the rubric rewards
"""

from random import Random

from labs._build.pairs import PreferenceRow, ReservedQuestions
from labs.persona.texts import CATEGORIES, answer, ask, difficulty

# chosen voice, and the voices that a rejected answer is drawn from
STYLES = {"plain": ("keeper", ("modern", "assistant")), "ornate": ("ornate", ("keeper",))}


def pairs(style: str, count: int, seed: int, reserved: ReservedQuestions) -> list[PreferenceRow]:
    """`count` different pairs, the categories in equal parts; no question is near a reserved one."""
    random = Random(f"{seed}/{style}")
    chosen, rejected = STYLES[style]
    rows: dict[tuple[str, str], PreferenceRow] = {}
    while len(rows) < count:
        category = CATEGORIES[len(rows) % len(CATEGORIES)]
        question, subject = ask(category, random)
        if reserved.is_near(question):
            continue
        good = answer(chosen, category, subject, random)
        bad = answer(random.choice(rejected), category, subject, random)
        rows.setdefault((question, good), PreferenceRow(question, good, bad, category, difficulty(question)))
    return list(rows.values())
