"""Scored answers -> rows. Pure: who samples and scores them, and who appends the rows, is elsewhere.

dpo          an answer of the kept recipe that beats the discarded one's by a margin, of a resolved decision
preference   the best against the worst of one recipe's answers to one prompt
reward       single answers
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from common.errors import BadInput
from preferences.store.provenance import Provenance, Side
from preferences.store.rows import Kind, Row, repeated
from probes.inputs.turns import Turn, Turns
from probes.inputs.prompts import Prompt

RESOLVED = ("improved", "worse", "guard", "cumulative")
"""The reasons, before any colon, that tell a better recipe from a worse one. Not among them: crash:KIND has no answers,
no_effect, unpromising, unconfirmed, overtaken and budget leave open which is better, and calibration and false_alarm
are the incumbent in disguise."""


ALONE: tuple[Kind, ...] = ("preference", "reward")
"""The stores whose harvested rows rest on no decision."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One answer to a harvest prompt with its score from 0 to 10, and where it comes from."""

    prompt: Prompt
    text: str
    score: float
    side: Side

    def __post_init__(self) -> None:
        if self.prompt.split != "harvest":
            raise BadInput(
                f"pairs come from harvest prompts and {self.prompt.id!r} is a {self.prompt.split} prompt; sample those "
                "of the harvest"
            )

    @property
    def answer(self) -> Turns:
        """In the form of its prompt: a text, or the assistant's turn."""
        return (Turn("assistant", self.text),) if self.prompt.turns else self.text


@dataclass(frozen=True, slots=True)
class Ruling:
    """A decision as pairs need it: its id, session, status and reason as in results.tsv, and the recipes' digests."""

    id: str
    session: str
    status: str
    reason: str
    kept: str
    discarded: str

    @property
    def resolved(self) -> bool:
        """Whether it says of two different recipes which is the better one."""
        known = self.reason.partition(":")[0] in RESOLVED
        return self.status in ("KEEP", "DISCARD") and known and self.kept != self.discarded


@dataclass(frozen=True, slots=True)
class Making:
    """What all rows of one batch share: when, by which scorer, from which source, and by how much a pair must differ.

    ``per_prompt``: pairs of one prompt at most, those with the largest margins.
    """

    time: str
    scorer: str
    source: str
    margin: float = 1.0
    per_prompt: int = 1
    session: str = ""

    def __post_init__(self) -> None:
        if not self.margin > 0 or self.per_prompt < 1:
            raise BadInput(
                f"a pair differs by more than 0 and a prompt has one or more, and these are margin={self.margin!r} "
                f"and per_prompt={self.per_prompt!r}; raise them"
            )


def dpo_rows(kept: Sequence[Scored], discarded: Sequence[Scored], ruling: Ruling, making: Making) -> tuple[Row, ...]:
    """Kept against discarded, on the same prompt and the same random numbers; nothing of an open decision."""
    if not ruling.resolved:
        return ()
    for side, recipe in ((kept, ruling.kept), (discarded, ruling.discarded)):
        odd = next((one for one in side if one.side.recipe != recipe), None)
        if odd is not None:
            raise BadInput(
                f"decision {ruling.id} is on recipe {recipe} and an answer is of {odd.side.recipe}; give its own"
            )
    theirs = {_draw(one): one for one in discarded}
    pairs = [(one, theirs[_draw(one)]) for one in kept if _draw(one) in theirs]
    return tuple(
        _pair("dpo", chosen, rejected, replace(making, session=ruling.session), ruling.id)
        for chosen, rejected in _most(pairs, making)
    )


def preference_rows(answers: Sequence[Scored], making: Making) -> tuple[Row, ...]:
    """Of each recipe and prompt, the best answer against the worst: the second best against the second worst next."""
    groups: dict[tuple[str, str], list[Scored]] = defaultdict(list)
    for one in answers:
        groups[one.prompt.id, one.side.recipe].append(one)
    pairs = []
    for own in groups.values():
        ranked = sorted(own, key=lambda one: -one.score)
        pairs += _most([(ranked[n], ranked[-1 - n]) for n in range(len(ranked) // 2)], making)
    return tuple(_pair("preference", chosen, rejected, making, "") for chosen, rejected in pairs)


def reward_rows(answers: Sequence[Scored], making: Making) -> tuple[Row, ...]:
    """Every answer that is not empty, with its score; its components are its side's figures."""
    return tuple(
        Row(
            "reward", making.time, one.prompt.asked, (one.answer,), (one.score,), one.prompt.category, making.source,
            Provenance((one.side,), making.session, "", one.prompt.id, making.scorer),
        )
        for one in answers if one.text.strip()
    )  # fmt: skip


def unsaid(rows: Iterable[Row], *there: Mapping[str, str]) -> list[Row]:
    """Without the rows of ALONE that say, with the same scores, what an earlier one says, here or ``there`` (ids by
    what they say): two recipes often give one answer. A row that is there itself is no repetition."""
    first: dict[str, str] = {}

    def earliest(row: Row) -> str:
        said = repeated(row)
        return next((known[said] for known in there if said in known), None) or first.setdefault(said, row.id)

    return [row for row in rows if row.kind not in ALONE or earliest(row) == row.id]


def _draw(one: Scored) -> tuple[str, int | None, int | None]:
    """Which prompt and which random numbers."""
    return one.prompt.id, one.side.sampler_seed, one.side.sample


def _most(pairs: Iterable[tuple[Scored, Scored]], making: Making) -> list[tuple[Scored, Scored]]:
    """The pairs that differ enough, the clearest of each prompt first; of equal ones the earlier."""
    found: dict[str, list[tuple[Scored, Scored]]] = defaultdict(list)
    for chosen, rejected in pairs:
        mine, theirs = chosen.text.strip(), rejected.text.strip()
        differs = mine and theirs and mine != theirs
        if differs and chosen.score - rejected.score >= making.margin:
            found[chosen.prompt.id].append((chosen, rejected))
    clearest = (sorted(own, key=lambda pair: pair[1].score - pair[0].score) for own in found.values())
    return [pair for own in clearest for pair in own[: making.per_prompt]]


def _pair(kind: Kind, chosen: Scored, rejected: Scored, making: Making, decision: str) -> Row:
    prompt = chosen.prompt
    return Row(
        kind, making.time, prompt.asked, (chosen.answer, rejected.answer), (chosen.score, rejected.score),
        prompt.category, making.source,
        Provenance((chosen.side, rejected.side), making.session, decision, prompt.id, making.scorer),
    )  # fmt: skip
