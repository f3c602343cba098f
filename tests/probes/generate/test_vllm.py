"""Answers from a server, over real HTTP: the adapter is loaded for the time of a probe, and nothing is made up."""

import re
import threading
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import tiny
from pydantic import ValidationError

from agent.study.load import load_study
from cli.example_studies import DEFAULT, texts_of
from common.errors import BadInput, EndpointUnavailable
from probes.generate.random_keys import Sampling
from probes.generate.sampled_text import SampledText
from probes.generate.vllm import AnswerServer, ServerBroken, ServerRefused
from probes.inputs.settings import ServingSettings
from probes.rendering.renderer import AnswerEnds, RenderedPrompt
from probes.run.classify import classify
from testing import simulated_study
from testing.scripted_endpoint.adapters import LOAD, UNLOAD
from testing.scripted_endpoint.faults import JSON
from testing.scripted_endpoint.server import MODEL, ScriptedEndpoint

PAGE = Path(__file__).parents[3] / "docs" / "serving.md"
WORDS = [{"answer": "words"}]
QUESTIONS = [RenderedPrompt(text, tuple(text.encode())) for text in ("# one\n", "# two\n", "# three\n")]
STOP = AnswerEnds((7, 9))
SAMPLING = Sampling(samples=2, temperature=0.7, max_new_tokens=5, seed=3)
ONCE = {"x-should-retry": "false"}
PROBE = "0123456789ab"


def settings(**given: Any) -> ServingSettings:
    return ServingSettings(kind="endpoint", model=MODEL, **given)


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return write_adapter(tmp_path / f"probe-{PROBE}" / "adapter")


def write_adapter(folder: Path, weights: str = "weights") -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text("{}", encoding="utf-8")
    (folder / "adapter_model.safetensors").write_text(weights, encoding="utf-8")
    return folder


@contextmanager
def opened(server: ScriptedEndpoint, **given: Any) -> Iterator[AnswerServer]:
    answers = AnswerServer(settings(**given), server.environment, wait=0.01)
    try:
        yield answers
    finally:
        answers.close()


def served(
    adapter: Path,
    replies: Sequence[Mapping[str, Any]] = WORDS,
    questions: Sequence[RenderedPrompt] = QUESTIONS,
    sampling: Sampling = SAMPLING,
    **given: Any,
) -> tuple[list[list[SampledText]], ScriptedEndpoint]:
    with ScriptedEndpoint(replies) as server, opened(server, **given) as answers:
        return answers.answers(PROBE, adapter, questions, STOP, sampling), server


def seeds(server: ScriptedEndpoint) -> dict[str, list[int]]:
    """Of the answers that were asked for, in the order of samples where one request is made at a time."""
    return {q.text: [r["seed"] for r in server.requests if r["prompt"] == list(q.ids)] for q in QUESTIONS}


def test_an_answer_has_the_reason_of_the_server_for_its_end(adapter: Path) -> None:
    """The scripted server truncates at max_tokens words and says so."""
    ended, cut = replace(SAMPLING, max_new_tokens=40), replace(SAMPLING, max_new_tokens=2)
    for sampling, reason in ((ended, "stop"), (cut, "length")):
        found, _ = served(adapter, sampling=sampling)
        assert {one.finish_reason for own in found for one in own} == {reason}
        assert all(one.tokens == len(one.text.split()) for own in found for one in own), "it counts words"


def test_the_adapter_is_loaded_before_the_answers_and_unloaded_after_them(adapter: Path) -> None:
    with ScriptedEndpoint(WORDS) as server, opened(server) as answers:
        answers.answers(PROBE, adapter, QUESTIONS, STOP, SAMPLING)
        name = server.requests[0]["model"]
        assert name.startswith(f"{PROBE}-")
        assert {request["model"] for request in server.requests} == {name}
        assert server.adapters.calls == [(LOAD, name), (UNLOAD, name)]
        assert server.adapters.cards() == []
        assert answers.about == f"answers: {MODEL} at {server.base_url}/"


