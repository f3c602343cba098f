"""Builds rows from scored answers. Pure: sampling, scoring and storing are done elsewhere.

dpo          an answer of the kept recipe against one of the discarded recipe whose score is lower by a margin
preference   the best against the worst answer of one recipe to one prompt
reward       single answers

An answer that was cut at max_new_tokens may only be a rejected side: as it stands, its text is worse. It is never a
chosen side, since nobody knows how it would have ended, and a model that is trained towards it learns to stop there.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from common.errors import BadInput
from preferences.store.provenance import Provenance, TextOrigin
from preferences.store.rows import Row, StoreKind, exact_digest
from probes.inputs.prompts import Prompt
from probes.inputs.rows.turns import Turn, Turns

RESOLVED = ("improved", "worse", "guard", "cumulative")
"""Reason codes, up to any colon, of decisions that show which recipe is better. Not among them: crash:KIND has no
answers; no_effect, unpromising, unconfirmed, overtaken and budget leave open which recipe is better; calibration and
false_alarm are A/A tests."""

INDEPENDENT: tuple[StoreKind, ...] = ("preference", "reward")
"""The stores whose harvested rows depend on no decision."""


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """One answer to a harvest prompt with its score from 0 to 10 and its provenance."""

    prompt: Prompt
    text: str
    score: float
    side: TextOrigin

    def __post_init__(self) -> None:
        if self.prompt.split != "harvest":
            raise BadInput(
                f"pairs come from harvest prompts and {self.prompt.id!r} is a {self.prompt.split} prompt; sample "
                "answers to harvest prompts"
            )

    @property
    def cut(self) -> bool:
        return self.side.origin == "cut"

    @property
    def answer(self) -> Turns:
        """In the form of its prompt: a text, or an assistant turn."""
        return (Turn("assistant", self.text),) if self.prompt.turns else self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedPair:
    """A decision between two recipes: id, session, status and reason as in results.tsv, and the recipes' digests."""

    id: str
    session: str
    status: str
    reason: str
    kept: str
    discarded: str

    @property
    def resolved(self) -> bool:
        """Whether it shows which of two different recipes is better."""
        known = self.reason.partition(":")[0] in RESOLVED
        return self.status in ("KEEP", "DISCARD") and known and self.kept != self.discarded


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """What all rows of one batch share. ``margin``: the smallest difference in score within a pair. ``per_prompt``: the
    most pairs of one prompt; those with the largest differences are taken."""

    time: str
    scorer: str
    source: str
    margin: float = 1.0
    per_prompt: int = 1
    session: str = ""

    def __post_init__(self) -> None:
        if not self.margin > 0 or self.per_prompt < 1:
            raise BadInput(
                f"margin must be above 0 and per_prompt at least 1, and they are margin={self.margin!r} and "
                f"per_prompt={self.per_prompt!r}; raise them"
            )


def dpo_rows(
    kept: Sequence[ScoredAnswer], discarded: Sequence[ScoredAnswer], decision: DecidedPair, batch: BatchSettings
) -> tuple[Row, ...]:
    """Pairs of kept and discarded answers to the same prompt with the same random numbers; none for a decision that is
    not resolved."""
    if not decision.resolved:
        return ()
    for side, recipe in ((kept, decision.kept), (discarded, decision.discarded)):
        odd = next((answer for answer in side if answer.side.recipe != recipe), None)
        if odd is not None:
            raise BadInput(
                f"the answers of decision {decision.id} are of recipe {recipe}, and one is of {odd.side.recipe}; "
                "give only answers of its own recipes"
            )
    rejected_of = {_question_and_seed(answer): answer for answer in discarded}
    keys = [(answer, _question_and_seed(answer)) for answer in kept]
    pairs = [(answer, rejected_of[key]) for answer, key in keys if key in rejected_of]
    return tuple(
        _row("dpo", replace(batch, session=decision.session), decision.id, chosen, rejected)
        for chosen, rejected in _clearest_pairs(pairs, batch)
    )


def preference_rows(answers: Sequence[ScoredAnswer], batch: BatchSettings) -> tuple[Row, ...]:
    """For each recipe and prompt: the best answer against the worst, the second best against the second worst, ... A
    cut answer is passed over among the best; no answer is in two pairs."""
    groups: dict[tuple[str, str], list[ScoredAnswer]] = defaultdict(list)
    for answer in answers:
        groups[answer.prompt.id, answer.side.recipe].append(answer)
    pairs = []
    for own in groups.values():
        ranked = sorted(own, key=lambda answer: -answer.score)
        best = [place for place, answer in enumerate(ranked) if not answer.cut]
        worst = range(len(ranked) - 1, -1, -1)
        sides = [(ranked[high], ranked[low]) for high, low in zip(best, worst, strict=False) if high < low]
        pairs += _clearest_pairs(sides, batch)
    return tuple(_row("preference", batch, "", chosen, rejected) for chosen, rejected in pairs)


def reward_rows(answers: Sequence[ScoredAnswer], batch: BatchSettings) -> tuple[Row, ...]:
    """Every whole answer that is not empty, with its score; the components of the score are in the provenance."""
    whole = [answer for answer in answers if answer.text.strip() and not answer.cut]
    return tuple(_row("reward", batch, "", answer) for answer in whole)


def without_repetitions(rows: Iterable[Row], *stored: Mapping[str, str]) -> list[Row]:
    """Drops rows of INDEPENDENT stores that repeat an earlier row, of ``rows`` or ``stored`` (exact digest -> id): two
    recipes often give the same answer. A row that is stored already is kept."""
    first: dict[str, str] = {}

    def earliest(row: Row) -> str:
        digest = exact_digest(row)
        return next((known[digest] for known in stored if digest in known), None) or first.setdefault(digest, row.id)

    return [row for row in rows if row.kind not in INDEPENDENT or earliest(row) == row.id]


def _question_and_seed(answer: ScoredAnswer) -> tuple[str, int | None, int | None]:
    """Equal for answers that were sampled for the same prompt with the same random numbers."""
    return answer.prompt.id, answer.side.sampler_seed, answer.side.sample


def _clearest_pairs(
    pairs: Iterable[tuple[ScoredAnswer, ScoredAnswer]], batch: BatchSettings
) -> list[tuple[ScoredAnswer, ScoredAnswer]]:
    """The pairs that differ by the margin and whose chosen side is whole; of each prompt those with the largest
    differences, ties by order."""
    pairs_of: dict[str, list[tuple[ScoredAnswer, ScoredAnswer]]] = defaultdict(list)
    for chosen, rejected in pairs:
        mine, theirs = chosen.text.strip(), rejected.text.strip()
        differs = mine and theirs and mine != theirs
        if differs and not chosen.cut and chosen.score - rejected.score >= batch.margin:
            pairs_of[chosen.prompt.id].append((chosen, rejected))
    clearest = (sorted(own, key=lambda pair: pair[1].score - pair[0].score) for own in pairs_of.values())
    return [pair for own in clearest for pair in own[: batch.per_prompt]]


def _row(kind: StoreKind, batch: BatchSettings, decision: str, *answers: ScoredAnswer) -> Row:
    """A row of one answer, or of a chosen and a rejected one."""
    prompt = answers[0].prompt
    return Row(
        kind=kind,
        time=batch.time,
        prompt=prompt.asked,
        texts=tuple(one.answer for one in answers),
        scores=tuple(one.score for one in answers),
        category=prompt.category,
        source=batch.source,
        provenance=Provenance(
            sides=tuple(one.side for one in answers),
            session=batch.session,
            decision=decision,
            prompt=prompt.id,
            scorer=batch.scorer,
        ),
    )
