"""Styles and scripts: our own, the palette, and plotly's JavaScript as its package ships it. Their addresses contain a
digest of the content, so that a browser may cache them."""

import hashlib
from functools import cache
from pathlib import PurePath

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from view.pages.environment import FOLDER, environment
from view.pages.self_contained import plotly_script

TYPES = {".css": "text/css", ".js": "text/javascript"}


@cache
def content_of(name: str) -> bytes | None:
    """The content of an asset; None for an unknown name."""
    if name == "plotly.min.js":
        return plotly_script().encode()
    if name == "colours.css":
        return environment().get_template("colours.css.jinja").render().encode()
    if name in {path.name for path in (FOLDER / "assets").iterdir()}:
        return (FOLDER / "assets" / name).read_bytes()
    return None


@cache
def address_of(name: str) -> str:
    content = content_of(name)
    if content is None:
        raise KeyError(f"there is no asset {name!r} in {FOLDER / 'assets'}")
    return f"/assets/{hashlib.sha256(content).hexdigest()[:12]}/{name}"


def asset(request: Request) -> Response:
    name = request.path_params["name"]
    content = content_of(name)
    if content is None or request.url.path != address_of(name):
        return PlainTextResponse("there is no such file; load the page again", 404)
    headers = {"Cache-Control": "private, max-age=31536000, immutable"}
    return Response(content, media_type=TYPES[PurePath(name).suffix], headers=headers)


def no_icon(request: Request) -> Response:
    """No content for /favicon.ico, which browsers request for responses that name no icon, such as JSON."""
    return Response(status_code=204)


routes = (Route("/assets/{digest}/{name}", asset), Route("/favicon.ico", no_icon))
