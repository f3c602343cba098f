"""Answers to the harvest prompts with the adapter of a probe that was trained before."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny

from probes.inputs.settings import HarvestSettings
from probes.result.reading import Outcome, Probe, Reading
from probes.run.execute import measure
from probes.run.store import ProbeStore
from probes.run.workbench import Workbench

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


@pytest.fixture(scope="module")
def bench(one_thread: None, tiny_folder: Path) -> Iterator[Workbench]:
    harvest = HarvestSettings(prompts=4, samples=3)
    bench = Workbench(replace(tiny.material(tiny_folder), harvest=harvest), "cpu", {})
    yield bench
    bench.close()


def run(bench: Workbench, store: ProbeStore, probe: Probe) -> Outcome:
    outcome = measure(bench, [probe], store.directory, lambda progress: None)[0]
    store.put(probe, outcome)
    return outcome


def answers(store: ProbeStore, probe: Probe) -> list[dict[str, Any]]:
    return store.answers(probe.id)


def test_what_is_lent_answers_and_nothing_is_trained(bench: Workbench, tmp_path: Path) -> None:
    store, key = ProbeStore(tmp_path), bench.material.key("test")
    lent = Probe(tiny.recipe(learning_rate=0.01), key, 42)
    asked = Probe(lent.recipe, bench.material.harvest_key(key), 42, lent.id)
    run(bench, store, lent)
    reading = run(bench, store, asked)
    assert isinstance(reading, Reading), reading
    assert (reading.tokens, reading.timing.train) == (0, 0.0)
    assert not (store.directory(asked.id) / "train.jsonl").exists()
    prompts = {prompt.id for prompt in bench.material.prompts_of("harvest")}
    assert {row["prompt"] for row in answers(store, asked)} == prompts
    assert len(prompts) == 4
    assert len(answers(store, asked)) == 4 * 3


@pytest.mark.long
def test_an_adapter_that_is_gone_or_not_whole_is_trained_anew_and_answers_the_same(
    bench: Workbench, tmp_path: Path
) -> None:
    key = bench.material.key("test")
    lent = Probe(tiny.recipe(learning_rate=0.01), key, 42)
    asked = Probe(lent.recipe, bench.material.harvest_key(key), 42, lent.id)
    with_it, gone, torn, flipped = (ProbeStore(tmp_path / name) for name in ("with_it", "gone", "torn", "flipped"))
    run(bench, with_it, lent)
    for store in (torn, flipped):
        shutil.copytree(with_it.directory(lent.id), store.directory(lent.id))
    (torn.directory(lent.id) / "outcome.json").unlink()
    weights = flipped.directory(lent.id) / "adapter" / "adapter_model.safetensors"
    weights.write_bytes(bytes(weights.stat().st_size))  # of its size, as some file systems leave it after a power cut
    texts = []
    for store in (with_it, gone, torn, flipped):
        assert isinstance(run(bench, store, asked), Reading)
        texts.append([row["text"] for row in answers(store, asked)])
    assert texts[0] == texts[1] == texts[2] == texts[3]
    for store in (gone, torn, flipped):
        lines = (store.directory(asked.id) / "train.jsonl").read_text(encoding="utf-8").splitlines()
        assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4]


def test_the_harvest_has_a_key_of_its_own(bench: Workbench) -> None:
    key = bench.material.key("test")
    asked = bench.material.harvest_key(key)
    more = replace(bench.material, harvest=HarvestSettings(prompts=5, samples=3)).harvest_key(key)
    assert len({key.digest, asked.digest, more.digest}) == 3
    assert (asked.split, asked.samples) == ("harvest", 3)
