"""What a session that is not finished is measuring: the recipes of a wave, or the pairs of a stack."""

from collections.abc import Mapping
from dataclasses import dataclass

from agent.ledger.designs import RecordedStack, RecordedWave
from agent.ledger.tables import ProposalRow
from view.data.figures import shown
from view.data.session_record import SessionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveRecipe:
    """``state``: "measured", "waiting", or the kind of its failure."""

    recipe: str
    changes: tuple[str, ...]
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveInProgress:
    number: int
    recipes: tuple[WaveRecipe, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StackInProgress:
    """``pairs``: how many were measured so far, of at most ``most_pairs``."""

    number: int
    is_aa_test: bool
    changes: tuple[str, ...]
    pairs: int
    most_pairs: int


def in_progress(record: SessionRecord) -> WaveInProgress | StackInProgress | None:
    """The wave or stack that is being measured; None between two of them, and in a finished session."""
    if record.session.finished:
        return None
    if record.stacks and record.stacks[-1].members[0] not in {row.id for row in record.decisions}:
        return _stack(record, record.stacks[-1])
    wave = _wave(record, record.waves[-1]) if record.waves else None
    return wave if wave and any(one.state == "waiting" for one in wave.recipes) else None


def _wave(record: SessionRecord, wave: RecordedWave) -> WaveInProgress:
    rows = {(row.recipe, row.seed): row for row in (*record.borrowed, *record.probes) if row.key == record.session.key}
    found = []
    for made in wave.recipes:
        row = rows.get((made.digest, wave.seed))
        state = "waiting" if row is None else "measured" if row.kind == "reading" else row.kind
        changes = tuple(_change(record.proposals, name) for name in made.proposals)
        found.append(WaveRecipe(recipe=made.digest, changes=changes, state=state))
    return WaveInProgress(number=wave.number, recipes=tuple(found))


def _stack(record: SessionRecord, stack: RecordedStack) -> StackInProgress:
    recipe, incumbent = stack.recipe.digest, stack.incumbent
    looking = {*record.study.file.probe.seeds, *(wave.seed for wave in record.waves)}
    fresh = [row for row in record.probes if row.key == record.session.key and row.seed not in looking]
    since = [row.recipe for row in fresh if row.time >= stack.time]
    pairs = since.count(recipe) // 2 if stack.is_aa_test else min(since.count(recipe), since.count(incumbent))
    return StackInProgress(
        number=stack.number,
        is_aa_test=stack.is_aa_test,
        changes=() if stack.is_aa_test else tuple(_change(record.proposals, name) for name in stack.members),
        pairs=pairs,
        most_pairs=stack.given.pairs,
    )


def _change(proposals: Mapping[str, ProposalRow], name: str) -> str:
    row = proposals[name]
    return f"{row.knob} {shown(row.before)} -> {shown(row.after)}"
