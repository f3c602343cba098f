"""The two sides of a decision: the probes with the change and those of the incumbent, and how each prompt changed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from agent.ledger.tables import DecisionRow, ProbeRow
from common.errors import BadInput
from probes.result.comparison import OVERALL
from probes.result.reading import Reading
from view.data.answers.pairs import AnswerTexts, ScoredAnswerPair, ShownAnswer, mean_change, places_of, shown_answer
from view.data.search.replicates import measured_pairs
from view.data.search.stacks import ConfirmedStack
from view.data.session_record import SessionRecord

MOST_ANSWERS = 12
"""The most pairs of answers to a prompt that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSides:
    """``candidates``: the probes of recipes with the change; ``incumbents``: those of the incumbent under the same
    seeds. ``pairs``: their readings, where both exist. ``is_alone``: whether the recipes differ from the incumbent only
    in what was decided on; recipes of waves carry other changes too."""

    candidates: tuple[ProbeRow, ...]
    incumbents: tuple[ProbeRow, ...]
    pairs: tuple[tuple[Reading, Reading], ...]
    is_alone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptChange:
    """Mean scores of one prompt, over ``answers`` pairs of answers."""

    prompt: str
    category: str
    before: float
    after: float
    change: float
    answers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredProbePair:
    """A probe with the change: its mean score over the prompts of the target, and that of the incumbent's probe under
    the same seed."""

    probe: str
    recipe: str
    seed: int
    before: float
    after: float
    change: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineMeans:
    """A probe of the starting recipe: its mean score in the target, in each guard and over all."""

    probe: str
    seed: int
    means: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswersSideBySide:
    """Two answers to one prompt. ``probe``: the id of the probe with the change."""

    probe: str
    seed: int
    sample: int
    before: ShownAnswer
    after: ShownAnswer


def sides_of_stack(record: SessionRecord, stack: ConfirmedStack) -> ProbeSides:
    """The two sides on the fresh seeds of the confirmation; if no pair was compared, for example because the recipe
    failed, all probes of the recipe."""
    seeds = stack.confirmed.seeds if stack.confirmed else ()
    candidates = _rows(record, [stack.recipe], {own for own, _ in seeds} or None)
    return ProbeSides(
        candidates=candidates,
        incumbents=_rows(record, [stack.incumbent], {other for _, other in seeds} or {row.seed for row in candidates}),
        pairs=measured_pairs(record, stack),
        is_alone=True,
    )


def sides_of_change(record: SessionRecord, decision: DecisionRow) -> ProbeSides:
    """The two sides of a change that was not confirmed: the recipes of waves that carried it, and the incumbent."""
    proposal = record.proposals[decision.id]
    recipes = record.carriers.get(decision.id, (proposal.child,))
    candidates = _rows(record, recipes)
    theirs = {reading.seed: reading for reading in record.readings(proposal.parent)}
    mine = [reading for recipe in recipes for reading in record.readings(recipe)]
    return ProbeSides(
        candidates=candidates,
        incumbents=_rows(record, [proposal.parent], {row.seed for row in candidates}),
        pairs=tuple((reading, theirs[reading.seed]) for reading in mine if reading.seed in theirs),
        is_alone=recipes == (proposal.child,),
    )


def _rows(record: SessionRecord, recipes: Iterable[str], seeds: Iterable[int] | None = None) -> tuple[ProbeRow, ...]:
    wanted, known = set(recipes), None if seeds is None else set(seeds)
    return tuple(
        row
        for row in (*record.probes, *record.borrowed)
        if row.recipe in wanted and row.key == record.session.key and (known is None or row.seed in known)
    )


def prompt_changes(pairs: Sequence[tuple[Reading, Reading]]) -> list[PromptChange]:
    """The mean change of each prompt, the largest gain first."""
    found = [_change(prompt, places) for prompt, places in places_of(pairs).items()]
    return sorted(found, key=lambda one: (-one.change, one.prompt))


def _change(prompt: str, places: Sequence[ScoredAnswerPair]) -> PromptChange:
    return PromptChange(
        prompt=prompt,
        category=places[0].after.category,
        before=fmean(place.before.value for place in places),
        after=fmean(place.after.value for place in places),
        change=mean_change(places),
        answers=len(places),
    )


def baseline_means(record: SessionRecord) -> list[BaselineMeans]:
    found = []
    for reading in record.baseline_readings:
        asked = {score.category for score in reading.scores}
        names = dict.fromkeys([record.study.target, *record.study.guards, OVERALL])
        means = {name: reading.mean(name) for name in names if name in asked or (name == OVERALL and asked)}
        found.append(BaselineMeans(probe=reading.probe, seed=reading.seed, means=means))
    return found


def probe_pairs(sides: ProbeSides, target: str) -> list[ScoredProbePair]:
    """The pairs in the order in which they were measured; a pair that shares no prompt of the target is left out."""
    found = []
    for mine, theirs in sides.pairs:
        own = [one for one in prompt_changes([(mine, theirs)]) if target in (OVERALL, one.category)]
        if own:
            before, after = fmean(one.before for one in own), fmean(one.after for one in own)
            found.append(
                ScoredProbePair(
                    probe=mine.probe,
                    recipe=mine.recipe,
                    seed=mine.seed,
                    before=before,
                    after=after,
                    change=after - before,
                )
            )
    return found


def answers_to(
    record: SessionRecord, pairs: Sequence[tuple[Reading, Reading]], prompt: str
) -> tuple[AnswersSideBySide, ...]:
    """Both answers to a prompt, pair by pair, those that changed most first. Empty where their texts are gone, as those
    of simulated probes are; BadInput for a prompt that was not asked."""
    places = places_of(pairs).get(prompt)
    if places is None:
        raise BadInput(f"no answers to a prompt {prompt!r} were compared here; choose one of the table")
    texts, found = AnswerTexts(record.store), list[AnswersSideBySide]()
    for place in sorted(places, key=lambda place: -abs(place.change))[:MOST_ANSWERS]:
        before, after = texts.row(place.theirs, place.before), texts.row(place.mine, place.after)
        if before and after:
            shown = shown_answer(before, place.before), shown_answer(after, place.after)
            found.append(
                AnswersSideBySide(
                    probe=place.mine.probe,
                    seed=place.mine.seed,
                    sample=place.after.sample,
                    before=shown[0],
                    after=shown[1],
                )
            )
    return tuple(found)
