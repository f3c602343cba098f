"""The data of a full-length run: the sources that a recipe weighs, or the pairs of the REWARD store."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from common.digests import digest_of
from common.errors import BadInput
from finetune.review import ReviewState, require_reviewed, require_set_reviewed, review_state
from lanes import Recipe
from preferences.store.annotations import AnnotatedRow, judged_bad, reviewed_ids, set_digest, usable_rows
from preferences.store.rows import normalized, text_to_json
from preferences.store.stores import Stores
from probes.inputs import sources
from probes.inputs.files.records import rows_digest
from probes.inputs.material import Material
from probes.inputs.sources import good_source
from probes.inputs.training_rows import TrainingRow
from probes.rendering.renderer import Renderer
from probes.rendering.row_check import count, refused_rows

SOURCE = "reward"


@dataclass(frozen=True)
class TrainedSource:
    """A source of the mixture. ``file``: as the study names it; ``drawn``: how many rows the run draws from it;
    ``left_out``: which rows are not trained on, in words; ``notes``: what else was done to its rows."""

    name: str
    file: str
    digest: str
    pairs: tuple[TrainingRow, ...]
    drawn: int
    review: ReviewState
    left_out: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReadSource:
    """A source whose rows are read and not yet drawn."""

    read: sources.SourceRows
    file: str
    digest: str
    review: ReviewState

    def drawn(self, rows: int) -> TrainedSource:
        read = self.read
        return TrainedSource(
            name=read.name,
            file=self.file,
            digest=self.digest,
            pairs=read.pairs,
            drawn=rows,
            review=self.review,
            left_out=read.left_out,
            notes=read.notes,
        )


def study_sources(material: Material, recipe: Recipe, stores: Stores, unreviewed: bool) -> list[ReadSource]:
    """The sources of a study that the recipe weighs. BadInput for a bad row, and for an export that was changed or that
    nobody reviewed."""
    files = {name: where for name, where in material.source_files.items() if name in recipe.mixture}
    states = {name: review_state(name, where, stores) for name, where in files.items()}
    for state in states.values():
        require_reviewed(state, unreviewed)
    return [
        ReadSource(
            read=good_source(name, where, material.data.bad_rows, material.data.prompt_in(name)),
            file=material.data.sources[name],
            digest=rows_digest(where),
            review=states[name],
        )
        for name, where in files.items()
    ]


def reward_source(stores: Stores, unreviewed: bool) -> list[ReadSource]:
    """The pairs of the REWARD store as the only source. BadInput if it has no two answers to one prompt with different
    scores, or if nobody reviewed it."""
    stored, path = stores.read("reward"), stores.path("reward")
    rows = usable_rows(stored)
    judged = reviewed_ids(stores.reviews(), set_digest(stored))
    review = ReviewState(SOURCE, None, stores.reviewed("reward"), len(judged), judged_bad(rows), False, stored=True)
    pairs = reward_pairs(rows)
    if not pairs:
        raise BadInput(
            f"a reward model is trained on answers to one prompt with different scores, and {path} "
            "has none; run a session with a harvest, or add some with nightlane pairs import --kind reward"
        )
    require_set_reviewed(review, "reward", len(rows), unreviewed)
    digest = digest_of([[text_to_json(row.row.prompt), text_to_json(row.texts[0]), row.scores[0]] for row in rows])
    return [ReadSource(sources.SourceRows(SOURCE, path, pairs, ()), str(path), digest, review)]


def reward_pairs(rows: Iterable[AnnotatedRow]) -> tuple[TrainingRow, ...]:
    """For each prompt, its best answer with each other answer that has a lower score, in the order of the store."""
    groups: dict[str, list[tuple[int, AnnotatedRow]]] = {}
    for line, row in enumerate(rows, 1):
        groups.setdefault(normalized(row.row.prompt), []).append((line, row))
    pairs = []
    for group in groups.values():
        _, best = max(group, key=lambda one: (_score(one[1]), -one[0]))
        pairs += [
            TrainingRow(row.row.prompt, best.texts[0], row.texts[0], SOURCE, 0, line)
            for line, row in group
            if _score(row) < _score(best)
        ]
    return tuple(sorted(pairs, key=lambda pair: pair.line))


def _score(row: AnnotatedRow) -> float:
    return float(row.scores[0] or 0.0)


def of_reward_rows(recipe: Recipe) -> Recipe:
    """The recipe with the pairs of the REWARD store as its data."""
    return recipe.model_copy(update={"mixture": {SOURCE: 1.0}, "curriculum": "shuffle"})


def without_refused(
    read: Sequence[ReadSource], renderer: Renderer, recipe: Recipe, material: Material
) -> tuple[list[ReadSource], int]:
    """The sources without the rows that the tokenizer refuses, and the tokens of the longest row."""
    counts = count(renderer, {one.read.name: one.read.pairs for one in read}, recipe.max_length)
    files = {one.read.name: one.read.where for one in read}
    refused = refused_rows(counts, files, material.data.bad_rows)
    kept = [
        replace(one, read=one.read.without(refused[one.read.name])) if refused[one.read.name] else one for one in read
    ]
    return kept, max(one.longest for one in counts.values())
