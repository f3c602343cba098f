"""The preference pairs that came from the session's decisions."""

from collections.abc import Mapping
from dataclasses import dataclass

from agent.loop.harvest import HARVEST, REFUSED
from preferences.store.rows import KINDS
from probes.result.cut_answers import CutAnswers
from view.data.session_record import SessionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionHarvest:
    """What the harvest of one decision added. ``rows``: new rows by store; ``failure``: why there are none.
    ``withdrawn``: whether a KEEP of its stack was retracted. ``cut``: the answers to the harvest prompts that were cut
    at max_new_tokens; None if that is not known."""

    turn: int
    status: str
    rows: Mapping[str, int]
    failure: str
    withdrawn: bool
    cut: CutAnswers | None


def harvest_figures(record: SessionRecord) -> tuple[DecisionHarvest, ...]:
    """The harvests in the order of the decisions."""
    decisions = {decision.id: decision for decision in record.decisions}
    of_each = {check.subject: check for kind in (REFUSED, HARVEST) for check in record.checks if check.kind == kind}
    found = [(decisions[check.subject], check.data) for check in of_each.values()]
    return tuple(
        DecisionHarvest(
            turn=decision.turn,
            status=decision.status,
            rows={kind: data.get(kind, 0) for kind in KINDS},
            failure=data.get("failure", ""),
            withdrawn=decision.id in record.retractions,
            cut=CutAnswers(data["cut"], data["answers"]) if "cut" in data else None,
        )
        for decision, data in found
    )
