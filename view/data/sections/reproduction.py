"""What is needed to measure a row again: the seed, the parts of the probe key, the probes of each confirmation."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from probes.result.reading import Reading
from view.data.next_commands import run_command
from view.data.search.stacks import ConfirmedStack, stacks
from view.data.session_record import SessionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeIds:
    """The ids of the two probes of a pair; None for a probe that the ledger does not have."""

    seed: int
    candidate: str | None
    incumbent: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StackProbes:
    """``recipe``, ``incumbent``: digests."""

    number: int
    recipe: str
    incumbent: str
    pairs: tuple[ProbeIds, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """``key``: the parts that a probe must share to be compared; empty if no reading is left. ``command``: runs the
    whole search again in an empty workspace; None if the session began from another recipe than the study's, or built
    on readings of earlier sessions. ``timed``: whether its budget is one of time or money, so that a machine of another
    speed ends elsewhere."""

    seed: int
    key: Mapping[str, str]
    command: str | None
    timed: bool
    stacks: tuple[StackProbes, ...]


def reproduction(record: SessionRecord) -> Reproduction:
    outcomes = (record.outcomes.get(row.id) for row in record.probes if row.key == record.session.key)
    reading = next((outcome for outcome in outcomes if isinstance(outcome, Reading)), None)
    key = {name: str(value) for name, value in asdict(reading.key).items()} if reading else {}
    return Reproduction(
        seed=record.session.seed,
        key=key,
        command=_command(record),
        timed=record.budget.hours is not None or record.budget.dollars is not None,
        stacks=tuple(_stack(record, stack) for stack in stacks(record) if stack.confirmed and not stack.is_aa_test),
    )


def _command(record: SessionRecord) -> str | None:
    session = record.session
    if session.start != record.study.start.digest or record.borrowed:
        return None
    limits = " ".join(f"--{name} {value}" for name, value in session.limits.items() if value is not None)
    return f"{run_command(session.study_path, 'again')} --seed {session.seed} {limits}".strip()


def _stack(record: SessionRecord, stack: ConfirmedStack) -> StackProbes:
    rows = {
        (row.recipe, row.seed): row.id for row in (*record.borrowed, *record.probes) if row.key == record.session.key
    }
    seeds = stack.confirmed.seeds if stack.confirmed else ()
    pairs = [
        ProbeIds(seed=seed, candidate=rows.get((stack.recipe, own)), incumbent=rows.get((stack.incumbent, seed)))
        for own, seed in seeds
    ]
    return StackProbes(number=stack.number, recipe=stack.recipe, incumbent=stack.incumbent, pairs=tuple(pairs))