def test_a_request_names_all_that_shapes_a_draw(adapter: Path) -> None:
    _, server = served(adapter)
    asked = {name: value for name, value in server.requests[0].items() if name not in ("model", "prompt", "seed")}
    assert asked == {
        "temperature": 0.7,
        "top_p": 1.0,
        "top_k": -1,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "max_tokens": 5,
        "stop_token_ids": [7, 9],
        "skip_special_tokens": False,
    }
    with ScriptedEndpoint(WORDS) as server, opened(server) as answers:
        answers.answers(PROBE, adapter, QUESTIONS, AnswerEnds((7,), ("\n### End",)), SAMPLING)
    assert {(tuple(request["stop"]), *request["stop_token_ids"]) for request in server.requests} == {
        (("\n### End",), 7)
    }
    _, server = served(adapter, sampling=replace(SAMPLING, top_k=20, top_p=0.9))
    assert (server.requests[0]["top_k"], server.requests[0]["top_p"]) == (20, 0.9)


def test_seeds_are_the_same_on_both_sides_and_others_for_other_prompts_samples_and_sampling_seeds(
    adapter: Path, tmp_path: Path
) -> None:
    other = write_adapter(tmp_path / "other" / "adapter", "other weights")
    mine, theirs = (seeds(served(folder, concurrency=1)[1]) for folder in (adapter, other))
    assert mine == theirs
    drawn = [seed for own in mine.values() for seed in own]
    assert len(set(drawn)) == len(QUESTIONS) * SAMPLING.samples
    assert all(0 <= seed < 2**31 for seed in drawn)
    alone = seeds(served(adapter, questions=QUESTIONS[2:], sampling=replace(SAMPLING, samples=3), concurrency=1)[1])
    assert alone[QUESTIONS[2].text][:2] == mine[QUESTIONS[2].text]
    again = seeds(served(adapter, sampling=replace(SAMPLING, seed=4))[1])
    assert not {seed for own in again.values() for seed in own} & set(drawn)


def test_answers_come_by_prompt_and_sample_whatever_came_first(adapter: Path) -> None:
    one_by_one, _ = served(adapter, concurrency=1)
    delayed: list[Any] = [{"answer": "words", "delay": 0.3}, {"answer": "words", "delay": 0.1}, *WORDS]
    assert served(adapter, delayed, concurrency=3)[0] == one_by_one
    assert [len(own) for own in one_by_one] == [2, 2, 2]
    assert len({one.text for own in one_by_one for one in own}) == 6
    assert all(len(one.text.split()) <= 5 for own in one_by_one for one in own)


def test_as_many_requests_are_under_way_as_the_study_allows(adapter: Path) -> None:
    most, now, lock = 0, 0, threading.Lock()
    with ScriptedEndpoint([{"answer": "words", "delay": 0.05}]) as server, opened(server, concurrency=2) as answers:
        complete = answers._endpoint.complete

        def counted(*given: Any) -> Any:
            nonlocal most, now
            with lock:
                now += 1
                most = max(most, now)
            try:
                return complete(*given)
            finally:
                with lock:
                    now -= 1

        answers._endpoint.complete = counted  # type: ignore[assignment, method-assign]
        answers.answers(PROBE, adapter, QUESTIONS, STOP, SAMPLING)
    assert most == 2


@pytest.mark.parametrize(
    ("reply", "error", "kind"),
    [
        ({"status": 400}, ServerRefused, "error"),
        ({"content": "a", "finish_reason": "abort"}, ServerBroken, "server"),
    ],
)
def test_an_answer_that_cannot_be_had_is_a_failure_and_the_adapter_is_unloaded(
    adapter: Path, reply: dict[str, Any], error: type[Exception], kind: str
) -> None:
    with ScriptedEndpoint([*WORDS, reply, reply, *WORDS]) as server, opened(server, concurrency=1) as answers:
        with pytest.raises(error) as failed:
            answers.answers(PROBE, adapter, QUESTIONS, STOP, SAMPLING)
        assert classify(failed.value) == kind
        assert server.adapters.cards() == []


