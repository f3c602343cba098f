"""Votes on rows, from the buttons and keys of the RL DATA pages. They are those of ``nightlane pairs vote``."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from agent.workspace.pair_stores import name_or_login
from common.clock import now
from common.errors import BadInput
from common.printable import without_secrets
from preferences.store.annotations import Vote, parse_vote_choice
from view.pairs.listing import pair_data
from view.server.finetune.rl_data import selector
from view.server.page import wants_json
from view.server.site import Site


async def vote(request: Request) -> Response:
    """Answers with the row after the vote, or goes back to the page that had the button."""
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


routes = (Route("/votes", vote, methods=["POST"]),)
