"""The probe store: what is on the disk before outcome.json, what its digests find, and that nothing damaged is read."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import UnlikeReadings
from probes.endpoint.spending import Usage
from probes.result.reading import Failure, Outcome, Probe, ProbeKey, Reading, Score, Timing, Unscored
from probes.run.store import ProbeStore, has_whole_adapter

KEY = ProbeKey(steps=4, base="base", data="data", prompts="prompts", scorer="scorer", samples=2, environment="here")
PROBE = Probe(tiny.recipe(), KEY, 42)
READING = Reading(
    probe=PROBE.id,
    recipe=PROBE.recipe.digest,
    key=KEY,
    seed=42,
    scores=(Score("a", 0, "lists", 7.5, {"pass": 0.75}, ("rude",), "PASS"),),
    final={"loss": 0.5},
    timing=Timing(1.0, 2.0, 3.0, 7.0),
    tokens=100,
    peak_gb=0.25,
    missing=(Unscored("a", 1, "lists", "no reply"),),
    judging=Usage(calls=3, dollars=0.01),
)


def written(runs: Path, outcome: Outcome = READING) -> ProbeStore:
    """A store with the probe, and beside its outcome what a worker leaves."""
    store = ProbeStore(runs)
    directory = store.directory(PROBE.id)
    (directory / "adapter").mkdir(parents=True, exist_ok=True)
    rows = [{"prompt": "a", "sample": sample, "text": f"answer {sample}"} for sample in range(2)]
    (directory / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (directory / "levels.json").write_text("[]\n", encoding="utf-8")
    (directory / "adapter" / "adapter_config.json").write_text("{}", encoding="utf-8")
    (directory / "adapter" / "adapter_model.safetensors").write_bytes(bytes(range(256)))
    store.put(PROBE, outcome)
    return store


def make_old(directory: Path) -> None:
    """As a version without digests wrote it."""
    plain = json.loads((directory / "outcome.json").read_text(encoding="utf-8"))
    del plain["files"], plain["sha256"], plain["reading"]["answer_tokens"]
    (directory / "outcome.json").write_text(json.dumps(plain) + "\n", encoding="utf-8")


@pytest.mark.parametrize("outcome", [READING, Failure(PROBE.id, 42, "oom", "too much")])
def test_what_is_put_is_got_and_twice_is_once(tmp_path: Path, outcome: Outcome) -> None:
    store = written(tmp_path, outcome)
    before = (store.directory(PROBE.id) / "outcome.json").read_bytes()
    assert store.get(PROBE) == store.read(PROBE.id) == outcome
    store.put(PROBE, outcome)
    assert (store.directory(PROBE.id) / "outcome.json").read_bytes() == before


@pytest.mark.parametrize(
    ("outcome", "part"),
    [
        (replace(READING, probe="another"), "id"),
        (replace(READING, seed=43), "seed"),
        (replace(READING, recipe=tiny.recipe(beta=0.3).digest), "recipe"),
        (replace(READING, key=replace(KEY, steps=5)), "key"),
        (Failure("another", 42, "oom", ""), "id"),
        (Failure(PROBE.id, 43, "oom", ""), "seed"),
    ],
)
def test_another_probes_outcome_is_refused_and_nothing_is_written(tmp_path: Path, outcome: Outcome, part: str) -> None:
    store = ProbeStore(tmp_path)
    with pytest.raises(UnlikeReadings, match=f"its own probe and its {part} is"):
        store.put(PROBE, outcome)
    assert list(tmp_path.iterdir()) == []


def test_everything_that_outcome_json_vouches_for_is_synced_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(os.path.relpath(os.readlink(f"/proc/self/fd/{descriptor}"), tmp_path))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    store = written(tmp_path)
    folder = store.directory(PROBE.id).name
    before = synced[: synced.index(f"{folder}/.outcome.json.tmp")]
    for name in ("answers.jsonl", "levels.json", "adapter/adapter_config.json", "adapter/adapter_model.safetensors"):
        assert f"{folder}/{name}" in before
    assert {f"{folder}/adapter", folder, "."} <= set(before), "their names, and the folder's own"
    assert synced[-1] == folder


def test_answers_and_adapters_that_changed_are_found_when_they_are_used(tmp_path: Path) -> None:
    store = written(tmp_path)
    directory = store.directory(PROBE.id)
    assert store.has_answers(READING)
    assert has_whole_adapter(directory)
    flip(directory / "answers.jsonl", 30)
    flip(directory / "adapter" / "adapter_model.safetensors", 30)
    assert store.answers(PROBE.id) == []
    assert not store.has_answers(READING)
    assert not has_whole_adapter(directory)


@pytest.mark.parametrize("name", ["answers.jsonl", "adapter/adapter_model.safetensors"])
def test_a_file_of_another_size_makes_the_probe_run_again_and_one_that_was_removed_does_not(
    tmp_path: Path, name: str
) -> None:
    store = written(tmp_path)
    path = store.directory(PROBE.id) / name
    path.write_bytes(b"")
    assert store.get(PROBE) is None
    path.unlink()
    assert store.get(PROBE) == READING


def test_a_directory_of_an_older_version_is_read_as_it_is(tmp_path: Path) -> None:
    store = written(tmp_path)
    directory = store.directory(PROBE.id)
    make_old(directory)
    assert store.get(PROBE) == READING
    assert store.has_answers(READING)
    assert has_whole_adapter(directory)
    (directory / "adapter" / "adapter_model.safetensors").write_bytes(b"")
    assert not has_whole_adapter(directory), "as a power cut left them"


def test_a_reading_of_a_version_that_did_not_count_cut_answers_says_that_it_does_not_know(tmp_path: Path) -> None:
    known = written(tmp_path, replace(READING, cut=1))
    assert known.read(PROBE.id) == replace(READING, cut=1)
    path = known.directory(PROBE.id) / "outcome.json"
    plain = json.loads(path.read_text(encoding="utf-8"))
    del plain["sha256"], plain["reading"]["cut"]
    path.write_text(json.dumps(plain) + "\n", encoding="utf-8")
    assert known.read(PROBE.id) == READING


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1
    path.write_bytes(bytes(content))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> ProbeStore:
    return written(tmp_path_factory.mktemp("runs"))


@settings(max_examples=50)
@given(
    name=st.sampled_from(["outcome.json", "probe.json", "answers.jsonl"]),
    place=st.integers(0, 10_000),
    mask=st.integers(1, 255),
    cut=st.booleans(),
)
def test_no_flipped_or_missing_byte_goes_unnoticed_or_raises(
    whole: ProbeStore, name: str, place: int, mask: int, cut: bool
) -> None:
    path = whole.directory(PROBE.id) / name
    before = path.read_bytes()
    place %= len(before)
    path.write_bytes(before[:place] if cut else before[:place] + bytes([before[place] ^ mask]) + before[place + 1 :])
    try:
        found, rows = whole.get(PROBE), whole.answers(PROBE.id)
        if name == "answers.jsonl":
            assert rows == []
            assert found in (None, READING)
        else:
            assert found is None or found == READING
            assert whole.read(PROBE.id) in (None, READING)
    finally:
        path.write_bytes(before)


GARBLED = (
    "",
    "{",
    "null",
    "[]",
    "3",
    '"text"',
    "{}",
    '{"reading": null}',
    '{"reading": []}',
    '{"failure": 3}',
    '{"failure": {"probe": "p", "seed": 1, "kind": "odd", "message": ""}}',
    '{"failure": {"probe": "p", "seed": 1, "kind": [], "message": ""}}',
    '{"reading": {"key": {}, "timing": {}, "scores": 3}}',
    '{"files": 3, "failure": {}}',
    "[" * 100_000,
    "\x00" * 100,
)


@pytest.mark.parametrize("name", ["outcome.json", "probe.json", "answers.jsonl"])
def test_what_is_garbled_altogether_is_as_if_it_were_not_there(tmp_path: Path, name: str) -> None:
    store = written(tmp_path)
    directory = store.directory(PROBE.id)
    make_old(directory)
    for text in GARBLED:
        (directory / name).write_text(text, encoding="utf-8")
        outcome, rows = store.get(PROBE), store.answers(PROBE.id)
        has_whole_adapter(directory)
        assert rows == [] if name == "answers.jsonl" else outcome is None
    (directory / name).unlink()
    (directory / name).mkdir()
    assert store.get(PROBE) is None or name == "answers.jsonl"
    assert store.answers(PROBE.id) == [] or name != "answers.jsonl"
    shutil.rmtree(directory)
    assert (store.get(PROBE), store.read(PROBE.id), store.answers(PROBE.id)) == (None, None, [])


def test_a_score_that_is_no_number_is_no_reading(tmp_path: Path) -> None:
    store = written(tmp_path)
    directory = store.directory(PROBE.id)
    make_old(directory)
    text = (directory / "outcome.json").read_text(encoding="utf-8")
    (directory / "outcome.json").write_text(text.replace("7.5", '"7.5"'), encoding="utf-8")
    assert store.get(PROBE) is None
