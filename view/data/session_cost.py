"""What a session took: time by phase, tokens, memory and dollars."""

from collections.abc import Sequence

from probes.endpoint.spending import NO_USAGE, Usage
from probes.result.reading import Reading, Timing
from view.data.figures import Cost, Phase
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
        phases=_phases(record, time, tokens, sum((reading.judging for reading in readings), NO_USAGE)),
    )


def _phases(record: SessionRecord, time: Timing, tokens: int, judging: Usage) -> tuple[Phase, ...]:
    """Dollars only of what has a price; a simulated probe took no time."""
    found = [
        Phase(name="training", seconds=time.train, tokens=tokens),
        Phase(name="generation", seconds=time.generate),
        Phase(name="scoring", seconds=time.score),
        Phase(name="outside these three", seconds=max(0.0, time.other_share) * time.total),
    ]
    found = found if time.total else []
    hourly = record.budget.dollars_per_hour
    found.append(
        Phase(
            name="the machine", seconds=record.active_seconds, dollars=record.spent.hours * hourly if hourly else None
        )
    )
    if judging != NO_USAGE or record.judging_dollars:
        used = judging.prompt_tokens + judging.completion_tokens
        dollars = record.judging_dollars if record.study.scorer.priced else None
        found.append(Phase(name="the judge", tokens=used, dollars=dollars))
    proposing = sum(row.dollars for row in record.proposals.values())
    return tuple([*found, Phase(name="the proposer", dollars=proposing)] if proposing else found)
