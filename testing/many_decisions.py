"""A session that has thousands of decisions, to see that pages stay fast.

add_decisions(workspace, 10_000)
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count, cycle, islice

from agent.ledger.result_rows import event_text
from agent.ledger.store import Ledger
from agent.ledger.tables import DecisionRow, ProposalRow
from agent.workspace.folder import Workspace


def add_decisions(workspace: Workspace, number: int) -> None:
    """Repeat the decisions on changes of the latest session under new turns until it has so many."""
    with Ledger(workspace.ledger) as ledger:
        session = ledger.session()
        assert session is not None
        proposals = {row.id: row for row in ledger.proposals("WHERE session = ?", (session.id,))}
        made = [row for row in ledger.decisions("WHERE session = ?", (session.id,)) if row.id in proposals]
        last = max(row.turn for row in proposals.values())
        copies = _copies([(proposals[row.id], row) for row in made], last)
        decided = []
        for proposal, decision in islice(copies, number - len(made)):
            ledger.record_proposal(proposal, ledger.recipe(proposal.child))
            decided.append((decision, event_text(decision)))
        ledger.record_decisions(decided)


def _copies(rows: list[tuple[ProposalRow, DecisionRow]], last: int) -> Iterator[tuple[ProposalRow, DecisionRow]]:
    for turn, (proposal, decision) in zip(count(last + 1), cycle(rows), strict=False):
        name = f"{proposal.session}-{turn:03d}"
        shift = turn % 97 / 50 - 1
        moved = {name: (decision.row.get(name) or 0.0) + shift for name in ("delta", "ci_low", "ci_high")}
        row = {**decision.row, "id": name, **moved}
        yield replace(proposal, id=name, turn=turn), replace(decision, id=name, turn=turn, row=row)
