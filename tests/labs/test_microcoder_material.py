"""The build of microcoder at a tiny size: complete, usable, idempotent, redone when it was not finished."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import commands
import pytest

from labs._build.material import MANIFEST
from labs.microcoder.corpus import write_corpus
from labs.microcoder.material import Size, build, is_complete
from preferences.code_gate import load_contracts
from probes.inputs.prompts import load_prompts
from probes.inputs.training_rows import check_overlap, load_source

SOURCES = ("honest", "broken", "unchecked")
TINY = Size(
    prompts={"probe": 2, "harvest": 3, "holdout": 2}, hidden=32, layers=1, steps=5, batch=8, samples=2, max_new_tokens=8
)


def silent(stage: str, share: float) -> None:
    assert stage
    assert 0 <= share <= 1


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("lab") / "build"
    build(directory, silent, TINY)
    return directory


def test_a_build_writes_every_file_and_the_manifest_names_them(built: Path) -> None:
    manifest = json.loads((built / MANIFEST).read_text(encoding="utf-8"))
    assert {"prompts.jsonl", *(f"{name}.jsonl" for name in SOURCES)} <= set(manifest["files"])
    assert "base/model.safetensors" in manifest["files"]
    assert set(manifest["seconds"]) == {"prompts and corpus", "base model", "answers", "sources"}
    assert is_complete(built, TINY)


def test_the_base_loads_like_any_model(built: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(built / "base")
    model = AutoModelForCausalLM.from_pretrained(built / "base")
    assert tokenizer.eos_token_id == model.config.eos_token_id == model.generation_config.eos_token_id
    assert tokenizer.pad_token_id not in (None, tokenizer.eos_token_id)
    assert {parameter.dtype.itemsize for parameter in model.parameters()} == {4}
    text = "# total_even(xs): the sum\ndef total_even(xs):\n    return sum(xs) // 2 + len('a b')\n"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_prompts_and_broken_pairs_are_what_the_probes_read(built: Path) -> None:
    prompts = load_prompts(built / "prompts.jsonl")
    assert len(prompts) == 6 * 7
    broken = load_source("broken", built / "broken.jsonl")
    assert {pair.prompt for pair in broken} == {prompt.text for prompt in prompts if prompt.split == "harvest"}
    check_overlap({"broken": built / "broken.jsonl"}, {"broken": broken}, prompts)
    for name in SOURCES:
        for line in (built / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            assert list(row) == ["prompt", "chosen", "rejected", "category", "difficulty"]
            assert row["chosen"] != row["rejected"]


def test_every_harvest_prompt_and_no_other_has_a_contract(built: Path) -> None:
    harvest = {prompt.text for prompt in load_prompts(built / "prompts.jsonl") if prompt.split == "harvest"}
    assert set(load_contracts(built / "contracts.jsonl")) == harvest


def test_building_again_changes_nothing(built: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in built.rglob("*")}
    build(built, lambda stage, share: pytest.fail(f"{stage} was made again"), TINY)
    assert {path: path.stat().st_mtime_ns for path in built.rglob("*")} == before


def test_the_seed_decides_every_byte_but_the_seconds(built: Path, tmp_path: Path) -> None:
    build(tmp_path, silent, TINY)
    first, second = contents(built), contents(tmp_path)
    assert json.loads(first.pop(MANIFEST))["files"] == json.loads(second.pop(MANIFEST))["files"]
    assert first == second


def test_a_lost_file_a_changed_file_and_another_size_are_not_complete(built: Path, tmp_path: Path) -> None:
    assert not is_complete(tmp_path, TINY)
    assert not is_complete(built, replace(TINY, seed=TINY.seed + 1))
    path = built / "honest.jsonl"
    kept = path.read_bytes()
    try:
        path.write_bytes(kept + b"{}\n")
        assert not is_complete(built, TINY)
        path.unlink()
        assert not is_complete(built, TINY)
    finally:
        path.write_bytes(kept)
    assert is_complete(built, TINY)


def die_at_answers(stage: str, share: float) -> None:
    if stage == "answers":
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_build_that_was_killed_is_detected_and_redone(built: Path, tmp_path: Path) -> None:
    process = commands.server().Process(target=build, args=(tmp_path, die_at_answers, TINY))
    process.start()
    process.join(commands.LONGEST)
    assert process.exitcode == -signal.SIGKILL
    assert (tmp_path / "prompts.jsonl").exists()
    assert not (tmp_path / MANIFEST).exists()
    assert not is_complete(tmp_path, TINY)
    build(tmp_path, silent, TINY)
    assert is_complete(tmp_path, TINY)
    assert json.loads((tmp_path / MANIFEST).read_text())["files"] == json.loads((built / MANIFEST).read_text())["files"]


def test_importing_the_lab_imports_no_torch() -> None:
    code = (
        "import sys, labs.microcoder, labs.microcoder.tasks, labs.microcoder.splits; sys.exit('torch' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_pre_training_lowers_the_loss_and_a_prompt_weighs_a_tenth() -> None:
    from labs.microcoder import base

    size = replace(TINY, steps=40, batch=16)
    corpus = write_corpus(size.documents, seed=1, reserved=set())
    tokenizer = base.train_tokenizer(corpus)
    losses = base.pretrain(base.new_model(tokenizer, size, 1), tokenizer, corpus, size, 1, lambda share: None)
    assert len(losses) == size.steps
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    tokens, mask, weights = base._pad([([5, 6], [7, 8, 9]), ([5], [7])], padding=0, end=1)
    assert tokens.tolist() == [[5, 6, 7, 8, 9, 1], [5, 7, 1, 0, 0, 0]]
    assert mask.tolist() == [[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]]
    assert [round(weight, 3) for weight in weights[0].tolist()] == [0.1, 0.1, 1, 1, 1, 1]
    assert [round(weight, 3) for weight in weights[1].tolist()] == [0.1, 1, 1, 0, 0, 0]
