"""Server-sent events: the topics of view/server/changes.py that changed, for pages that keep themselves up to date."""

import json
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

ADDRESS = "/events"


async def events(request: Request) -> StreamingResponse:
    changes = request.app.state.site.changes

    async def lines() -> AsyncIterator[str]:
        yield "retry: 2000\n\n"
        async for topics in changes.subscribe():
            yield f"event: {'change' if topics else 'quiet'}\ndata: {json.dumps(topics)}\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream")


routes = (Route(ADDRESS, events),)
