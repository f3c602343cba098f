import contextlib
import json
import pickle
import re
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging import MARKS, RUBRIC, VALUE, answers, good, prompt, write_rubric

from common.errors import BadInput, EndpointUnavailable, MissingRequirement
from probes.endpoint import retry as patience_module
from probes.endpoint.retry import Backoff, to_log
from probes.endpoint.spending import SpendingMeter, Usage
from probes.scoring import Answer, Mark, Missing, scorer_class, scorer_digest, scorer_settings
from probes.scoring.judge import batch
from probes.scoring.judge.question import scoring_question
from probes.scoring.judge.requests import client
from probes.scoring.judge.scorer import JudgeScorer
from probes.scoring.judge.settings import JudgeSettings
from probes.scoring.protocol import Context
from testing.scripted_endpoint.faults import JSON
from testing.scripted_endpoint.server import MODEL, ScriptedEndpoint

SOON = {"retry-after-ms": "1"}
DOWN = {"status": 503, "headers": SOON}
ONE_TRY = {"status": 503, "headers": {"x-should-retry": "false"}}  # the client does not try again by itself
BUSY = {"status": 429, "headers": {"x-should-retry": "false"}}


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience_module, "FIRST_WAIT", 0.01)


class Opened:
    """A judge at a scripted endpoint; a plain text is a reply's content. Its patience is short, so that a test which
    asks once too often ends."""

    def __init__(self, folder: Path, replies: Sequence[Any], options: dict[str, Any], given: dict[str, Any]) -> None:
        script = [reply if isinstance(reply, dict) else {"content": reply} for reply in replies]
        self.endpoint = ScriptedEndpoint(script, **options).__enter__()
        chosen = JudgeSettings(**{"model": MODEL, "concurrency": 1, "patience": 5, **given})
        self.scorer = JudgeScorer(chosen, folder, self.endpoint.environment)
        self.meter = SpendingMeter()

    def close(self) -> None:
        self.scorer.close()
        self.endpoint.__exit__(None, None, None)

    def score(self, *texts: str) -> list[Mark | Missing]:
        return self.scorer.score(answers(*texts), Context(to_log, self.meter))

    def values(self, *texts: str) -> list[float | str]:
        return [mark.value if isinstance(mark, Mark) else mark.reason for mark in self.score(*texts)]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Any]:
    """opened(reply, ..., endpoint={}, settings...) -> Opened, one call at a time unless told otherwise."""
    write_rubric(tmp_path)
    judges: list[Opened] = []

    def open_at(*replies: Any, endpoint: dict[str, Any] | None = None, **given: Any) -> Opened:
        judges.append(Opened(tmp_path, replies, endpoint or {}, given))
        return judges[-1]

    yield open_at
    for judge in judges:
        judge.close()


# scoring


def test_an_answer_is_judged_by_the_rubric_and_the_overall_is_computed_here(opened: Any) -> None:
    judge = opened(good(overall=9))
    mark = judge.score("It blew.")[0]
    assert mark.value == pytest.approx(VALUE)
    assert mark.components == {**MARKS, "judge_overall": 9.0}
    request = judge.endpoint.requests[0]
    assert (request["model"], request["temperature"], request["max_tokens"]) == (MODEL, 0.0, 512)
    assert request["response_format"]["json_schema"]["schema"]["required"][1] == "critical_failures"
    assert json.loads(request["messages"][1]["content"].rpartition("\n")[2])["answer"] == "It blew."


def test_marks_come_in_the_order_of_the_answers_whatever_order_the_replies_come_in(opened: Any) -> None:
    judge = opened({"judge": "words"}, concurrency=8)
    texts = [" ".join(f"w{n}" for n in range(5 * count)) for count in (8, 1, 5, 0, 3)]
    found = judge.values(*texts)
    assert sorted(found, reverse=True) == [found[0], found[2], found[4], found[1], found[3]]
    assert found == [judge.scorer.score([answer])[0].value for answer in answers(*texts)]