@pytest.mark.parametrize(
    "reply",
    [
        {"raw": "<html></html>"},
        {"raw": '{"choices": []}', "headers": JSON},
        {"raw": '{"error": {"code": 429, "message": "slow down"}}', "headers": JSON},
    ],
)
def test_a_response_without_a_completion_is_an_outage(adapter: Path, reply: dict[str, Any]) -> None:
    assert served(adapter, [*[reply] * 3, *WORDS], concurrency=1)[0] == served(adapter)[0]


def test_an_empty_answer_of_the_model_is_an_answer(adapter: Path) -> None:
    assert served(adapter, [{"content": ""}, *WORDS], concurrency=1)[0][0][0].text == ""


def test_an_answer_by_another_model_is_none(adapter: Path) -> None:
    stray = '{"id": "1", "object": "text_completion", "created": 0, "model": "scripted", "choices": [{"index": 0, '
    stray += '"text": "from the bare base", "logprobs": null, "finish_reason": "stop"}]}'
    reply = {"raw": stray, "headers": JSON}
    with pytest.raises(ServerBroken, match=f"asked for '{PROBE}-[0-9a-f]+', 'scripted' answered"):
        served(adapter, [reply] * 2, concurrency=1)


def test_what_fails_alone_is_not_waited_for(adapter: Path) -> None:
    down: list[Any] = [{"status": 500, "headers": ONCE}] * 5
    script = [*down, {"answer": "words"}, down[0], *WORDS]
    with pytest.raises(ServerBroken, match="answers other requests but not this one"):
        served(adapter, script, questions=QUESTIONS[:1], sampling=replace(SAMPLING, samples=1))


def test_what_failed_as_the_server_came_back_is_asked_for_once_more(adapter: Path) -> None:
    script: list[Any] = [*[{"status": 500, "headers": ONCE}] * 5, *WORDS]
    one: dict[str, Any] = {"questions": QUESTIONS[:1], "sampling": replace(SAMPLING, samples=1)}
    assert served(adapter, script, **one)[0] == served(adapter, **one)[0]


def test_a_busy_server_is_waited_for(adapter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    busy = [{"status": 429, "headers": ONCE}] * 7
    assert served(adapter, [*busy, *WORDS], concurrency=1)[0] == served(adapter)[0]
    log = capsys.readouterr().err
    assert "the server of the answers does not answer" in log
    assert "answers again" in log


def test_a_server_that_comes_back_without_the_adapter_is_given_it_again(adapter: Path) -> None:
    with ScriptedEndpoint([*WORDS * 3, {"status": 503, "headers": ONCE}]) as first:
        answers = AnswerServer(settings(concurrency=1), first.environment, wait=0.2)
        port = urlsplit(first.base_url).port
        assert port
        found: list[list[list[SampledText]]] = []
        asking = threading.Thread(
            target=lambda: found.append(answers.answers(PROBE, adapter, QUESTIONS, STOP, SAMPLING))
        )
        asking.start()
        while len(first.requests) < 4:
            threading.Event().wait(0.01)
    threading.Event().wait(0.5)
    with ScriptedEndpoint(WORDS, port=port) as second:
        asking.join(30)
        answers.close()
        assert [path for path, _ in second.adapters.calls] == [LOAD, UNLOAD]
        assert len(second.requests) == 3
    assert found == [served(adapter)[0]]


def test_patience_has_an_end(adapter: Path) -> None:
    with ScriptedEndpoint(WORDS) as server:
        answers = AnswerServer(settings(patience=0.2), server.environment, wait=0.01)
    with pytest.raises(EndpointUnavailable, match=r"the server of the answers .* has not answered .*; start it$"):
        answers.answers(PROBE, adapter, QUESTIONS, STOP, SAMPLING)
    answers.close()


def test_a_server_that_is_down_at_the_start_is_said_and_no_error() -> None:
    answers = AnswerServer(settings(), {"OPENAI_ANSWERS_BASE_URL": "http://127.0.0.1:9/v1"})
    assert "it gave no reply yet" in answers.about
    answers.close()


def test_a_key_or_a_model_that_is_not_taken_is_told_at_once(adapter: Path) -> None:
    with ScriptedEndpoint(WORDS, key="right") as server:
        wrong = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "a-secret"}
        with pytest.raises(EndpointUnavailable, match=r"401.*OPENAI_ANSWERS_API_KEY") as told:
            AnswerServer(settings(), wrong)
        assert "a-secret" not in str(told.value)
        other = ServingSettings(kind="endpoint", model="other")
        with pytest.raises(EndpointUnavailable, match=r"it lists scripted and not 'other'.*model under \[serving\]"):
            AnswerServer(other, server.environment)
        with opened(server) as answers:
            server.key = "changed"
            with pytest.raises(EndpointUnavailable, match="401"):
                answers.answers(PROBE, adapter, QUESTIONS, STOP, SAMPLING)


