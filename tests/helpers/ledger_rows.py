"""A session with its proposals and decisions, as rows of the ledger."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import tiny

from agent.ledger.store import Ledger
from agent.ledger.tables import DecisionRow, ExaminationRow, ProposalRow, SessionRow

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


def filled(folder: Path, decisions: int = 3) -> Path:
    path = folder / "runs" / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.begin(SESSION, tiny.recipe())
        for number in range(1, decisions + 1):
            ledger.record_proposal(proposal(number), tiny.recipe(beta=0.2))
            ledger.record_decisions([(row(number), f"line {number}")])
        ledger.mark_alive("s1", 1.0, 2.0)
        ledger.mark_alive("s1", 1.0, 3.0)
        ledger.set_limits("s1", {"hours": 1})
        ledger.record_examination(ExaminationRow(session="s1", turn=1, time="t", passed=True, data={}))
    return path


def in_child(act: Callable[[], object]) -> int:
    """The exit code of a forked process that calls ``act``."""
    if (child := os.fork()) == 0:
        code = 1
        try:
            act()
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
