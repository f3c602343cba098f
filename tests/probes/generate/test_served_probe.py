"""Whole probes of the tiny model, trained here and answered for by a server."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import tiny

from common.errors import EndpointUnavailable
from probes.generate.random_keys import request_seed, sampling_seed
from probes.inputs.settings import RunnerSettings, ServingSettings
from probes.result.reading import Failure, Outcome, Probe, Reading
from probes.run.execute import measure
from probes.run.local_workers import ResidentRunner
from probes.run.workbench import Workbench
from testing.scripted_endpoint.adapters import LOAD, UNLOAD
from testing.scripted_endpoint.server import MODEL, ScriptedEndpoint

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread", "forked_workers")]

WORDS = {"answer": "words"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedEndpoint]:
    with ScriptedEndpoint([WORDS], key="right") as server:
        monkeypatch.setenv("OPENAI_ANSWERS_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_ANSWERS_API_KEY", "right")
        yield server


@pytest.fixture
def bench(tiny_folder: Path, server: ScriptedEndpoint) -> Iterator[Workbench]:
    serving = ServingSettings(kind="endpoint", model=MODEL, patience=1.0)
    bench = Workbench(replace(tiny.material(tiny_folder), serving=serving), "cpu", {})
    yield bench
    bench.close()


def run(bench: Workbench, folder: Path, seed: int = 42) -> Outcome:
    probe = Probe(tiny.recipe(), bench.material.key("test"), seed)
    return measure(bench, [probe], lambda name: folder / f"probe-{name}", lambda progress: None)[0]


@pytest.mark.long
def test_a_probe_trains_here_and_its_answers_are_the_servers(
    bench: Workbench, server: ScriptedEndpoint, tmp_path: Path
) -> None:
    assert bench.about().endswith(f"answers: {MODEL} at {server.base_url}/")
    reading = run(bench, tmp_path)
    assert isinstance(reading, Reading), reading
    assert reading.tokens > 0
    assert len(reading.scores) == len(server.requests) == 8 * 2
    name = server.requests[0]["model"]
    assert server.adapters.calls == [(LOAD, name), (UNLOAD, name)]
    renderer, seed = bench.base("none").renderer, sampling_seed(0, reading.seed)
    asked = [renderer.question(prompt.text) for prompt in bench.material.probe_prompts]
    wanted = {(q.ids, request_seed(seed, q.text, sample)) for q in asked for sample in range(2)}
    assert {(tuple(r["prompt"]), r["seed"]) for r in server.requests} == wanted
    assert {tuple(r["stop_token_ids"]) for r in server.requests} == {renderer.stop.ids}
    folder = tmp_path / f"probe-{reading.probe}"
    rows = [json.loads(line) for line in (folder / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["prompt"], row["sample"]) for row in rows] == [(s.prompt, s.sample) for s in reading.scores]
    assert all(1 <= len(row["text"].split()) <= 12 for row in rows)


@pytest.mark.long
def test_the_same_probe_again_has_the_same_scores(bench: Workbench, tmp_path: Path) -> None:
    first, second = run(bench, tmp_path / "a"), run(bench, tmp_path / "b")
    assert isinstance(first, Reading)
    assert isinstance(second, Reading)
    assert (first.scores, first.final) == (second.scores, second.final)


@pytest.mark.long
def test_an_answer_that_never_comes_is_a_failure_without_a_score(
    bench: Workbench, server: ScriptedEndpoint, tmp_path: Path
) -> None:
    """The base keeps nothing of it: the next probe measures what it would have."""
    server.replies[:] = [server.replies[0]] * 3
    broken = {"answer": None, "content": "a", "finish_reason": "abort"}
    server.replies += [server.replies[0].model_copy(update=broken)] * 60
    failure = run(bench, tmp_path)
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.retryable, failure.permanent) == ("server", True, False)
    assert server.adapters.cards() == []
    assert not (tmp_path / f"probe-{failure.probe}" / "answers.jsonl").exists()


@pytest.mark.long
def test_a_key_that_is_refused_ends_the_session_and_not_the_probe(
    bench: Workbench, server: ScriptedEndpoint, tmp_path: Path
) -> None:
    server.key = "another"
    with pytest.raises(EndpointUnavailable, match="401"):
        run(bench, tmp_path)


def test_a_worker_asks_the_server_before_it_trains_anything(
    bench: Workbench, server: ScriptedEndpoint, tmp_path: Path
) -> None:
    settings = RunnerSettings(workers=1, threads=1, deadline=120)
    with ResidentRunner(bench.material, settings, tmp_path) as runner:
        assert runner.about.endswith(f"answers: {MODEL} at {server.base_url}/")
        probe = Probe(tiny.recipe(), bench.material.key(runner.environment), 42)
        reading = runner.run([probe], lambda progress: None)[0]
    assert isinstance(reading, Reading), reading
    assert reading.key.environment.endswith(f" served={MODEL}")
    server.key = "another"
    with (
        ResidentRunner(bench.material, settings, tmp_path) as runner,
        pytest.raises(EndpointUnavailable, match="401"),
    ):
        _ = runner.environment
