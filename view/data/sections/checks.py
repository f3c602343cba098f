"""What a session measured about itself: its noise floor, A/A tests, re-tests of KEEPs, the holdout."""

from collections.abc import Mapping
from dataclasses import dataclass

from agent.ledger.designs import HOLDOUT, LEAVE_ONE_OUT, end_check_from
from agent.ledger.results.rows import value_of
from agent.ledger.tables import DecisionRow
from lanes import show
from probes.result.comparison import Comparison, Difference
from probes.result.proportions import proportion_interval
from view.data.changes import Change, GuardChange, change_of, whole_guards_of
from view.data.session_record import SessionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Retracted:
    """A KEEP that was retracted: its decision, the reason, and the change that the retracting comparison found."""

    id: str
    kept: str
    turn: int
    knob: str
    before: str
    after: str
    reason: str
    change: Change | None
    pairs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """False alarms among A/A tests, with the Clopper-Pearson interval of their rate; ``promised``: the sum
    of the errors that their confirmations were allowed, which bounds the false alarms to be expected."""

    candidates: int
    alarms: int
    low: float
    high: float
    promised: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AATest:
    """One A/A test. ``level``: the error level of its confirmation."""

    turn: int
    change: Change | None
    pairs: int
    level: float
    alarm: bool


@dataclass(frozen=True, slots=True)
class Calibration:
    """``share``: the largest share of the probes that A/A tests may take; ``session``: the rate in this session;
    ``study``: that in all sessions that decided by this rule."""

    share: float
    session: Rate
    study: Rate
    candidates: tuple[AATest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseFloorFigures:
    """How many answers per prompt (``samples``) the session settled on once it knew its noise, and why. ``chances``:
    (joint effect of the changes, chance of a KEEP) with ``probes`` probes and up to ``pairs`` pairs; empty in an older
    session. ``visible``: the effect with an even chance, which is the minimum detectable effect."""

    samples: int
    why: str
    probes: int | None
    pairs: int
    chances: tuple[tuple[float, float], ...]
    visible: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveOneOut:
    """The leave-one-out re-test of a KEEP. ``change``: its effect in the re-test; ``together``: the mean of this and
    its own effect, weighted by their precision; ``chance``: that this exceeds the smallest effect. The last two are
    None in an older session."""

    kept: str
    turn: int
    verdict: str
    change: Change | None
    together: float | None
    chance: float | None
    pairs: int
    failure: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdout:
    """The recipe at the end of the search against the starting recipe, on holdout prompts."""

    verdict: str
    target: Change | None
    start: float | None
    end: float | None
    guards: tuple[GuardChange, ...]
    pairs: int
    failure: str | None


def retractions(record: SessionRecord) -> tuple[Retracted, ...]:
    found = []
    for kept, row in record.retractions.items():
        proposal = record.proposals[kept]
        differences, pairs = _compared(row.comparison)
        before, after = (show(value_of(value)) for value in (proposal.before, proposal.after))
        change = change_of(differences.get(record.study.target))
        found.append(
            Retracted(
                id=row.id,
                kept=kept,
                turn=-row.turn,
                knob=proposal.knob,
                before=before,
                after=after,
                reason=row.reason,
                change=change,
                pairs=pairs,
            )
        )
    return tuple(found)


def calibration(record: SessionRecord) -> Calibration:
    known = [row for row in record.study_aa_tests if row.basis is not None]
    mine = [row for row in known if row.session == record.session.id]
    found = []
    for row in mine:
        differences, pairs = _compared(row.comparison)
        found.append(
            AATest(
                turn=row.turn,
                change=change_of(differences.get(record.study.target)),
                pairs=pairs,
                level=_level(row),
                alarm=row.reason == "false_alarm",
            )
        )
    rates = [
        rate(len(rows), sum(row.reason == "false_alarm" for row in rows), sum(map(_level, rows)))
        for rows in (mine, known)
    ]
    return Calibration(record.study.file.policy.disguised, rates[0], rates[1], tuple(found))


def rate(candidates: int, alarms: int, promised: float = 0.0) -> Rate:
    low, high = proportion_interval(alarms, candidates) if candidates else (0.0, 1.0)
    return Rate(candidates=candidates, alarms=alarms, low=low, high=high, promised=promised)


def floor(record: SessionRecord) -> NoiseFloorFigures | None:
    check = record.check("floor")
    if check is None:
        return None
    data = check.data
    return NoiseFloorFigures(
        samples=data["samples"],
        why=data["why"],
        probes=data.get("probes"),
        pairs=data["pairs"],
        chances=tuple((worth, chance) for worth, chance in data.get("chances", ())),
        visible=data["visible"],
    )


def left_out(record: SessionRecord) -> tuple[LeaveOneOut, ...]:
    found = []
    for check in record.checks:
        if check.kind == LEAVE_ONE_OUT:
            made = end_check_from(check.data)
            differences, pairs = _compared(made.comparison)
            turn = next((row.turn for row in record.decisions if row.id == check.subject), 0)
            found.append(
                LeaveOneOut(
                    kept=check.subject,
                    turn=turn,
                    verdict=made.verdict,
                    change=change_of(differences.get(record.study.target)),
                    together=made.effect,
                    chance=made.chance,
                    pairs=pairs,
                    failure=made.failure,
                )
            )
    return tuple(found)


def holdout(record: SessionRecord) -> Holdout | None:
    """The holdout comparison; None if nothing was kept, or if the budget ended before it."""
    check = record.check(HOLDOUT)
    if check is None:
        return None
    made = end_check_from(check.data)
    differences, pairs = _compared(made.comparison)
    target = differences.get(record.study.target)
    return Holdout(
        verdict=made.verdict,
        target=change_of(target),
        start=target.baseline if target else None,
        end=target.candidate if target else None,
        guards=whole_guards_of(differences, record.study.guards),
        pairs=pairs,
        failure=made.failure,
    )


def _compared(comparison: Comparison | None) -> tuple[Mapping[str, Difference], int]:
    """Differences by category, and the number of pairs."""
    return (comparison.differences, len(comparison.seeds)) if comparison else ({}, 0)


def _level(decision: DecisionRow) -> float:
    """The error that an A/A test was decided at."""
    stack = decision.basis.stack if decision.basis else None
    return stack.given.error if stack else 0.0
