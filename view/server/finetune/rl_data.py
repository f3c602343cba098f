"""RL DATA: the four preference stores in pages, with filters; the page of one row; and votes by buttons and keys, which
are recorded as ``nightlane pairs vote`` does."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from agent.workspace.pair_stores import name_or_login, open_stores
from common.clock import now
from common.errors import BadInput
from common.printable import without_secrets
from preferences.store.annotations import Vote, parse_vote_choice
from preferences.store.paged import PagedStores
from preferences.store.row_index import RowEntry
from preferences.store.rows import KINDS, StoreKind, kind_of
from view.data.pairs.card import PairCard, ScorerNotes, UnreadableRow, pair_card
from view.data.pairs.selection import DRIFT, ORDERS, STATES, Selector, filter_of
from view.pairs.listing import pair_data
from view.server.page import Page, page_route, wants_json
from view.server.paging import Paging, page_number
from view.server.site import Site

PLACE = "rl-data"
EACH = 10
"""Rows on a page."""


def selector(site: Site) -> Selector:
    """The rows of the stores as they are now."""
    found = site.shared("pairs", lambda: Selector(PagedStores(open_stores(site.workspace))))
    found.stores.refresh()
    return found


def rows(site: Site, request: Request) -> Page:
    kind, asked, found = kind_of(request.path_params["kind"]), filter_of(request.query_params), selector(site)
    chosen, number = found.choose(kind, asked), page_number(request)
    paging = Paging.of(request, number, len(chosen), EACH)
    shown = chosen[EACH * (number - 1) : EACH * number]
    categories, sources = found.names(kind)
    data, cards = _both(found.stores, shown, _notes(site))
    return Page(
        template="finetune/rl_data.html.jinja",
        title=f"RL DATA: {kind.upper()}",
        place=PLACE,
        data={"store": kind, "counts": _counts(found.stores), "matching": len(chosen), "page": number, "rows": data},
        values={
            "workspace": str(site.workspace.root),
            "cards": cards,
            "asked": asked,
            "paging": paging,
            "categories": categories,
            "sources": sources,
            "states": (*STATES, DRIFT),
            "orders": ORDERS,
            "damaged": found.stores.rows[kind].damaged,
            "path": found.stores.stores.path(kind),
            "here": _address(request),
        },
        scripts=("pairs.js",),
    )


def row(site: Site, request: Request) -> Page:
    kind, found = kind_of(request.path_params["kind"]), selector(site)
    entry = found.stores.by_id.get(request.path_params["id"])
    if entry is None or entry.kind != kind:
        raise BadInput(f"there is no {kind} row {request.path_params['id']!r}; see the list under RL DATA")
    [data], [card] = _both(found.stores, [entry], _notes(site))
    return Page(
        template="finetune/pair.html.jinja",
        title=f"{kind.upper()} row {entry.id}",
        subtitle=entry.id,
        place=PLACE,
        crumbs=(("/rl-data", "RL DATA"), (f"/rl-data/{kind}", kind.upper())),
        data={"row": data},
        values={
            "store": kind,
            "counts": _counts(found.stores),
            "cards": [card],
            "here": _address(request),
        },
        scripts=("pairs.js",),
    )


async def first(request: Request) -> RedirectResponse:
    """To the first store that has rows, in the order of the tabs."""
    counts = _counts(selector(request.app.state.site).stores)
    kind = next((kind for kind in KINDS if counts[kind]), KINDS[0])
    suffix = ".json" if request.scope.get("nightlane.json") else ""
    return RedirectResponse(f"/rl-data/{kind}{suffix}")


def _notes(site: Site) -> ScorerNotes:
    return site.shared("notes", lambda: ScorerNotes(site.workspace.runs))


def _both(
    stores: PagedStores, entries: list[RowEntry], notes: ScorerNotes
) -> tuple[list[object], list[PairCard | UnreadableRow]]:
    """The rows as JSON values and as cards; a row that cannot be read says why."""
    data, cards = list[object](), list[PairCard | UnreadableRow]()
    for entry in entries:
        try:
            read = stores.read(entry)
            card = pair_card(read, notes)
            reasons = {side.name: dict(side.reasons) for side in card.sides}
            data.append(pair_data(read) | {"reasons": reasons, "topic_drift": card.drift or None})
            cards.append(card)
        except BadInput as error:
            data.append({"id": entry.id, "error": str(error)})
            cards.append(UnreadableRow(entry.id, str(error)))
    return data, cards


def _counts(stores: PagedStores) -> dict[StoreKind, int]:
    return {kind: len(stores.rows[kind].entries) for kind in KINDS}


def _address(request: Request) -> str:
    """The URL of this page, to come back to after a vote."""
    query = urlencode(request.query_params.multi_items())
    return f"{request.url.path}?{query}" if query else request.url.path


async def vote(request: Request) -> Response:
    """Record a vote; answer with the row after it, or go back to the page that had the button."""
    asked = dict(parse_qsl((await request.body()).decode(errors="replace")))
    try:
        data = await run_in_threadpool(_voted, request.app.state.site, asked)
    except BadInput as error:
        return JSONResponse({"error": str(error)}, 400)
    except OSError as error:
        why = f"votes are written into this workspace, which cannot be written ({error.strerror}); see its permissions"
        return JSONResponse({"error": why}, 409)
    back = asked.get("back", "")
    if wants_json(request) or not back.startswith("/rl-data"):
        return JSONResponse(without_secrets(data))
    return RedirectResponse(back, 303)


def _voted(site: Site, asked: Mapping[str, str]) -> dict[str, object]:
    stores, row = selector(site).stores, asked.get("row", "")
    stores.vote(Vote(row, parse_vote_choice(asked.get("choice", "")), name_or_login(asked.get("by")), now()))
    return pair_data(stores.read(stores.by_id[row]))


routes = (
    Route("/rl-data", first),
    page_route("/rl-data/{kind}", rows),
    page_route("/rl-data/{kind}/{id}", row),
    Route("/votes", vote, methods=["POST"]),
)
