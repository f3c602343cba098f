"""The scripted endpoint takes and gives back adapters with vLLM's status codes."""

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from testing.scripted_endpoint.adapters import LOAD, UNLOAD, ScriptedAdapters
from testing.scripted_endpoint.replies import answer, text_completion
from testing.scripted_endpoint.server import MODEL, ScriptedEndpoint


def post(server: ScriptedEndpoint, path: str, **body: object) -> tuple[int, str]:
    url = server.base_url.removesuffix("/v1") + path
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())["error"]["message"]


def test_adapters_come_and_go_with_the_status_codes_of_vllm(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}", encoding="utf-8")
    with ScriptedEndpoint([{"answer": "words"}]) as server:
        assert post(server, LOAD, lora_name="a")[0] == 400
        assert post(server, LOAD, lora_path=str(tmp_path))[0] == 400
        status, why = post(server, LOAD, lora_name="a", lora_path=str(tmp_path / "none"))
        assert (status, "No adapter found" in why) == (404, True)
        loaded = post(server, LOAD, lora_name="a", lora_path=str(tmp_path))
        assert loaded == (200, "Success: LoRA adapter 'a' added successfully.")
        assert post(server, LOAD, lora_name="a", lora_path=str(tmp_path))[0] == 400
        assert post(server, "/v1/completions", model="a", prompt="p")[0] == 200
        assert post(server, UNLOAD, lora_name="")[0] == 400
        assert post(server, UNLOAD, lora_name="b")[0] == 404
        assert post(server, UNLOAD, lora_name="a") == (200, "Success: LoRA adapter 'a' removed successfully.")
        assert post(server, "/v1/completions", model="a", prompt="p")[0] == 404
        assert post(server, "/v1/completions", model=MODEL, prompt="p")[0] == 200
        assert server.adapters.calls == [(LOAD, "a"), (UNLOAD, "a")]


def test_a_loaded_adapter_is_listed_with_its_folder_and_its_base(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}", encoding="utf-8")
    adapters = ScriptedAdapters("base")
    adapters.call(LOAD, {"lora_name": "a", "lora_path": str(tmp_path)})
    assert [(card["id"], card["root"], card["parent"]) for card in adapters.cards()] == [("a", str(tmp_path), "base")]
    assert [adapters.knows(name) for name in ("a", "base", "b", None)] == [True, True, False, False]


def test_an_answer_follows_from_model_prompt_and_seed() -> None:
    request = {"model": "a", "prompt": "p", "seed": 1}
    assert answer(request, 0) == answer(dict(request), 0)
    others = [{**request, "model": "b"}, {**request, "prompt": "q"}, {**request, "seed": 2}]
    assert len({answer(request, 0), answer(request, 1), *(answer(other, 0) for other in others)}) == 5


@pytest.mark.parametrize(("limit", "text", "reason"), [(2, "one two", "length"), (3, "one two three", "stop")])
def test_a_text_completion_ends_at_max_tokens(limit: int, text: str, reason: str) -> None:
    choice = text_completion(0, {"max_tokens": limit}, "one two three", "stop")["choices"][0]
    assert (choice["text"], choice["finish_reason"]) == (text, reason)


def test_text_completions_need_no_script_of_their_own_beside_a_judge() -> None:
    with ScriptedEndpoint([{"judge": "hash"}]) as server:
        found = json.loads(post(server, "/v1/completions", model=MODEL, prompt="p", seed=1)[1])
    assert found["choices"][0]["text"] == answer({"model": MODEL, "prompt": "p", "seed": 1}, 0)