def test_a_critical_failure_caps_the_overall_and_is_named(opened: Any) -> None:
    mark = opened(good(critical=["breaks_character"])).score("I am a program.")[0]
    assert (mark.value, mark.critical, mark.outcome) == (2, ("breaks_character",), "CRITICAL")


def test_passes_are_asked_one_by_one_and_a_mark_needs_all(opened: Any) -> None:
    judge = opened(good(), good(voice=4), good(), "no", "no", passes=2)
    both, lacking = judge.score("one", "two")
    assert both.value == pytest.approx(VALUE - 0.5)
    assert both.components["pass_spread"] == pytest.approx(1 / 2**0.5)
    assert isinstance(lacking, Missing)


def test_equal_answers_to_a_prompt_are_asked_for_once(opened: Any) -> None:
    judge = opened(good(), good(voice=1))
    same, other = Answer(prompt(), "same"), Answer(prompt(), "other")
    found = judge.scorer.score([same, other, same, same])
    assert found[0] == found[2] == found[3] != found[1]
    assert len(judge.endpoint.requests) == 2


def test_nothing_to_score_asks_nothing(opened: Any) -> None:
    judge = opened()
    assert judge.scorer.score([]) == []


def test_no_more_calls_run_at_once_than_the_study_allows(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = opened({"judge": "hash", "delay": 0.03}, concurrency=3)
    running, most, lock = 0, 0, threading.Lock()
    ask = judge.scorer._judge._client._endpoint.ask

    def counted(*arguments: Any, **named: Any) -> Any:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        try:
            return ask(*arguments, **named)
        finally:
            with lock:
                running -= 1

    monkeypatch.setattr(judge.scorer._judge._client._endpoint, "ask", counted)
    judge.score(*map(str, range(12)))
    assert most == 3


# replies that cannot be used


def test_an_unreadable_reply_is_told_what_is_wrong_and_asked_again_with_more_tokens(opened: Any) -> None:
    judge = opened(good(voice="7"), good())
    assert judge.values("a") == [pytest.approx(VALUE)]
    first, second = judge.endpoint.requests
    assert (first["max_tokens"], second["max_tokens"]) == (512, 1024)
    assert second["messages"][:2] == first["messages"]
    assert "voice='7' is no number from 0 to 10" in second["messages"][3]["content"]


def test_a_reply_that_was_cut_off_is_asked_again_with_double_the_tokens_and_never_completed(opened: Any) -> None:
    judge = opened({"content": good(voice=1), "finish_reason": "length"}, good())
    assert judge.values("a") == [pytest.approx(VALUE)]
    first, second = judge.endpoint.requests
    assert second == {**first, "max_tokens": 1024}


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("no", "no readable judgement: it is not one JSON object"),
        (good(critical=None), "no readable judgement: critical_failures is missing or no list"),
        ({"content": good(), "finish_reason": "length"}, "no readable judgement: it was cut off at 1024 tokens"),
        ({"content": "x" * 10_000_000}, "no readable judgement: it is 10000000 characters long"),
    ],
)
def test_what_stays_unreadable_is_missing_and_the_next_answer_is_judged(opened: Any, reply: Any, why: str) -> None:
    judge = opened(reply, reply, good())
    missing, mark = judge.score("a", "b")
    assert missing.reason.startswith(why)
    assert mark.value == pytest.approx(VALUE)
    assert judge.meter.spent.calls == 3


@pytest.mark.parametrize(
    "reply",
    [
        {"raw": "<html>maintenance</html>"},
        {"raw": "null", "headers": JSON},
        {"raw": '{"choices": []}', "headers": JSON},
        {"raw": '{"choices": [null]}', "headers": JSON},
        {"raw": '{"error": {"code": 429, "message": "rate limited"}}', "headers": JSON},
        {"raw": '{"error": {"code": 400, "type": "rate_limit", "message": "slow down"}}', "headers": JSON},
        {"raw": '{"error": "rate limited", "choices": [null]}', "headers": JSON},
        "",
    ],
)
def test_a_response_without_a_reply_is_an_outage(opened: Any, reply: Any) -> None:
    judge = opened(*[reply] * 3, good())
    assert judge.values("a") == [pytest.approx(VALUE)]


