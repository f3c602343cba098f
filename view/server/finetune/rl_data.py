"""RL DATA: the four stores of preference data in pages, by filters, and one row by itself."""

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route

from agent.workspace.pair_stores import open_stores
from common.errors import BadInput
from preferences.store.paged import PagedStores
from preferences.store.row_index import RowEntry
from preferences.store.rows import KINDS, StoreKind, kind_of
from view.data.pairs.card import PairCard, UnreadableRow, pair_card
from view.data.pairs.scorer_notes import ScorerNotes
from view.data.pairs.selection import DRIFT, ORDERS, STATES, Selector, filter_of
from view.pairs.listing import pair_data
from view.server.page import Page, page_route
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
    """Of this page, to come back to after a vote."""
    query = urlencode(request.query_params.multi_items())
    return f"{request.url.path}?{query}" if query else request.url.path


routes = (
    Route("/rl-data", first),
    page_route("/rl-data/{kind}", rows),
    page_route("/rl-data/{kind}/{id}", row),
)
