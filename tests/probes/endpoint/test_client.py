from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import openai
import pytest

from common.errors import EndpointUnavailable
from probes.endpoint import client
from probes.endpoint.client import Completion, Endpoint, EndpointSettings
from probes.endpoint.no_reply import NoReply
from testing.scripted_endpoint.server import MODEL, ScriptedEndpoint

QUESTION = [{"role": "user", "content": "one two three"}]
ONCE = {"x-should-retry": "false"}
JSON = {"Content-Type": "application/json"}


def endpoint(server: ScriptedEndpoint, **given: Any) -> Endpoint:
    return Endpoint(EndpointSettings(**given), MODEL, server.environment)


def no_reply(reply: dict[str, Any], **given: Any) -> NoReply:
    with ScriptedEndpoint([reply] * 4) as server, pytest.raises(NoReply) as none:
        endpoint(server, **given).ask(QUESTION)
    return none.value


def test_a_completion_says_its_tokens_and_its_price() -> None:
    with ScriptedEndpoint([{"content": "four five"}]) as server:
        found = endpoint(server, dollars_per_million_input=1e6, dollars_per_million_output=10e6).ask(QUESTION)
    assert found == Completion("four five", False, 23.0, 3, 2)


@pytest.mark.parametrize(("refuses", "name"), [((), "max_tokens"), (["max_tokens"], "max_completion_tokens")])
def test_one_question_may_get_more_tokens_than_the_others(refuses: list[str], name: str) -> None:
    with ScriptedEndpoint([{"content": "a"}] * 2, refuses=refuses) as server:
        asked = endpoint(server, max_tokens=100)
        asked.ask(QUESTION, max_tokens=200)
        asked.ask(QUESTION)
    taken = [request[name] for request in server.requests if name in request and not set(refuses) & set(request)]
    assert taken == [200, 100]


@pytest.mark.parametrize(
    ("reply", "kind", "temporary"),
    [
        ({"status": 429, "headers": ONCE}, "busy", True),
        ({"status": 408, "headers": ONCE}, "down", True),
        ({"status": 409, "headers": ONCE}, "down", True),
        ({"status": 500, "headers": ONCE}, "down", True),
        ({"status": 529, "headers": ONCE}, "down", True),
        ({"close": True}, "down", True),
        ({"status": 401}, "denied", False),
        ({"status": 402}, "denied", False),
        ({"status": 403}, "denied", False),
        ({"status": 404}, "denied", False),
        ({"status": 400}, "refused", False),
        ({"status": 422}, "refused", False),
        ({"status": 413}, "refused", False),
        ({"raw": "<html></html>"}, "down", True),
        ({"raw": "no json", "headers": JSON}, "down", True),
        ({"raw": "null", "headers": JSON}, "down", True),
        ({"raw": '{"choices": []}', "headers": JSON}, "down", True),
        ({"raw": '{"choices": [{"index": 0}]}', "headers": JSON}, "down", True),
        ({"raw": '{"error": {"code": 429, "message": "slow down"}}', "headers": JSON}, "busy", True),
        ({"raw": '{"error": {"code": "rate_limit_exceeded"}}', "headers": JSON}, "busy", True),
        ({"raw": '{"error": {"message": "overloaded"}}', "headers": JSON}, "down", True),
        ({"raw": '{"error": {"code": "insufficient_quota"}}', "headers": JSON}, "denied", False),
        ({"raw": '{"error": {"code": 400, "message": "too long"}}', "headers": JSON}, "refused", False),
        ({"raw": '{"object": "error", "message": "busy", "code": 503}', "headers": JSON}, "down", True),
        ({"raw": '{"choices": [{"error": {"code": 402}}]}', "headers": JSON}, "denied", False),
    ],
)
def test_what_it_means_that_no_reply_came(reply: dict[str, Any], kind: str, temporary: bool) -> None:
    error = no_reply(reply)
    assert (error.kind, error.temporary, error.retry_after) == (kind, temporary, 0.0)