def test_missing_judgements_are_asked_for_anew_next_time(opened: Any) -> None:
    judge = opened("no", "no", good())
    assert isinstance(judge.score("a")[0], Missing)
    assert judge.values("a") == [pytest.approx(VALUE)]


REPLIES = st.one_of(
    st.builds(
        lambda voice, critical: {"content": good(voice=voice, critical=critical)},
        st.integers(0, 10),
        st.sampled_from([[], ["empty"], ["breaks_character"]]),
    ),
    st.builds(
        lambda voice, end, reason: {"content": good(voice=voice)[:end], "finish_reason": reason},
        st.integers(0, 10),
        st.integers(0, 200),
        st.sampled_from(["stop", "length"]),
    ),
    st.builds(
        lambda voice, place, text: {"content": good(voice=voice)[:place] + text + good(voice=voice)[place:]},
        st.integers(0, 10),
        st.integers(0, 200),
        st.text('{}[]":,0159.-\n', max_size=3),
    ),
    st.builds(lambda text: {"content": text}, st.text(max_size=40)),
    st.just({"raw": "<html></html>"}),
    st.just({"status": 400}),
)


@given(script=st.lists(REPLIES, max_size=6), passes=st.integers(1, 2))
def test_whatever_the_replies_no_score_appears_that_the_judge_did_not_give_in_full(
    script: list[dict[str, Any]], passes: int
) -> None:
    given = [reply["content"] for reply in script if reply.get("finish_reason") != "length" and "content" in reply]
    possible = [worth for text in given if (worth := worth_of(text)) is not None]
    possible += [(a + b) / 2 for a in possible for b in possible if passes == 2]
    with tempfile.TemporaryDirectory() as folder:
        write_rubric(Path(folder))
        judge = Opened(Path(folder), [*script, *[{"status": 400}] * 60], {}, {"passes": passes})
        found = judge.score("a", "b")
        judge.close()
    for mark in found:
        assert isinstance(mark, Missing) or any(mark.value == pytest.approx(worth) for worth in possible)


def worth_of(text: str) -> float | None:
    """What a reply is worth by the marks that stand in it, found by searching for their words."""
    found = {name: re.findall(rf'{name}"?\s*:\s*(-?[0-9.]+)\b', text) for name in MARKS}
    if any(len(numbers) != 1 for numbers in found.values()):
        return None
    with contextlib.suppress(ValueError):
        marks = {name: float(numbers[0]) for name, numbers in found.items()}
        mean = sum({"voice": 25, "integrity": 15}.get(name, 20) * mark for name, mark in marks.items()) / 100
        return min(mean, 0 if '"empty"' in text else 2 if '"breaks_character"' in text else 10)
    return None


# endpoints that fail


def test_a_short_failure_is_got_over_and_told(opened: Any, capsys: pytest.CaptureFixture[str]) -> None:
    judge = opened({"status": 429, "headers": SOON}, DOWN, good(), {"close": True}, good(), {"status": 429}, good())
    assert judge.values("a", "b", "c") == [pytest.approx(VALUE)] * 3
    assert capsys.readouterr().err.count("the judge's endpoint answers again") == 3


