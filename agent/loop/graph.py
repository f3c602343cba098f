"""The loop: plan, then look (measure a wave) or confirm (a stack), record and harvest, until the budget ends; then
settle the open changes, check the KEEPs, and report.

A LangGraph StateGraph whose checkpoints go to the session's own SQLite file before each next step (durability "sync").
A node may run twice after a kill; its side effects are keyed (agent/loop/nodes.py). The state is only ids and counters.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph

from agent.ledger.database.file import require_sound
from agent.ledger.store import Ledger
from agent.ledger.tables import SessionRow, last_incumbent
from agent.loop.nodes import Session
from common.files import set_database_aside

MOST_NODES = 1_000_000


class State(TypedDict):
    """``step``: what the plan asks for: "look", "confirm" or "end". ``decided``: number of decisions so far.
    ``ending``: why the session ends; None while it goes on."""

    step: str
    incumbent: str
    decided: int
    ending: str | None


def run_loop(session: Session, checkpoints: Path) -> None:
    """Run the session to its end, from its last checkpoint. If a node raises, the session can be resumed.

    Checkpoints that cannot be read, or disagree with the ledger, are set aside: the ledger knows every proposal and
    decision, and every wave and stack that was begun, so the loop goes on from there.
    """
    thread: RunnableConfig = {
        "configurable": {"thread_id": session.row.id},
        "recursion_limit": MOST_NODES,
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
    except Exception:  # a decoder of garbled bytes may raise anything
        return "cannot be read"
    return None if state is None or _agrees(state, ledger, row) else "disagrees with the ledger"


def _agrees(state: Mapping[str, Any], ledger: Ledger, row: SessionRow) -> bool:
    """Whether a checkpointed state agrees with the ledger: the ledger has at least as many decisions, and the state's
    incumbent is the one after its own number of decisions or the ledger's last one."""
    decided = ledger.decisions("WHERE session = ? AND turn > 0", (row.id,))
    number = state.get("decided", 0)
    if not isinstance(number, int) or number > len(decided):
        return False
    incumbents = [last_incumbent(row, rows) for rows in (decided[:number], decided)]
    return state.get("incumbent", row.start) in incumbents


def _state_by_ledger(ledger: Ledger, row: SessionRow) -> State:
    """The state after the last decision."""
    decided = ledger.decisions("WHERE session = ? AND turn > 0", (row.id,))
    return {"step": "", "incumbent": last_incumbent(row, decided), "decided": len(decided), "ending": None}


def build(session: Session) -> StateGraph[State]:
    def baseline(state: State) -> dict[str, object]:
        return {"ending": session.measure_start()}

    def plan(state: State) -> dict[str, object]:
        step, ending = session.plan()
        return {"step": step, "ending": ending}

    def look(state: State) -> dict[str, object]:
        return {"ending": session.look()}

    def confirm(state: State) -> dict[str, object]:
        return {"ending": session.confirm()}

    def record(state: State) -> dict[str, object]:
        return {"incumbent": session.record(), "decided": session.decided()}

    def harvest(state: State) -> dict[str, object]:
        session.harvest()
        return {}

    def settle(state: State) -> dict[str, object]:
        session.settle()
        session.harvest()
        return {"decided": session.decided()}

    def check(state: State) -> dict[str, object]:
        session.check_keeps()
        return {}

    def report(state: State) -> dict[str, object]:
        session.end(str(state["ending"]))
        return {}

    def planned(state: State) -> str:
        return "settle" if state["ending"] else state["step"]

    def ended(state: State) -> str:
        return "end" if state["ending"] else "go on"

    graph = StateGraph(State)
    for node in (baseline, plan, look, confirm, record, harvest, settle, check, report):
        graph.add_node(node.__name__, node)
    graph.add_edge(START, "baseline")
    graph.add_conditional_edges("baseline", ended, {"end": "report", "go on": "plan"})
    graph.add_conditional_edges("plan", planned, {"look": "look", "confirm": "confirm", "settle": "settle"})
    graph.add_conditional_edges("look", ended, {"end": "settle", "go on": "plan"})
    graph.add_edge("confirm", "record")
    graph.add_conditional_edges("record", ended, {"end": "settle", "go on": "harvest"})
    graph.add_edge("harvest", "plan")
    graph.add_edge("settle", "check")
    graph.add_edge("check", "report")
    graph.add_edge("report", END)
    return graph
