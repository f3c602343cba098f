"""Who may ask nightlane view, and what its answers allow a browser to do."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from agent.workspace.folder import Workspace
from view.server.app import create_app
from view.server.security import OPEN

PORT, TOKEN = 8765, "a-token"
HERE = f"http://127.0.0.1:{PORT}"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def app_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    workspace = Workspace(tmp_path_factory.mktemp("empty"))
    with TestClient(create_app(workspace, TOKEN, PORT), base_url=HERE, follow_redirects=False) as client:
        yield client


def test_the_printed_url_moves_its_token_into_a_cookie_that_only_this_site_sends(app_client: TestClient) -> None:
    assert app_client.get("/sessions").status_code == 403
    answer = app_client.get(f"{OPEN}{TOKEN}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert app_client.get("/sessions").status_code == 200
    app_client.cookies.clear()


@pytest.mark.parametrize("wrong", ["another-token", "", f"{TOKEN}x", "tökèn"])
def test_another_token_opens_nothing(app_client: TestClient, wrong: str) -> None:
    assert app_client.get(f"{OPEN}{wrong}").status_code == 403
    assert app_client.get("/sessions", headers=[(b"cookie", f"nightlane-{PORT}={wrong}".encode())]).status_code == 403
    assert app_client.get("/sessions", headers=[(b"authorization", f"Bearer {wrong}".encode())]).status_code == 403


@pytest.mark.parametrize("host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1:1", "127.0.0.1", ""])
def test_a_foreign_host_is_refused_whatever_it_knows(app_client: TestClient, host: str) -> None:
    answer = app_client.get("/sessions", headers={**BEARER, "Host": host})
    assert answer.status_code == 403
    assert f"127.0.0.1:{PORT}" in answer.text


@pytest.mark.parametrize(
    ("method", "path", "headers", "passes"),
    [
        ("GET", "/sessions", {"Origin": "http://evil.example"}, True),
        ("POST", "/sessions", {"Origin": "http://evil.example"}, False),
        ("POST", "/sessions", {"Origin": "null"}, False),
        ("POST", "/sessions", {"Origin": HERE}, True),
        ("DELETE", "/sessions", {"Sec-Fetch-Site": "cross-site"}, False),
        ("GET", "/events", {"Origin": "http://evil.example"}, False),
        ("GET", "/events", {"Sec-Fetch-Site": "cross-site"}, False),
    ],
)
def test_what_changes_something_and_what_streams_must_come_from_our_pages(
    app_client: TestClient, method: str, path: str, headers: dict[str, str], passes: bool
) -> None:
    status = app_client.request(method, path, headers={**BEARER, **headers}).status_code
    assert (status != 403) == passes


def test_a_browser_without_origin_changes_nothing_and_a_program_with_the_token_may(app_client: TestClient) -> None:
    assert app_client.post("/sessions", headers={"Cookie": f"nightlane-{PORT}={TOKEN}"}).status_code == 403
    assert app_client.post("/sessions", headers=BEARER).status_code == 405


def test_every_answer_keeps_other_hosts_and_frames_out(app_client: TestClient) -> None:
    for path in ("/sessions", "/nowhere", "/sessions.json"):
        for headers in (BEARER, {}):
            answer = app_client.get(path, headers=headers)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "http" not in policy
            assert "script-src 'self';" in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["cache-control"] == "no-store"


def test_a_refused_page_offers_itself_and_never_another_host(app_client: TestClient) -> None:
    assert 'href="/sessions/x"' in app_client.get("/sessions/x").text
    assert 'href="//' not in app_client.get("http://127.0.0.1:8765//evil.example/x").text


def test_an_empty_workspace_says_what_to_run(app_client: TestClient) -> None:
    page = app_client.get("/sessions", headers=BEARER).text
    assert "nightlane run" in page
    assert app_client.get("/sessions.json", headers=BEARER).json()["sessions"] == []
    assert "nightlane run" in app_client.get("/reports", headers=BEARER).text
    missing = app_client.get("/sessions/20260101-000000", headers=BEARER)
    assert missing.status_code == 404
    assert "nightlane run" in missing.text
