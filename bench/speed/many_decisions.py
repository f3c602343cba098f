"""A session that has more decisions than anybody's: a simulated one whose decisions are repeated under new turns."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count, cycle, islice

from agent.ledger.results.rows import event_text
from agent.ledger.store import Ledger
from agent.ledger.tables import DecisionRow, ProposalRow
from agent.loop.start_or_resume.session import Overrides, begin
from agent.study.load import load_study
from agent.workspace.folder import Workspace
from bench.recorded.repeat import Silent
from testing import simulated_study
from view.report.report import write_report


def add_decisions(workspace: Workspace, number: int) -> str:
    """A session with so many decisions on changes; returns the address of its page."""
    folder = workspace.root / "study"
    study = simulated_study.write_study(folder, simulated_study.STUDY)
    begin(load_study(study), workspace, Overrides(), Silent(), write_report)
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
        return f"/sessions/{session.id}"


def _copies(rows: list[tuple[ProposalRow, DecisionRow]], last: int) -> Iterator[tuple[ProposalRow, DecisionRow]]:
    for turn, (proposal, decision) in zip(count(last + 1), cycle(rows), strict=False):
        name = f"{proposal.session}-{turn:03d}"
        shift = turn % 97 / 50 - 1
        moved = {name: (decision.row.get(name) or 0.0) + shift for name in ("delta", "ci_low", "ci_high")}
        row = {**decision.row, "id": name, **moved}
        yield replace(proposal, id=name, turn=turn), replace(decision, id=name, turn=turn, row=row)
