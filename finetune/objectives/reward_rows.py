"""The rows of a reward model: pairs of answers to one prompt of the REWARD store, by their scores."""

from collections.abc import Iterable

from common.digests import digest_of
from common.errors import BadInput
from finetune.review import ReviewState, require_set_reviewed
from preferences.store.annotations import AnnotatedRow, judged_bad, reviewed_ids, set_digest, usable_rows
from preferences.store.rows import normalized, text_to_json
from preferences.store.stores import Stores
from probes.inputs.sources import TrainingRow

SOURCE = "reward"


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


def read_reward_pairs(stores: Stores, unreviewed: bool) -> tuple[tuple[TrainingRow, ...], str, ReviewState]:
    """The pairs of the store, a digest of its rows, and whether they were reviewed. BadInput if the store has no two
    answers to one prompt with different scores, or if nobody reviewed it."""
    stored = stores.read("reward")
    rows = usable_rows(stored)
    judged = reviewed_ids(stores.reviews(), set_digest(stored))
    state = ReviewState(SOURCE, None, stores.reviewed("reward"), len(judged), judged_bad(rows), False, stored=True)
    pairs = reward_pairs(rows)
    if not pairs:
        raise BadInput(
            f"a reward model is trained on answers to one prompt with different scores, and {stores.path('reward')} "
            "has none; run a session with a harvest, or add some with nightlane pairs import --kind reward"
        )
    require_set_reviewed(state, "reward", len(rows), unreviewed)
    digest = digest_of([[text_to_json(row.row.prompt), text_to_json(row.texts[0]), row.scores[0]] for row in rows])
    return pairs, digest, state


def _score(row: AnnotatedRow) -> float:
    return float(row.scores[0] or 0.0)
