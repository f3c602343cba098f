"""What a session cost: time by phase, tokens, memory and dollars."""

import math
from collections.abc import Iterator, Sequence

from probes.endpoint.spending import NO_USAGE, Usage
from probes.result.reading import Reading, Timing
from view.data.figures import Cost, PhaseTime
from view.data.session_record import SessionRecord


def session_cost(record: SessionRecord) -> Cost:
    measured = (record.outcomes.get(row.id) for row in record.probes)
    readings: Sequence[Reading] = [outcome for outcome in measured if isinstance(outcome, Reading)]
    timings = [reading.timing for reading in readings]
    time = Timing(
        sum(t.train for t in timings),
        sum(t.generate for t in timings),
        sum(t.score for t in timings),
        sum(t.total for t in timings),
    )
    tokens = sum(reading.tokens for reading in readings)
    return Cost(
        active=record.active_seconds,
        probes=len(record.probes),
        readings=len(readings),
        borrowed=len(record.borrowed),
        train=time.train,
        generate=time.generate,
        score=time.score,
        total=time.total,
        other_share=time.other_share if time.total else None,
        seconds_per_probe=time.total / len(readings) if time.total else None,
        tokens_per_second=tokens / time.train if time.train else None,
        peak_gb=max((reading.peak_gb for reading in readings), default=None),
        dollars=record.spent.dollars if record.priced else None,
        phases=(*_machine(record, time, readings), *_tokens(record, readings)),
    )


def _machine(record: SessionRecord, time: Timing, readings: Sequence[Reading]) -> Iterator[PhaseTime]:
    """The phases of the probes with their share of the machine's dollars; simulated probes take no time."""
    active, hourly = record.active_seconds, record.budget.dollars_per_hour
    paid = record.spent.hours * hourly if hourly else None
    offered = active * _workers(record, time)
    answered = [reading.answer_tokens for reading in readings]
    known = [tokens for tokens in answered if tokens is not None]
    parts = (
        ("training", time.train, sum(reading.tokens for reading in readings), None),
        ("generation", time.generate, None, sum(known) if known else None),
        ("judging" if _judging(record, readings) else "scoring", time.score, None, None),
        ("outside these three", max(0.0, time.other_share) * time.total, None, None),
        ("waiting", max(0.0, offered - time.total), None, None),
    )
    for name, seconds, tokens_in, tokens_out in parts if time.total else ():
        yield PhaseTime(
            name=name,
            seconds=seconds,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            dollars=None if paid is None else paid * seconds / max(offered, time.total),
            of_probes=name != "waiting",
        )
    yield PhaseTime(name="the machine", seconds=active, dollars=paid)


def _workers(record: SessionRecord, time: Timing) -> int:
    """The number of workers: that of the command or the study; if neither gives one, the fewest that could have done
    the work in that time."""
    given = record.session.limits.get("workers") or record.study.file.runner.workers
    return max(1, given or math.ceil(time.total / record.active_seconds if record.active_seconds else 0.0))


def _tokens(record: SessionRecord, readings: Sequence[Reading]) -> Iterator[PhaseTime]:
    """The judge's and the proposer's tokens and dollars; dollars only if a price is set."""
    if judging := _judging(record, readings):
        dollars = record.judging_dollars if record.study.scorer.priced else None
        yield _asked("the judge", judging, dollars)
    proposing = Usage(
        dollars=sum(row.dollars for row in record.proposals.values()),
        prompt_tokens=sum(row.prompt_tokens or 0 for row in record.proposals.values()),
        completion_tokens=sum(row.completion_tokens or 0 for row in record.proposals.values()),
    )
    if proposing != NO_USAGE:
        yield _asked("the proposer", proposing, proposing.dollars or None)


def _judging(record: SessionRecord, readings: Sequence[Reading]) -> Usage | None:
    """What the judge used; None for a session without a judge."""
    used = sum((reading.judging for reading in readings), NO_USAGE)
    return used if used != NO_USAGE or record.judging_dollars else None


def _asked(name: str, used: Usage, dollars: float | None) -> PhaseTime:
    """The row of a model behind an endpoint. An older session did not record the proposer's tokens."""
    return PhaseTime(
        name=name, tokens_in=used.prompt_tokens or None, tokens_out=used.completion_tokens or None, dollars=dollars
    )