def test_nobody_there_and_nobody_answering_in_time_are_down() -> None:
    nowhere = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    with pytest.raises(NoReply) as none:
        Endpoint(EndpointSettings(), MODEL, nowhere).ask(QUESTION)
    assert none.value.kind == "down"
    late = no_reply({"content": "late", "delay": 5}, timeout=0.1, late_remedy="raise timeout under [here]")
    assert (late.kind, late.temporary, late.may_cost) == ("late", True, True)
    assert str(late) == "it sent no reply within 0.1 s; raise timeout under [here]"


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("300.5", 300.5), ("-1", 0), ("nan", 0), ("soon", 0)])
def test_how_long_a_server_asks_to_be_left_alone(header: str, seconds: float) -> None:
    assert no_reply({"status": 429, "headers": {**ONCE, "Retry-After": header}}).retry_after == seconds


def test_a_quota_that_is_used_up_is_no_passing_rush(monkeypatch: pytest.MonkeyPatch) -> None:
    response = httpx2.Response(429, request=httpx2.Request("POST", "http://127.0.0.1"))
    used_up = openai.RateLimitError("no credit", response=response, body={"code": "insufficient_quota"})

    def create(**_: Any) -> None:
        raise used_up

    with ScriptedEndpoint() as server:
        asked = endpoint(server)
        monkeypatch.setattr(asked._client.chat.completions, "create", create)
        with pytest.raises(NoReply) as none:
            asked.ask(QUESTION)
    assert none.value.kind == "denied"


def test_a_look_says_whether_waiting_would_help_and_a_check_is_for_people() -> None:
    with ScriptedEndpoint([{"status": 503, "headers": ONCE}] * 2, lists_models=False) as server:
        asked = endpoint(server)
        with pytest.raises(NoReply, match="asked for 'scripted', InternalServerError") as none:
            asked.ping()
        assert none.value.temporary
        with pytest.raises(EndpointUnavailable, match=r"the endpoint at http.* cannot be used \(asked for 'scripted'"):
            asked.check()


def test_an_invalid_address_shows_no_piece_of_its_password() -> None:
    with pytest.raises(EndpointUnavailable) as refused:
        Endpoint(EndpointSettings(), MODEL, {"OPENAI_BASE_URL": "http://me:ses/ame99@host"})
    assert "ses" not in str(refused.value).replace("usually", "").replace("uses", "")
    assert "ame99" not in str(refused.value)


# servers that cannot answer with a schema

FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}


def asked_with_schema(server: ScriptedEndpoint) -> list[bool]:
    return ["response_format" in request for request in server.requests]


def test_a_server_that_is_down_is_not_taken_for_one_without_schemas() -> None:
    down: dict[str, Any] = {"status": 500, "headers": ONCE}
    with ScriptedEndpoint([down, down, {"content": "back"}]) as server:
        asked, notes = endpoint(server, retries=0), list[str]()
        with pytest.raises(NoReply) as none:
            asked.ask(QUESTION, FORMAT, note=notes.append)
        assert (none.value.kind, none.value.status) == ("down", 500)
        assert asked.ask(QUESTION, FORMAT, note=notes.append).text == "back"
    assert asked_with_schema(server) == [True, False, True]
    assert notes == []


def test_a_server_that_has_answered_with_a_schema_keeps_it_after_an_outage() -> None:
    script: list[dict[str, Any]] = [{"content": "one"}, {"status": 500, "headers": ONCE}, {"content": "two"}]
    with ScriptedEndpoint(script) as server:
        asked = endpoint(server, retries=0)
        asked.ask(QUESTION, FORMAT)
        with pytest.raises(NoReply):
            asked.ask(QUESTION, FORMAT)
        asked.ask(QUESTION, FORMAT)
    assert asked_with_schema(server) == [True, True, True]


def test_threads_that_meet_a_server_without_schemas_together_note_it_once() -> None:
    notes: list[str] = []
    with ScriptedEndpoint([{"pick": "legal"}], refuses=["response_format"], refusal=500) as server:
        asked = endpoint(server)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: asked.ask(QUESTION, FORMAT, note=notes.append), range(8)))
    assert len(notes) == 1


def test_a_call_is_repeated_only_while_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FIRST_PAUSE", 0.01)
    with ScriptedEndpoint([{"status": 503}, {"close": True}, {"content": "at last"}]) as server:
        assert endpoint(server).ask(QUESTION).text == "at last"
    with ScriptedEndpoint([{"status": 429, "headers": {"Retry-After": "9"}}, {"content": "late"}]) as server:
        with pytest.raises(NoReply, match="429"):
            endpoint(server, timeout=5.0).ask(QUESTION)
        assert len(server.requests) == 1