@pytest.mark.parametrize(
    "failures",
    [[DOWN] * 3, [BUSY] * 7, [ONE_TRY, BUSY, ONE_TRY], [{"close": True}] * 3, [{"status": 529, "headers": SOON}] * 3],
    ids=["down", "busy", "both", "closed", "overloaded"],
)
def test_a_longer_failure_is_waited_for_visibly(
    opened: Any, failures: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    judge = opened(*failures, good(), good())
    assert judge.values("a", "b") == [pytest.approx(VALUE)] * 2
    log = capsys.readouterr().err
    assert "the judge's endpoint does not answer (" in log
    assert "waiting 0.0 s, 0 s so far" in log
    assert "the judge's endpoint answers again after" in log


def test_a_servers_wish_to_be_left_alone_is_granted(opened: Any, capsys: pytest.CaptureFixture[str]) -> None:
    judge = opened({"status": 429, "headers": {"Retry-After": "0.3", "x-should-retry": "false"}}, good())
    assert judge.values("a") == [pytest.approx(VALUE)]
    assert "waiting 0.3 s" in capsys.readouterr().err


def test_an_endpoint_that_is_started_later_is_waited_for(tmp_path: Path) -> None:
    write_rubric(tmp_path)
    with ScriptedEndpoint() as free:
        port, environment = urlsplit(free.base_url).port, free.environment
    scorer = JudgeScorer(JudgeSettings(model=MODEL), tmp_path, environment)
    assert "it gave no reply yet (" in scorer.about
    found: list[Mark | Missing] = []
    thread = threading.Thread(target=lambda: found.extend(scorer.score(answers(*"abcdefghijkl"))))
    thread.start()
    assert port is not None
    with ScriptedEndpoint([{"judge": "hash"}], port=port):
        thread.join()
    scorer.close()
    assert [type(mark) for mark in found] == [Mark] * 12


def test_a_reply_that_never_comes_is_waited_for_too(opened: Any) -> None:
    late = {"content": good(voice=1), "delay": 5}
    assert opened(late, late, late, good(), timeout=0.2).values("a") == [pytest.approx(VALUE)]


def test_at_the_end_of_the_patience_the_endpoint_is_unavailable_and_what_was_judged_is_kept(opened: Any) -> None:
    judge = opened(good(), *[ONE_TRY] * 100, patience=0.05)
    with pytest.raises(EndpointUnavailable, match=r"has not answered for 0 s \(InternalServerError: Error code: 503"):
        judge.score("a", "b", "c")
    assert judge.values("a") == [pytest.approx(VALUE)]


def test_patience_ends_for_all_threads_at_once(opened: Any) -> None:
    judge = opened(*[ONE_TRY] * 1000, patience=0.05, concurrency=8)
    with pytest.raises(EndpointUnavailable):
        judge.score(*map(str, range(30)))


def test_waits_double_up_to_a_minute_until_an_hour_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    now, notes = 0.0, list[str]()
    monkeypatch.setattr("time.monotonic", lambda: now)
    backoff = Backoff(3600, notes.append, first=2.0)
    for _ in range(200):
        backoff.failed("down")
        backoff.failed("another thread of the same moment")
        now = backoff._until
    waits = [float(note.partition("waiting ")[2].partition(" s")[0]) for note in notes]
    assert waits[:7] == [2, 4, 8, 16, 32, 60, 60]
    assert sum(waits) == 3600
    with pytest.raises(EndpointUnavailable, match="has not answered for 3600 s"):
        backoff.pause()


def test_a_long_wait_is_said_to_go_on_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now, notes = 0.0, list[str]()

    def wait(self: threading.Condition, seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr("time.monotonic", lambda: now)
    monkeypatch.setattr(threading.Condition, "wait", wait)
    backoff = Backoff(3600, notes.append, first=2.0)
    backoff.failed("busy", retry_after=200.0)
    backoff.pause()
    assert now == 200
    assert [note.partition("waiting ")[2] for note in notes] == [
        "200.0 s, 0 s so far",
        *(f"{s} s more" for s in (140, 80, 20)),
    ]


def test_a_call_that_succeeds_ends_the_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    notes = list[str]()
    backoff = Backoff(3600, notes.append, first=2.0)
    backoff.failed("down")
    backoff.worked()
    backoff.pause()
    backoff.failed("down again")
    assert [note.partition(" waiting ")[2] for note in notes] == ["2.0 s, 0 s so far", "", "2.0 s, 0 s so far"]


def test_an_answer_that_alone_makes_the_endpoint_fail_is_missing(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FAILURES_BEFORE_CHECK", 2)
    judge = opened(ONE_TRY, ONE_TRY, "OK", ONE_TRY, "OK", good())
    assert judge.values("a", "b") == ["refused by the endpoint", pytest.approx(VALUE)]


def test_an_answer_that_failed_as_the_endpoint_came_back_is_judged(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "FAILURES_BEFORE_CHECK", 2)
    judge = opened(ONE_TRY, ONE_TRY, "OK", good(), good())
    assert judge.values("a", "b") == [pytest.approx(VALUE)] * 2


def test_an_endpoint_that_fails_for_all_makes_no_answer_missing(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FAILURES_BEFORE_CHECK", 2)
    judge = opened(*[ONE_TRY] * 9, good(), good())
    assert judge.values("a", "b") == [pytest.approx(VALUE)] * 2


@pytest.mark.parametrize("status", [400, 413, 422])
def test_an_answer_that_the_endpoint_refuses_is_missing(opened: Any, status: int) -> None:
    judge = opened(*[{"status": status}] * (1 if status == 413 else 4), good())
    assert judge.values("a", "b") == ["refused by the endpoint", pytest.approx(VALUE)]


@pytest.mark.parametrize("refuses", [["response_format"], ["max_tokens", "temperature"]])
def test_a_server_that_knows_no_schema_or_no_temperature_is_asked_without(opened: Any, refuses: list[str]) -> None:
    judge = opened({"judge": "hash"}, endpoint={"refuses": refuses}, concurrency=4)
    assert all(isinstance(mark, Mark) for mark in judge.score(*"abcdefgh"))
    judge.endpoint.requests.clear()
    judge.score("i")
    assert len(judge.endpoint.requests) == 1


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_a_key_credit_or_model_that_is_not_taken_stops_at_once(opened: Any, status: int) -> None:
    judge = opened(good(), *[{"status": status}] * 100, concurrency=4)
    with pytest.raises(EndpointUnavailable, match=f"{status}.*or model under .scorer.") as unavailable:
        judge.score(*map(str, range(40)))
    assert "\n" not in str(unavailable.value)
    assert len(judge.endpoint.requests) < 20


def test_a_wrong_key_stops_at_the_start_and_is_not_shown(tmp_path: Path) -> None:
    write_rubric(tmp_path)
    with ScriptedEndpoint(key="right") as endpoint:
        environment = {**endpoint.environment, "OPENAI_API_KEY": "sk-mine"}
        with pytest.raises(EndpointUnavailable, match="AuthenticationError") as unavailable:
            JudgeScorer(JudgeSettings(model=MODEL), tmp_path, environment)
    assert "sk-mine" not in str(unavailable.value)


def test_a_model_that_is_not_served_and_an_address_that_is_none_stop_at_the_start(opened: Any, tmp_path: Path) -> None:
    judge = opened({"status": 404})
    with pytest.raises(EndpointUnavailable, match=r"asked for 'gtp-5'.*it lists the models scripted"):
        JudgeScorer(JudgeSettings(model="gtp-5"), tmp_path, judge.endpoint.environment)
    with pytest.raises(EndpointUnavailable, match="nine"):
        JudgeScorer(JudgeSettings(model=MODEL), tmp_path, {"OPENAI_BASE_URL": "http://127.0.0.1:nine/v1"})


# what is kept, and what it costs


def test_a_judgement_is_asked_for_once_also_by_another_scorer_at_another_address(opened: Any) -> None:
    first = opened(good(), good(voice=3))
    found = first.score("a", "b")
    assert first.score("a", "b") == found
    assert (first.meter.spent.calls, first.meter.spent.cache_hits) == (2, 2)
    second = opened()
    assert second.score("a", "b") == found
    assert second.endpoint.requests == []


def test_another_model_rubric_pass_prompt_or_answer_is_another_question(opened: Any, tmp_path: Path) -> None:
    judge = opened(*[good()] * 9)
    judge.score("a")
    more = [Answer(prompt("p0", "memory"), "a"), Answer(prompt("p9"), "a"), Answer(prompt("p0"), "b")]
    judge.scorer.score(more, Context(meter=judge.meter))
    assert (judge.meter.spent.calls, judge.meter.spent.cache_hits) == (4, 0)
    twice = opened(*[good()] * 9, passes=2)
    twice.score("a")
    assert (twice.meter.spent.calls, twice.meter.spent.cache_hits) == (1, 1)
    (tmp_path / "rubric.toml").write_text(RUBRIC.replace("how good its voice is", "how like her"), encoding="utf-8")
    edited = opened(*[good()] * 9)
    edited.score("a")
    assert (edited.meter.spent.calls, edited.meter.spent.cache_hits) == (1, 0)


def test_a_kept_row_that_is_no_judgement_of_the_rubric_is_asked_for_anew(opened: Any) -> None:
    judge = opened(good(), good(voice=3), good(voice=4))
    judge.score("a")
    judge.scorer._judge._cache._database.execute("UPDATE judgements SET judgement = ?", (good(voice=99),))
    assert judge.score("a")[0].components["voice"] == 3
    assert judge.score("a")[0].components["voice"] == 3


def test_what_was_spent_counts_every_reply_that_came(opened: Any) -> None:
    prices = {"dollars_per_million_input": 3.0, "dollars_per_million_output": 15.0}
    judge = opened("no", good(), good(), **prices)
    judge.score("a", "b")
    words = [sum(len(m["content"].split()) for m in request["messages"]) for request in judge.endpoint.requests]
    out = 1 + 2 * len(good().split())
    assert judge.meter.spent == Usage(
        calls=3,
        cache_hits=0,
        prompt_tokens=sum(words),
        completion_tokens=out,
        dollars=pytest.approx((sum(words) * 3 + out * 15) / 1e6),  # type: ignore[arg-type]
    )


def test_a_call_that_may_have_been_charged_is_counted_at_the_most_it_can_cost(opened: Any, tmp_path: Path) -> None:
    """A timeout, a connection lost, a reply without usage; an error of the server's is free."""
    prices = {"dollars_per_million_input": 1000.0, "dollars_per_million_output": 1000.0, "timeout": 0.2}
    for failure, counted in (
        ({"content": good(), "delay": 1}, True),
        ({"close": True}, True),
        ({"status": 500}, False),
        ({"raw": "{}"}, True),
        ({"raw": json.dumps(WITHOUT_USAGE), "headers": {"Content-Type": "application/json"}}, True),
    ):
        judge = opened(failure, good(), cache=str(tmp_path / json.dumps(failure)[:12]), **prices)
        judge.score("a")
        told = judge.meter.spent.dollars
        plain = opened(good(), cache=str(tmp_path / f"plain {json.dumps(failure)[:12]}"), **prices)
        plain.score("a")
        assert (told > 1.5 * plain.meter.spent.dollars) == counted, failure


def test_a_call_that_never_reached_the_server_costs_nothing(tmp_path: Path) -> None:
    write_rubric(tmp_path)
    with ScriptedEndpoint() as gone:
        environment = gone.environment
    chosen = JudgeSettings(model=MODEL, patience=0.1, dollars_per_million_input=1000.0)
    scorer, meter = JudgeScorer(chosen, tmp_path, environment), SpendingMeter()
    with pytest.raises(EndpointUnavailable, match="has not answered"):
        scorer.score(answers("a"), Context(meter=meter))
    scorer.close()
    assert meter.spent.dollars == 0


WITHOUT_USAGE = {
    "id": "1",
    "object": "chat.completion",
    "created": 0,
    "model": MODEL,
    "choices": [{"index": 0, "message": {"role": "assistant", "content": good()}, "finish_reason": "stop"}],
}


def test_two_workers_that_meet_the_same_question_ask_it_once(tmp_path: Path) -> None:
    write_rubric(tmp_path)
    with ScriptedEndpoint([{"judge": "hash", "delay": 0.05}]) as endpoint:
        scorers = [JudgeScorer(JudgeSettings(model=MODEL), tmp_path, endpoint.environment) for _ in range(2)]
        endpoint.requests.clear()
        texts, found = [str(number) for number in range(20)], list[list[Mark | Missing]]()
        threads = [threading.Thread(target=lambda one=s: found.append(one.score(answers(*texts)))) for s in scorers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(endpoint.requests) == 20
        for scorer in scorers:
            scorer.close()
    assert found[0] == found[1]


def test_a_claim_of_a_worker_that_was_killed_ends(tmp_path: Path, opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "CLAIMS", 0.3)
    judge = opened(good(), timeout=1.0)
    cache = judge.scorer._judge._cache
    key = judge.scorer._judge._key(judge.scorer._kind, (scoring_question(judge.scorer.rubric, prompt("p0"), "a"), 0))
    assert cache.claim(key, 0.3)
    assert not cache.claim(key, 0.3)
    assert judge.values("a") == [pytest.approx(VALUE)]


def test_a_whim_of_the_server_does_not_take_the_temperature_away(opened: Any) -> None:
    judge = opened({"status": 400}, {"status": 400}, good(), good(), good())
    judge.score("a", "b")
    assert "temperature" in judge.endpoint.requests[-1]


# the study


def judge_of(table: dict[str, Any]) -> str:
    settings = scorer_settings(table)
    assert isinstance(settings, JudgeSettings)
    return settings.model


def test_a_study_names_the_judge_and_the_model_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert scorer_class("judge") is JudgeScorer
    for name in ("OPENAI_JUDGE_MODEL", "OPENAI_MODEL"):
        monkeypatch.delenv(name, raising=False)
    table = {"kind": "judge", "rubric": "rubric.toml"}
    assert judge_of(table) == ""
    monkeypatch.setenv("OPENAI_MODEL", "proposer")
    assert judge_of(table) == "proposer"
    monkeypatch.setenv("OPENAI_JUDGE_MODEL", "judge")
    assert judge_of(table) == "judge"
    assert judge_of({**table, "model": "named"}) == "named"
    kept = pickle.dumps(scorer_settings(table))
    monkeypatch.delenv("OPENAI_JUDGE_MODEL")
    assert pickle.loads(kept).model == "judge"


def test_the_probe_key_has_the_model_and_the_rubric_and_not_how_fast_or_dear_it_is(tmp_path: Path) -> None:
    write_rubric(tmp_path)
    digest = scorer_digest(JudgeSettings(model="a"), tmp_path)
    elsewhere = JudgeSettings(model="a", concurrency=2, cache="x", timeout=5, patience=1, dollars_per_million_input=3)
    assert scorer_digest(elsewhere, tmp_path) == digest
    assert scorer_digest(JudgeSettings(model="b"), tmp_path) != digest
    assert scorer_digest(JudgeSettings(model="a", passes=2), tmp_path) != digest
    (tmp_path / "rubric.toml").write_text(RUBRIC + "\n", encoding="utf-8")
    assert scorer_digest(JudgeSettings(model="a"), tmp_path) != digest


def test_what_is_lacking_is_told_before_anything_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = [prompt("p", "weather"), prompt("q", "tools")]
    with pytest.raises(BadInput, match=r"rubric.toml .rubric under .scorer.. cannot be read"):
        JudgeScorer.check(JudgeSettings(model="a"), tmp_path, prompts)
    write_rubric(tmp_path)
    with pytest.raises(
        BadInput, match=r"does not mention the category 'tools' of prompt 'q'; add it under .categories."
    ):
        JudgeScorer.check(JudgeSettings(model="a"), tmp_path, prompts)
    JudgeScorer.check(JudgeSettings(model="a"), tmp_path, prompts[:1])
    for name in ("OPENAI_JUDGE_MODEL", "OPENAI_MODEL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(BadInput, match="model is missing; name the judge's model there, or in OPENAI_JUDGE_MODEL"):
        JudgeScorer(JudgeSettings(), tmp_path)
    JudgeScorer.check(JudgeSettings(), tmp_path, prompts[:1])


def test_a_folder_that_cannot_hold_the_cache_is_told(tmp_path: Path) -> None:
    write_rubric(tmp_path)
    (tmp_path / "judge-cache").write_text("")
    with ScriptedEndpoint() as endpoint, pytest.raises(MissingRequirement, match=r"cache under \[scorer\]"):
        JudgeScorer(JudgeSettings(model=MODEL), tmp_path, endpoint.environment)
