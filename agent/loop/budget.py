"""What a session may spend, what it has spent, and which limit it has reached."""

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.ledger.store import Ledger
from agent.study.load import Study
from agent.study.schema import Budget
from agent.workspace.folder import Workspace
from probes.endpoint.spending import Allowance, spent_on_judging

RESERVE_SHARE = 0.1
"""Largest share of a session's probes that is kept back for the checks at its end."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Decisions made, active hours, probes that this session ran, dollars, and free space on the disk.

    Dollars pay for the machine's active hours, with any number of workers, and for the tokens of proposer and judge.
    """

    decisions: int
    hours: float
    probes: int
    dollars: float
    free_gb: float


def spent_by(ledger: Ledger, session_id: str, budget: Budget, workspace: Workspace) -> Spent:
    """What a session has spent, from the ledger, the cost of judging and the free space of the disk."""
    totals, hours = ledger.totals(session_id), ledger.active_seconds(session_id) / 3600
    judging = spent_on_judging(workspace.judging, session_id)
    return Spent(
        decisions=totals.decisions,
        hours=hours,
        probes=totals.probes,
        dollars=hours * budget.dollars_per_hour + totals.dollars + judging,
        free_gb=shutil.disk_usage(workspace.root).free / 1e9,
    )


def judging_allowance(budget: Budget, spent: Spent, workspace: Workspace, session_id: str) -> Allowance:
    """What the session's judge may cost: the budget less the costs of machine and proposer so far."""
    judged = spent_on_judging(workspace.judging, session_id)
    dollars = None if budget.dollars is None else budget.dollars - (spent.dollars - judged)
    return Allowance(
        file=workspace.judging,
        session=session_id,
        dollars=dollars,
        dollars_per_hour=budget.dollars_per_hour,
        since=time.monotonic(),
    )


def has_prices(study: Study) -> bool:
    """Whether the study gives a price for machine time or for the tokens of proposer or judge."""
    proposer = study.file.proposer
    tokens = proposer.dollars_per_million_input or proposer.dollars_per_million_output or study.scorer.priced
    return bool(study.file.budget.dollars_per_hour or tokens)


def exhausted(budget: Budget, spent: Spent, more: int = 0, hours: float = 0.0) -> str | None:
    """The limit that ends the session, in words, or None. ``more``: probes that are about to run or are kept back;
    ``hours``: the expected time of the probes that are kept back."""
    if budget.decisions is not None and spent.decisions >= budget.decisions:
        return f"{spent.decisions} decision{'s' * (spent.decisions != 1)} made, the budget"
    if budget.hours is not None and spent.hours + hours >= budget.hours:
        kept = f", {hours:.2f} are kept back for the end" if hours and spent.hours < budget.hours else ""
        return f"{spent.hours:.2f} hours spent, the budget is {budget.hours:g}{kept}"
    if budget.probes is not None and spent.probes + max(1, more) > budget.probes:
        kept = f", {more} more are needed or kept back for the end" if spent.probes < budget.probes else ""
        return f"{spent.probes} probes run, the budget is {budget.probes}{kept}"
    if budget.dollars is not None and spent.dollars >= budget.dollars:
        return f"${spent.dollars:.2f} spent, the budget is ${budget.dollars:g}"
    if spent.free_gb < budget.disk_gb:
        return f"{spent.free_gb:.2f} GB of disk left, the budget keeps {budget.disk_gb:g} free"
    return None


def kept_back(reserve: int, probes: float) -> int:
    """Probes that the search leaves for the checks at the end: the reserve, or none if the session has so few
    ``probes`` that the reserve would be more than RESERVE_SHARE of them."""
    return reserve if reserve <= RESERVE_SHARE * probes else 0


def budget_left(budget: Budget, spent: Spent) -> str:
    """The budget left, in words, for a proposer and for status."""
    parts = []
    if budget.decisions is not None:
        parts.append(f"{max(0, budget.decisions - spent.decisions)} of {budget.decisions} decisions")
    if budget.hours is not None:
        parts.append(f"{max(0.0, budget.hours - spent.hours):.2f} of {budget.hours:g} hours")
    if budget.probes is not None:
        parts.append(f"{max(0, budget.probes - spent.probes)} of {budget.probes} probes")
    if budget.dollars is not None:
        parts.append(f"${max(0.0, budget.dollars - spent.dollars):.2f} of ${budget.dollars:g}")
    return ", ".join(parts) or "no limit"


def with_overrides(budget: Budget, limits: Mapping[str, Any]) -> Budget:
    """The study's budget, with the limits that the command line gives."""
    given = {name: limits[name] for name in ("decisions", "probes", "hours") if limits.get(name) is not None}
    return budget.model_copy(update=given)
