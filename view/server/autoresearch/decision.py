"""A decision, and a stack: what was proposed, what was measured, and what decided."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request

from agent.ledger.results.promotions import PROMOTION
from agent.ledger.tables import RETRACTION
from common.errors import BadInput
from view.charts.chart import Chart
from view.charts.sides import side_charts
from view.data.answers.pairs import wordings
from view.data.answers.sides import (
    ProbeSides,
    PromptChange,
    answers_to,
    baseline_means,
    probe_pairs,
    prompt_changes,
    sides_of_change,
    sides_of_stack,
)
from view.data.listing.decisions import DecisionQuery, neighbours
from view.data.search.stacks import ConfirmedStack, stacks
from view.data.session_record import SessionRecord
from view.explain.explanation import explain_data, explain_decision
from view.explain.stack import explain_stack
from view.server.autoresearch.session import PLACE, table
from view.server.page import Page, page_route
from view.server.site import Site

FIRST = 10
"""The number of prompts from each end of the table that are shown at first."""


def decision(site: Site, request: Request) -> Page:
    session, number = request.path_params["session"], request.path_params["number"]
    asked = {name: value for name, value in request.query_params.items() if name not in ("prompt", "prompts")}
    query, record = DecisionQuery.of(asked), site.record(session)
    found = next((row for row in record.decisions if row.id == f"{session}-{number}"), None)
    if found is None or PROMOTION in found.id:
        raise _not_decided(record, number)
    explained = explain_decision(record, found)
    sides = _sides(record, explained.stack.number if explained.stack else None, found.id)
    before, after = neighbours(table(site, session).lines, query, number)
    compared = _compared(record, sides, request.query_params) if sides else {}
    return Page(
        template="autoresearch/decision.html.jinja",
        title=f"Decision {number}",
        subtitle=number,
        place=PLACE,
        crumbs=_crumbs(session),
        data={
            "decision": explain_data(explained),
            "baseline": [] if explained.turn else baseline_means(record),
            "takes_back": number.removesuffix(RETRACTION) if explained.status == "RETRACT" else None,
            "taken_back": f"{number}{RETRACTION}" if found.id in record.retractions else None,
            "before": before,
            "after": after,
            **compared,
        },
        values={
            "one": explained,
            "query": query,
            "session": session,
            "sides": sides,
            "scale": table(site, session).scale,
        },
        charts=_charts(record, sides),
        scripts=("table.js",),
    )


def stack(site: Site, request: Request) -> Page:
    session, number = request.path_params["session"], request.path_params["number"]
    record = site.record(session)
    found = _stack(record, number)
    sides = sides_of_stack(record, found)
    explained = explain_stack(record, found)
    return Page(
        template="autoresearch/stack.html.jinja",
        title=f"Stack {number}",
        subtitle=f"stack {number}",
        place=PLACE,
        crumbs=(*_crumbs(session), (f"/sessions/{session}/stacks", "Stacks")),
        data={"stack": explain_data(explained), **_compared(record, sides, request.query_params)},
        values={"one": explained, "session": session, "sides": sides, "query": DecisionQuery()},
        charts=_charts(record, sides),
    )


def _crumbs(session: str) -> tuple[tuple[str, str], ...]:
    return ("/sessions", "Sessions"), (f"/sessions/{session}", session)


def _not_decided(record: SessionRecord, number: str) -> BadInput:
    name = f"{record.session.id}-{number}"
    if name in record.proposals:
        return BadInput(f"{number} was proposed and is not decided on; the session's page shows it once it is")
    return BadInput(f"there is no decision {number} in session {record.session.id}; the session's page has them all")


def _stack(record: SessionRecord, number: str) -> ConfirmedStack:
    found = next((one for one in stacks(record) if str(one.number) == number), None)
    if found is None:
        raise BadInput(f"there is no stack {number} in session {record.session.id}; its page Stacks has them all")
    return found


def _sides(record: SessionRecord, stack: int | None, decision: str) -> ProbeSides | None:
    """The two sides of a decision or stack; None for a baseline and a RETRACT."""
    if stack is not None:
        return sides_of_stack(record, _stack(record, str(stack)))
    found = next(row for row in record.decisions if row.id == decision)
    return sides_of_change(record, found) if decision in record.proposals else None


def _charts(record: SessionRecord, sides: ProbeSides | None) -> Sequence[Chart]:
    if sides is None:
        return ()
    folders = [[record.store.directory(row.id) for row in side] for side in (sides.candidates, sides.incumbents)]
    return side_charts(*folders)


def _compared(record: SessionRecord, sides: ProbeSides, parameters: Mapping[str, str]) -> dict[str, Any]:
    """The prompts, and both answers to the requested prompt, or else to the one that changed most."""
    changes = [] if record.study.scorer.chooses else prompt_changes(sides.pairs)
    chosen = parameters.get("prompt") or (max(changes, key=lambda one: abs(one.change)).prompt if changes else "")
    asked = wordings(record, sides.pairs[0][0].key.prompts).get(chosen) if changes else None
    return {
        "pairs": probe_pairs(sides, record.study.target) if changes else [],
        "prompts": changes if parameters.get("prompts") == "all" else _ends(changes),
        "prompts_in_all": len(changes),
        "prompt": chosen,
        "asked": asked,
        "answers": answers_to(record, sides.pairs, chosen) if changes else (),
    }


def _ends(changes: Sequence[PromptChange]) -> list[PromptChange]:
    """The prompts that gained most and those that lost most."""
    return [*changes] if len(changes) <= 2 * FIRST else [*changes[:FIRST], *changes[-FIRST:]]


routes = (
    page_route("/sessions/{session}/decisions/{number}", decision),
    page_route("/sessions/{session}/stacks/{number}", stack),
)
