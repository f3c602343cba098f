"""The row of a promotion: PROMOTE or HOLD, after the session whose recipe was compared at full length."""

from collections.abc import Mapping, Sequence
from typing import Any

from agent.ledger.results.files import publish
from agent.ledger.results.rows import promotion_row
from agent.ledger.store import Ledger
from agent.ledger.tables import DecisionRow
from agent.workspace.folder import Workspace
from probes.result.comparison import Comparison

PROMOTION = "-promotion-"
"""Joins the id of the session and that of the promotion in the id of the row."""


def record_promotion(
    workspace: Workspace,
    session: str,
    *,
    promotion: str,
    status: str,
    reason: str,
    description: str,
    incumbent: str,
    comparison: Comparison | None,
    target: str,
    guards: Mapping[str, float],
    length: Mapping[str, Any],
) -> Sequence[str]:
    """Record a promotion under its own id, once, and bring results.tsv and the log up to date; returns messages for a
    person. ``incumbent``: digest of the recipe; ``length``: steps and samples. WorkspaceBusy while a session runs."""
    name = f"{session}{PROMOTION}{promotion}"
    row = promotion_row(
        session,
        status=status,
        reason=reason,
        description=description,
        comparison=comparison,
        target=target,
        guards=guards,
        length=length,
    )
    with workspace.held(), Ledger(workspace.ledger) as ledger:
        if ledger.decision(name) is None:
            decision = DecisionRow(
                id=name,
                session=session,
                turn=0,
                status=status,
                reason=reason,
                incumbent=incumbent,
                comparison=comparison,
                policy={},
                row={**row, "id": name},
                time=row["time"],
            )
            ledger.record_decisions([(decision, f"{status} {reason} at full length: {description}")])
        return publish(ledger, workspace.root)
