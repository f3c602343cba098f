"""The list of sessions, and the page of one: what it does now, and its decisions as a table."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route

from agent.ledger.overview import LedgerOverview
from agent.ledger.tables import SessionRow
from agent.study.load import Study, recorded_study
from common.errors import BadInput
from view.data.changes import Change, reach
from view.data.listing.decisions import DecisionLine, DecisionQuery, choices, decision_lines, select
from view.data.listing.sessions import session_lines, session_now
from view.server.page import Page, Tab, page_route
from view.server.site import Site

PLACE = "autoresearch"


def sessions(site: Site, request: Request) -> Page:
    return Page(
        template="autoresearch/sessions.html.jinja",
        title="Sessions",
        place=PLACE,
        data={"workspace": str(site.workspace.root), "sessions": session_lines(site.workspace)},
    )


def front(request: Request) -> RedirectResponse:
    return RedirectResponse("/sessions")


@dataclass(frozen=True, slots=True)
class DecisionTable:
    """The decisions of a session, the values to filter by, and the scale of the bars that show effects."""

    lines: tuple[DecisionLine, ...]
    choices: Mapping[str, tuple[str, ...]]
    scale: float


def table(site: Site, session: str) -> DecisionTable:
    """The table of a session, cached until the ledger changes."""

    def read() -> DecisionTable:
        with site.ledger() as ledger:
            lines = tuple(decision_lines(ledger, session))
        effects: list[Change] = [one.effect for one in lines if one.effect]
        return DecisionTable(lines, choices(lines), reach(effects))

    return site.cached(("decisions", session), site.ledger_files, read)


def row_of(ledger: LedgerOverview, session: str) -> SessionRow:
    found = ledger.session(session)
    if found is None:
        known = ledger.sessions()[-3:]
        raise BadInput(f"there is no session {session} in this workspace; the latest are {', '.join(known)}")
    return found


def study_of(site: Site, row: SessionRow) -> Study:
    """The study as the session began with it, wherever its files are now."""
    path = (site.workspace.root / row.study_path).resolve()
    return site.cached(("study", row.id), (), lambda: recorded_study(path, row.study_text))


def now(site: Site, request: Request) -> Page:
    """What the session does now, without its decisions: cheap enough to be asked for every second."""
    name = request.path_params["session"]
    with site.ledger() as ledger:
        row = row_of(ledger, name)
        found = session_now(site.workspace, ledger, row, study_of(site, row))
    return Page(
        template="autoresearch/now.html.jinja",
        title=f"Session {name} now",
        place=PLACE,
        data={"session": found.session, "go_on": found.go_on, "live": found.live},
    )


def decisions(site: Site, request: Request) -> Page:
    name, query = request.path_params["session"], DecisionQuery.of(request.query_params)
    doing, found = now(site, request).data, table(site, name)
    return Page(
        template="autoresearch/session.html.jinja",
        title=f"Session {name}",
        subtitle=name,
        place=PLACE,
        crumbs=(("/sessions", "Sessions"),),
        tabs=tabs(name, "decisions"),
        data={**doing, "table": select(found.lines, query), "choices": found.choices},
        values={"scale": found.scale},
        scripts=("table.js",),
    )


def tabs(session: str, here: str) -> tuple[Tab, ...]:
    """The pages of a session."""
    pages = {"decisions": "Decisions", "stacks": "Stacks", "knobs": "Lanes and knobs", "report": "Report"}
    root = f"/sessions/{session}"
    return tuple(
        Tab(root if name == "decisions" else f"{root}/{name}", title, name == here) for name, title in pages.items()
    )


routes = (
    Route("/", front),
    page_route("/sessions", sessions),
    page_route("/sessions/{session}", decisions),
    page_route("/sessions/{session}/now", now),
)