def test_an_address_that_lists_no_models_is_told_at_once() -> None:
    with (
        ScriptedEndpoint(WORDS, lists_models=False) as server,
        pytest.raises(EndpointUnavailable, match=r"404.*it usually ends in /v1"),
    ):
        AnswerServer(settings(), server.environment)


def test_a_server_that_takes_no_adapters_is_told_before_anything_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedEndpoint(WORDS) as server:
        monkeypatch.setattr(server.adapters, "call", lambda path, body: (404, "Not Found"))
        with pytest.raises(EndpointUnavailable, match="VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"):
            AnswerServer(settings(), server.environment)


def test_an_adapter_that_the_server_does_not_list_is_no_adapter(adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedEndpoint(WORDS) as server, opened(server) as answers:
        monkeypatch.setattr(server.adapters, "cards", list)
        with pytest.raises(EndpointUnavailable, match=f"it loaded {PROBE}-[0-9a-f]+ and lists {MODEL}"):
            answers.answers(PROBE, adapter, QUESTIONS, STOP, SAMPLING)
        assert server.requests == []


def test_a_folder_that_the_server_does_not_see_is_told(adapter: Path) -> None:
    with pytest.raises(EndpointUnavailable, match=r"told to load /elsewhere/probe-0123456789ab/adapter\); .*adapters"):
        served(adapter, adapters="/elsewhere")
    assert served(adapter, adapters=str(adapter.parent.parent))[0] == served(adapter)[0]


def test_an_adapter_that_the_server_refuses_fails_the_probe_for_good(
    adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedEndpoint(WORDS) as server, opened(server) as answers:
        rank = (400, "LoRA rank 128 is greater than max_lora_rank 64.")
        monkeypatch.setattr(server.adapters, "_load", lambda name, folder: rank)
        with pytest.raises(ServerRefused, match="rank 128 is greater than max_lora_rank 64"):
            answers.answers(PROBE, adapter, QUESTIONS, STOP, SAMPLING)


def test_what_an_earlier_attempt_left_loaded_makes_room(adapter: Path, tmp_path: Path) -> None:
    """Also where that attempt trained other weights."""
    other = write_adapter(tmp_path / "other" / "adapter", "other weights")
    with ScriptedEndpoint(WORDS) as server, opened(server) as answers:
        answers.answers(PROBE, adapter, QUESTIONS, STOP, SAMPLING)
        left = [server.requests[0]["model"], f"{PROBE}-00000000"]
        stranger = "ffffffffffff-00000000"
        for name in (*left, stranger):
            assert server.adapters.call(LOAD, {"lora_name": name, "lora_path": str(other)})[0] == 200
        before = len(server.adapters.calls)
        again = answers.answers(PROBE, adapter, QUESTIONS, STOP, SAMPLING)
        assert server.adapters.calls[before:] == [
            (UNLOAD, left[0]),
            (UNLOAD, left[1]),
            (LOAD, left[0]),
            (UNLOAD, left[0]),
        ]
        assert [card["id"] for card in server.adapters.cards()] == [stranger]
    assert again == served(adapter)[0]


def test_a_key_goes_only_to_the_address_it_was_given_with() -> None:
    from probes.generate.vllm import server_environment

    def where(environment: dict[str, str]) -> tuple[str, str]:
        found = server_environment(environment)
        return found["OPENAI_BASE_URL"], found["OPENAI_API_KEY"]

    general = {"OPENAI_BASE_URL": "http://general/v1", "OPENAI_API_KEY": "general"}
    own = {"OPENAI_ANSWERS_BASE_URL": "http://own/v1"}
    assert where(general) == ("http://general/v1", "general")
    assert where({**general, **own}) == ("http://own/v1", "")
    assert where({**general, **own, "OPENAI_ANSWERS_API_KEY": "own"}) == ("http://own/v1", "own")
    with pytest.raises(EndpointUnavailable, match="OPENAI_ANSWERS_BASE_URL is not set"):
        server_environment({"OPENAI_API_KEY": "general"})


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ('kind = "endpoint"', r'\[serving\] kind = "endpoint" needs a model'),
        ('model = "m"', r'\[serving\] kind = "endpoint" needs a model'),
        ('kind = "vllm"', "kind='vllm' is refused"),
        ('kind = "endpoint"\nmodel = "m"\nconcurency = 3', "no key 'concurency'; did you mean 'concurrency'"),
        ('kind = "endpoint"\nmodel = "m"\nconcurrency = 0', "concurrency=0 is refused"),
        ('kind = "endpoint"\nmodel = "m"\npatience = -1', "patience=-1 is refused"),
    ],
)
def test_the_section_is_validated(tmp_path: Path, section: str, message: str) -> None:
    text = simulated_study.STUDY + f"\n[serving]\n{section}\n"
    with pytest.raises(BadInput, match=message):
        load_study(simulated_study.write_study(tmp_path, text))


