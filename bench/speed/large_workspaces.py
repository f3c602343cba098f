"""Workspaces larger than any that people have: a store of DPO pairs of about 700 characters per side, and a simulated
session whose decisions are copied many times under new turns."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import count, cycle, islice
from pathlib import Path
from random import Random

from agent.ledger.results.rows import event_text
from agent.ledger.store import Ledger
from agent.ledger.tables import DecisionRow, ProposalRow
from agent.loop.start_or_resume.session import Overrides, begin
from agent.study.load import load_study
from agent.workspace.folder import Workspace
from bench.recorded.repeat import Silent
from preferences.store.provenance import Provenance, TextOrigin
from preferences.store.rows import Row, row_to_json
from testing import simulated_study
from view.report.report import write_report

WORDS, LETTERS = 3000, "abcdefghijklmnop"
CATEGORIES = ("arithmetic", "strings", "lists", "conditions", "edge cases", "imports")
CHANGED = 0.3
"""Of the words of the rejected side."""


def add_pairs(workspace: Workspace, number: int) -> str:
    """Write ``number`` rows; returns the address of their page."""
    folder = workspace.runs / "rl_data"
    folder.mkdir(parents=True)
    write_rows(folder / "dpo.jsonl", number)
    return "/rl-data/dpo"


def write_rows(path: Path, number: int) -> None:
    with path.open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row_to_json(row), ensure_ascii=False) + "\n" for row in _rows(number))


def _rows(number: int) -> Iterator[Row]:
    random = Random(1)
    words = ["".join(random.choices(LETTERS, k=random.randint(2, 9))) for _ in range(WORDS)]
    for place in range(number):
        chosen = random.choices(words, k=110)
        rejected = [random.choice(words) if random.random() < CHANGED else word for word in chosen]
        yield Row(
            kind="dpo",
            time="2026-11-30T20:00:00Z",
            prompt=f"{place}: {' '.join(random.choices(words, k=20))}",
            texts=(" ".join(chosen), " ".join(rejected)),
            scores=(5.0 + place % 50 / 10, 4.0),
            category=CATEGORIES[place % len(CATEGORIES)],
            source=("harvest", "web")[place % 2],
            provenance=Provenance((TextOrigin("sampled"), TextOrigin("sampled"))),
        )


def add_decisions(workspace: Workspace, number: int) -> str:
    """Write a session with ``number`` decisions on changes; returns the address of its page."""
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
