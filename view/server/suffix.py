"""An address that ends in .json asks for the figures of the page without it."""

from starlette.types import ASGIApp, Receive, Scope, Send

SUFFIX = ".json"


class JsonSuffix:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].endswith(SUFFIX):
            path = scope["path"].removesuffix(SUFFIX)
            scope = {**scope, "path": path, "raw_path": path.encode(), "nightlane.json": True}
        await self.app(scope, receive, send)
