"""Access control: only a browser on this machine that opened the printed URL, or a program with the token, is answered.

The printed URL contains the token, which moves into a cookie that scripts cannot read and other sites cannot send. The
Host header has to be ours, against DNS rebinding (a foreign name that points at 127.0.0.1). Requests that change
something, and the stream of events, have to come from our own pages.
"""

import secrets
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from view.pages.environment import environment
from view.server.changes import ADDRESS as EVENTS

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # plotly writes its own styles
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
OPEN = "/open/"
"""The path of the printed URL before the token."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Access:
    """Middleware: answers requests that may not pass with one sentence, and adds security headers to all others."""

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self.app, self.token = app, token
        self.hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        self.cookie = f"nightlane-{port}"  # a browser sends cookies to every port of a host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = self._answer(Request(scope))
        await (answer or self.app)(scope, receive, _with_headers(send))

    def _answer(self, request: Request) -> Response | None:
        """The refusal of a request; None if it may pass."""
        if request.headers.get("host") not in self.hosts:
            return _refusal(f"this server answers only to the names {' and '.join(self.hosts)}; use the printed URL")
        if request.url.path.startswith(OPEN):
            return self._begun(request)
        if not self._is_known(request):
            return _refusal(
                "this page needs a token; open the URL that nightlane view printed, or send its token as "
                "Authorization: Bearer",
                again=f"/{request.url.path.lstrip('/')}",
            )
        if not self._is_own(request):
            return _refusal("this request came from another site; open the page itself")
        return None

    def _begun(self, request: Request) -> Response:
        """Redirect to the first page, with the token in a cookie."""
        if not self._is_token(request.url.path.removeprefix(OPEN)):
            return _refusal(
                "this URL has the token of another run of nightlane view; open the one that it printed last"
            )
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(self.cookie, self.token, httponly=True, samesite="strict")
        return answer

    def _is_known(self, request: Request) -> bool:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        return self._is_token(request.cookies.get(self.cookie, "")) or self._is_token(bearer)

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(errors="replace"), self.token.encode())

    def _is_own(self, request: Request) -> bool:
        """Whether our own page sent the request; checked for requests that change something and for the stream of
        events. A program with the token sends no Origin."""
        if request.method in ("GET", "HEAD") and request.url.path != EVENTS:
            return True
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site", "same-origin")
        if origin is None:
            return site == "same-origin" and (request.method == "GET" or "authorization" in request.headers)
        return origin in {f"http://{host}" for host in self.hosts}


def _refusal(why: str, again: str = "") -> Response:
    """``again``: this page, as a link for a person who came from another site, when the browser sends no cookie."""
    page = environment().get_template("refused.html.jinja").render(why=why, again=again)
    return HTMLResponse(page, 403)


def _with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(HEADERS)
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return sending
