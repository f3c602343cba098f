"""What a session measured about itself: its noise floor, A/A tests, re-tests of KEEPs, the holdout."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.ledger.result_rows import value_of
from agent.policy.session_statistics import account_from
from lanes import show
from probes.result.proportions import proportion_interval
from view.data.changes import Change, GuardChange, change_of, guards_of
from view.data.session_record import SessionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Retracted:
    """A KEEP that was retracted: of which decision, why, and the change in which comparison."""

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
    """One A/A test. ``level``: the error level of its confirmation, None where none was begun."""

    turn: int
    change: Change | None
    pairs: int
    level: float | None
    alarm: bool


@dataclass(frozen=True, slots=True)
class Calibration:
    """``share``: the share of candidates that should be A/A tests."""

    share: float
    session: Rate
    study: Rate
    candidates: tuple[AATest, ...]


@dataclass(frozen=True, slots=True)
class Floor:
    """What the session settled on once it knew its noise, and why; ``visible``: what it can resolve."""

    samples: int
    pairs: int
    why: str
    visible: float

    @property
    def reasons(self) -> list[str]:
        """Why so many samples, and why so many pairs: a sentence each, without its full stop."""
        return [part[:1].upper() + part[1:] for reason in self.why.split(";", 1) if (part := reason.strip())]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """The leave-one-out re-test of a KEEP. ``change``: its effect there; ``bound``: the lower bound of that and the
    confirmation together."""

    kept: str
    turn: int
    verdict: str
    change: Change | None
    together: float | None
    bound: float | None
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
    mine = [row for row in record.study_aa_tests if row.session == record.session.id]
    found = []
    for row in mine:
        differences, pairs = _compared(row.comparison)
        level = _error(row.course) or None
        change = change_of(differences.get(record.study.target))
        found.append(
            AATest(
                turn=row.turn,
                change=change,
                pairs=pairs,
                level=level,
                alarm=row.reason == "false_alarm",
            )
        )
    rates = [
        rate(len(rows), sum(row.reason == "false_alarm" for row in rows), sum(_error(row.course) for row in rows))
        for rows in (mine, record.study_aa_tests)
    ]
    return Calibration(record.study.file.policy.disguised, rates[0], rates[1], tuple(found))


def rate(candidates: int, alarms: int, promised: float = 0.0) -> Rate:
    low, high = proportion_interval(alarms, candidates) if candidates else (0.0, 1.0)
    return Rate(candidates=candidates, alarms=alarms, low=low, high=high, promised=promised)


def floor(record: SessionRecord) -> Floor | None:
    check = record.check("floor")
    return Floor(*(check.data[name] for name in ("samples", "pairs", "why", "visible"))) if check else None


def left_out(record: SessionRecord) -> tuple[LeftOut, ...]:
    found = []
    for check in record.checks:
        if check.kind == "leave_one_out":
            data, (differences, pairs) = check.data, _compared(check.data.get("comparison"))
            turn = next((row.turn for row in record.decisions if row.id == check.subject), 0)
            found.append(
                LeftOut(
                    kept=check.subject,
                    turn=turn,
                    verdict=data["verdict"],
                    change=change_of(differences.get(record.study.target)),
                    together=data.get("effect"),
                    bound=data.get("bound"),
                    pairs=pairs,
                    failure=data.get("failure"),
                )
            )
    return tuple(found)


def holdout(record: SessionRecord) -> Holdout | None:
    """None where nothing was kept, or the budget ended before it."""
    check = record.check("holdout")
    if check is None:
        return None
    differences, pairs = _compared(check.data.get("comparison"))
    target = differences.get(record.study.target)
    start, end = (target["baseline"], target["candidate"]) if target else (None, None)
    guards = guards_of(differences, record.study.guards, {"guards": _highs(differences, record.study.guards)})
    return Holdout(
        verdict=check.data["verdict"],
        target=change_of(target),
        start=start,
        end=end,
        guards=guards,
        pairs=pairs,
        failure=check.data.get("failure"),
    )


def _highs(differences: Mapping[str, Any], guards: Mapping[str, float]) -> dict[str, float]:
    """A guard fails the holdout where its whole interval is below its margin."""
    return {name: differences[name]["high"] for name in guards if name in differences}


def _compared(comparison: Mapping[str, Any] | None) -> tuple[Mapping[str, Any], int]:
    """Differences by category, and the number of pairs."""
    return (comparison["differences"], len(comparison["seeds"])) if comparison else ({}, 0)


def _error(course: Mapping[str, Any] | None) -> float:
    return account_from(course["account"]).error if course else 0.0
