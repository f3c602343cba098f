"""What the session's decisions gave in preference pairs: figures and the report's section."""

from collections.abc import Mapping
from dataclasses import dataclass

from agent.loop.harvest import HARVEST, REFUSED
from preferences.store.rows import KINDS
from view.data.session_record import SessionRecord
from view.report.markdown import code, table, text


@dataclass(frozen=True, slots=True)
class Harvested:
    """New rows by store, of one decision; ``failure``: why there are none. ``withdrawn``: its KEEP was retracted."""

    turn: int
    status: str
    rows: Mapping[str, int]
    failure: str
    withdrawn: bool


def harvested(record: SessionRecord) -> tuple[Harvested, ...]:
    """In the order of the decisions."""
    decisions = {decision.id: decision for decision in record.decisions}
    of_each = {check.subject: check for kind in (REFUSED, HARVEST) for check in record.checks if check.kind == kind}
    found = [(decisions[check.subject], check.data) for check in of_each.values()]
    return tuple(
        Harvested(
            decision.turn, decision.status, {kind: data.get(kind, 0) for kind in KINDS}, data.get("failure", ""),
            decision.id in record.retractions,
        )
        for decision, data in found
    )  # fmt: skip


def harvest_markdown(found: tuple[Harvested, ...]) -> list[str]:
    """Empty where nothing was harvested."""
    if not found:
        return []
    kinds = [kind for kind in KINDS if any(one.rows[kind] for one in found)]
    rows = [(f"{one.turn:03d}", one.status, *(str(one.rows[kind]) for kind in kinds), _said(one)) for one in found]
    return [
        "## Preference pairs",
        "",
        "New rows in `runs/rl_data/` from answers to the harvest prompts, by the decision that they come from. Pairs "
        f"of {code('dpo')} have an answer of the better recipe against a worse one of the other.",
        "",
        *table(("decision", "status", *kinds, ""), rows, right=range(2, 2 + len(kinds))),
        "",
        "Look at some with `nightlane pairs review`, and see what they hold with `nightlane pairs audit`.",
    ]


def _said(one: Harvested) -> str:
    return "withdrawn: the KEEP was retracted" if one.withdrawn else text(one.failure, 400)
