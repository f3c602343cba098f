"""The loop: propose, measure, decide, record, harvest, until the budget ends, then check what was kept, and report.

A LangGraph StateGraph whose checkpoints go to the session's own SQLite file before each next step (durability "sync").
A node may run twice after a kill; what it does is keyed (agent/loop/nodes.py). The state is small: ids and counters.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph

from agent.ledger.file import require_sound
from agent.ledger.store import Ledger
from agent.ledger.tables import SessionRow, last_incumbent
from agent.loop.nodes import Session
from common.files import set_database_aside

NODES_PER_TURN = 5
MOST_TURNS = 100_000


class State(TypedDict):
    turn: int
    incumbent: str
    proposals: list[str]
    ending: str | None
    answered: int | None


def run_loop(session: Session, checkpoints: Path) -> None:
    """Run the session to its end, from its last checkpoint. Raises what a node raises; the session is resumable then.

    Checkpoints that cannot be read, or disagree with the ledger, are set aside: the ledger knows every proposal and
    decision, so the loop goes on with the round after the last that was decided.
    """
    thread: RunnableConfig = {
        "configurable": {"thread_id": session.row.id},
        "recursion_limit": NODES_PER_TURN * MOST_TURNS,
    }
    ledger, row = session.measurements.ledger, session.row
    if problem := _problem(checkpoints, thread, ledger, row):
        session.measurements.log(f"{checkpoints} {problem} and is set aside; the ledger knows what was done")
        set_database_aside(checkpoints)
    with SqliteSaver.from_conn_string(str(checkpoints)) as saver:
        graph = build(session).compile(checkpointer=saver)
        begun = saver.get_tuple(thread) is not None
        graph.invoke(None if begun else _state_by_ledger(ledger, row), thread, durability="sync")


def _problem(checkpoints: Path, thread: RunnableConfig, ledger: Ledger, row: SessionRow) -> str | None:
    """What is wrong with the checkpoints, in words; None if nothing is, or if there are none yet."""
    if not checkpoints.exists():
        return None
    try:
        require_sound(checkpoints)
        with SqliteSaver.from_conn_string(str(checkpoints)) as saver:
            last = saver.get_tuple(thread)
            state = last.checkpoint["channel_values"] if last else None
    except Exception:  # whatever a decoder makes of garbled bytes
        return "cannot be read"
    return None if state is None or _agrees(state, ledger, row) else "disagrees with the ledger"


def _agrees(state: Mapping[str, Any], ledger: Ledger, row: SessionRow) -> bool:
    """Whether a checkpointed state agrees with the ledger: the ledger has the proposals up to this turn, and the
    decisions on all of them before the last round, which left this incumbent."""
    turn, last_round = state.get("turn", 0), state.get("proposals", [])
    if not (isinstance(turn, int) and isinstance(last_round, list)):
        return False
    proposed = ledger.proposals("WHERE session = ? AND turn <= ?", (row.id, turn))
    decided = ledger.decisions("WHERE session = ? AND turn > 0", (row.id,))
    before = [decision for decision in decided if decision.id not in last_round]
    incumbents = [last_incumbent(row, decisions) for decisions in (before, decided)]
    complete = len(proposed) >= turn and len(before) >= turn - len(last_round)
    return complete and state.get("incumbent", row.start) in incumbents


def _state_by_ledger(ledger: Ledger, row: SessionRow) -> State:
    """The state after the last turn with a decision."""
    decided = ledger.decisions("WHERE session = ?", (row.id,))
    turn = max((decision.turn for decision in decided), default=0)
    return {
        "turn": turn,
        "incumbent": last_incumbent(row, decided),
        "proposals": [],
        "ending": None,
        "answered": None,
    }


def build(session: Session) -> StateGraph[State]:
    def baseline(state: State) -> dict[str, object]:
        return {"ending": session.measure_start()}

    def propose(state: State) -> dict[str, object]:
        turn = state["turn"] + 1
        ending = None if session.has_proposal(turn) else session.reason_to_end(turn)
        proposals = [] if ending else session.propose_round(turn, state["incumbent"])
        return {
            "turn": state["turn"] + len(proposals),
            "proposals": proposals,
            "ending": ending or (None if proposals else "no move is left to try"),
        }

    def measure(state: State) -> dict[str, object]:
        ending, answered = session.measure(state["proposals"])
        return {"ending": ending, "answered": answered}

    def decide(state: State) -> dict[str, object]:
        session.decide(state["proposals"], state.get("answered"))
        return {}

    def record(state: State) -> dict[str, object]:
        return {"incumbent": session.record(state["proposals"], state["incumbent"])}

    def harvest(state: State) -> dict[str, object]:
        session.harvest()
        return {}

    def check(state: State) -> dict[str, object]:
        session.harvest()
        session.check_keeps()
        return {}

    def report(state: State) -> dict[str, object]:
        session.end(str(state["ending"]))
        return {}

    def ended(state: State) -> str:
        return "report" if state["ending"] else "go on"

    graph = StateGraph(State)
    for node in (baseline, propose, measure, decide, record, harvest, check, report):
        graph.add_node(node.__name__, node)
    graph.add_edge(START, "baseline")
    graph.add_conditional_edges("baseline", ended, {"report": "report", "go on": "propose"})
    graph.add_conditional_edges("propose", ended, {"report": "check", "go on": "measure"})
    graph.add_edge("measure", "decide")
    graph.add_edge("decide", "record")
    graph.add_conditional_edges("record", ended, {"report": "check", "go on": "harvest"})
    graph.add_edge("harvest", "propose")
    graph.add_edge("check", "report")
    graph.add_edge("report", END)
    return graph
