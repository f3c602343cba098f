"""What a session does now: its probes in flight, and the budget left. Cheap, because it is asked for every second."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from agent.ledger.store import Ledger
from agent.ledger.tables import SessionRow
from agent.loop.budget import Spent, budget_left, spent_by, with_overrides
from agent.loop.in_flight import ProbeInFlight, read_in_flight
from agent.study.load import Study
from agent.workspace.folder import Workspace
from probes.run.protocol import WorkerStatus
from view.data.sections.requests import RequestLine, held_by, request_lines


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveProbe:
    """``worker``: the number of the worker that runs it; None if probes run in the session's process. ``share``: the
    share of its training that is done. ``seconds_left``: until its outcome, or until the end of its training if the
    time of the rest is not known yet."""

    worker: int | None
    id: str
    seed: int
    phase: str
    step: int
    steps: int
    share: float
    loss: float | None
    seconds_left: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveBatch:
    """``title``: what is measured. ``other_workers``: workers that run no probe now. ``seconds_left``: until the batch
    is done."""

    title: str
    probes: tuple[LiveProbe, ...]
    other_workers: tuple[WorkerStatus, ...]
    waiting: int
    done: int
    seconds_left: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetUse:
    """A limit of the budget and how much of it is used, both in ``unit``."""

    unit: str
    spent: float
    limit: float

    @property
    def share(self) -> float:
        return min(1.0, self.spent / self.limit) if self.limit else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """``batch``: None between two batches, and if no process runs the session. ``held``: the pause or stop in force, in
    words; "" if there is none. ``waiting``: a person's requests that the session has not taken yet."""

    batch: LiveBatch | None
    budget_left: str
    used: tuple[BudgetUse, ...]
    held: str
    waiting: tuple[RequestLine, ...]


def live(workspace: Workspace, ledger: Ledger, session: SessionRow, study: Study, holder: int | None) -> Live:
    budget = with_overrides(study.file.budget, session.limits)
    spent = spent_by(ledger, session.id, budget, workspace)
    requests = ledger.requests(session.id)
    limits = {name: getattr(budget, name) for name in ("hours", "probes", "decisions", "dollars")}
    return Live(
        batch=_batch(workspace, session.id, holder),
        budget_left=budget_left(budget, spent),
        used=_used(spent, limits),
        held="" if session.finished else held_by(requests),
        waiting=tuple(one for one in request_lines(requests) if not one.answer),
    )


def _used(spent: Spent, limits: Mapping[str, float | None]) -> tuple[BudgetUse, ...]:
    return tuple(
        BudgetUse(unit=name, spent=round(getattr(spent, name), 4), limit=limit)
        for name, limit in limits.items()
        if limit is not None
    )


def _batch(workspace: Workspace, session: str, holder: int | None) -> LiveBatch | None:
    found = read_in_flight(workspace.session(session), holder)
    if found is None:
        return None
    now = time.time()
    return LiveBatch(
        title=found.title,
        probes=tuple(
            _probe(
                one,
                found.worker_of(one.id),
                one.seconds_left(found.typical, now) or one.training_left(found.typical, now),
            )
            for one in found.probes
        ),
        other_workers=found.without_a_probe,
        waiting=found.waiting,
        done=found.done,
        seconds_left=found.seconds_left(now),
    )


def _probe(one: ProbeInFlight, worker: int | None, seconds_left: float | None) -> LiveProbe:
    done = 1.0 if one.phase in ("generating", "scoring") else one.step / max(one.steps, 1)
    return LiveProbe(
        worker=worker,
        id=one.id,
        seed=one.seed,
        phase=one.phase,
        step=one.step,
        steps=one.steps,
        share=done,
        loss=one.loss,
        seconds_left=seconds_left,
    )
