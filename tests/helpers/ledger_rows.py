"""A session with its proposals and decisions, as rows of the ledger."""

from dataclasses import replace
from typing import Any

import tiny

from agent.ledger.tables import DecisionRow, ProposalRow, SessionRow

SESSION = SessionRow(
    id="s1",
    study="study",
    study_path="study.toml",
    question="q",
    study_text="text",
    key="k",
    start=tiny.recipe().digest,
    seed=0,
    limits={},
    started="2026-01-01T00:00:00Z",
)


def row(number: int, **changes: Any) -> DecisionRow:
    name = f"s1-{number:03d}"
    figures = {"time": "2026-01-01T00:00:00Z", "session": "s1", "id": name, "status": "KEEP", "delta": 0.5, **changes}
    return DecisionRow(
        id=name,
        session="s1",
        turn=number,
        status="KEEP",
        reason="improved",
        incumbent="inc",
        comparison=None,
        policy={},
        row=figures,
        time="2026-01-01T00:00:00Z",
    )


def proposal(turn: int, **changes: Any) -> ProposalRow:
    one = ProposalRow(
        id=f"s1-{turn:03d}",
        session="s1",
        turn=turn,
        parent="parent",
        child=tiny.recipe(beta=0.2).digest,
        lane="hyperparameters",
        knob="beta",
        before=0.1,
        after=0.2,
        hypothesis="why",
        predicted=None,
        proposer="optuna",
        dollars=0.0,
        time="2026-01-01T00:00:00Z",
    )
    return replace(one, **changes)