def test_who_answers_is_part_of_the_key_and_how_it_is_reached_is_not(tmp_path: Path) -> None:
    def found(name: str, section: str) -> tuple[str, str]:
        study = load_study(simulated_study.write_study(tmp_path / name, simulated_study.STUDY + section))
        return study.question, study.material.key("machine", "base").digest

    none, local = found("a", ""), found("b", '\n[serving]\nkind = "local"\npatience = 1.0\n')
    served = found("c", '\n[serving]\nkind = "endpoint"\nmodel = "m"\n')
    elsewhere = '\n[serving]\nkind = "endpoint"\nmodel = "m"\nadapters = "/a"\nconcurrency = 2\ntimeout = 9.0\n'
    assert none == local
    assert served == found("d", elsewhere)
    other = found("e", '\n[serving]\nkind = "endpoint"\nmodel = "n"\n')
    assert all(len({one[place] for one in (none, served, other)}) == 3 for place in (0, 1))


def test_a_local_study_has_the_key_it_had_before_there_were_servers(tmp_path: Path) -> None:
    simulated_study.write_data(tmp_path)
    key = tiny.material(tmp_path).key("machine", "base")
    assert key.environment.startswith("machine nightlane=")
    assert "served" not in key.environment


def test_the_key_says_whether_answers_must_not_depend_on_the_batch(tmp_path: Path) -> None:
    simulated_study.write_data(tmp_path)
    local = tiny.material(tmp_path)
    plain, invariant = (
        replace(local, serving=settings(**given)).key("machine", "base").environment
        for given in ({}, {"batch_invariant": True})
    )
    assert invariant == f"{plain} batch-invariant"
    assert "batch_invariant" not in settings().model_dump()
    with pytest.raises(ValidationError, match="batch_invariant=true is for a server"):
        ServingSettings(batch_invariant=True)


def test_what_init_and_the_docs_say_of_the_section_is_a_section(tmp_path: Path) -> None:
    template = texts_of(DEFAULT)["study.toml"]
    block = template[template.index("# [serving]") :].partition("\n\n")[0]
    commented = "\n".join(line.removeprefix("# ") for line in block.splitlines())
    told = re.search(r"```toml\n(\[serving\].*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert told
    for name, section in (("template", commented), ("docs", told[1])):
        keys = tomllib.loads(section)["serving"]
        assert set(keys) == set(ServingSettings.model_fields)
        study = load_study(simulated_study.write_study(tmp_path / name, f"{simulated_study.STUDY}\n{section}"))
        assert study.file.serving == ServingSettings(kind="endpoint", model=keys["model"])
