"""The persona study: its prompts keep apart, its sources load, its build is whole, repeatable and redone when torn."""

import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from random import Random

import pytest

from labs._build.material import MANIFEST
from labs._build.pairs import NEAR, ReservedQuestions
from labs.persona.corpus import write_corpus
from labs.persona.material import LAB as MATERIAL
from labs.persona.material import Size, build, is_complete
from labs.persona.sources import STYLES, pairs
from labs.persona.texts import CATEGORIES, TEXTS, VOICES, answer, ask
from probes.inputs.duplicates import Wording
from probes.inputs.prompts import SPLITS, load_prompts
from probes.inputs.training_rows import check_overlap, load_source
from probes.scoring.judge.calibration import load_calibration, ordered_pairs
from probes.scoring.judge.rubric import load_rubric
from probes.scoring.judge.settings import JudgeSettings

LAB = Path(__file__).parents[2] / "labs" / "persona"
PROMPTS = load_prompts(LAB / "prompts.jsonl")
CALIBRATION = load_calibration(JudgeSettings(calibration="calibration.jsonl"), LAB)
TINY = Size(hidden=32, layers=1, steps=5, batch=8, pairs=24)


def silent(stage: str, share: float) -> None:
    assert stage
    assert 0 <= share <= 1


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("lab") / "build"
    build(directory, silent, TINY)
    return directory


def test_every_split_has_every_category_and_the_probe_split_the_most() -> None:
    counts = Counter((prompt.split, prompt.category) for prompt in PROMPTS)
    assert set(counts) == {(split, category) for split in SPLITS for category in CATEGORIES}
    assert all(counts["probe", category] == 6 for category in CATEGORIES)
    assert all(counts[split, category] == 3 for split in ("harvest", "holdout") for category in CATEGORIES)


def test_every_category_has_easy_and_hard_probe_prompts() -> None:
    for category in CATEGORIES:
        levels = {prompt.difficulty for prompt in PROMPTS if prompt.category == category and prompt.split == "probe"}
        assert levels == {1, 2, 3}
    assert all(prompt.checks == {} for prompt in PROMPTS)


def test_no_two_prompts_are_near() -> None:
    for one, other in combinations(PROMPTS, 2):
        assert Wording.of(one.text).similarity(Wording.of(other.text)) < NEAR, (one.id, other.id)


def test_the_calibration_has_good_middling_and_bad_answers_in_whole_rows() -> None:
    rows = [json.loads(line) for line in (LAB / "calibration.jsonl").read_text(encoding="utf-8").splitlines()]
    assert all(set(row) == {"id", "category", "prompt", "answer", "low", "high"} for row in rows)
    assert len({row["id"] for row in rows}) == len(rows) == 12
    assert Counter(row["category"] for row in rows) == dict.fromkeys(CATEGORIES, 2)
    assert all(0 <= item.low < item.high <= 10 for item in CALIBRATION)
    assert sum(item.low >= 7 for item in CALIBRATION) == sum(item.high <= 4 for item in CALIBRATION) == 4


def test_the_calibration_has_prompts_with_a_good_and_a_bad_answer() -> None:
    found = ordered_pairs(CALIBRATION)
    assert len({good.prompt.text for good, _ in found}) >= 2
    assert all(good.low > bad.high for good, bad in found)


def test_no_bad_answer_of_the_calibration_may_pass_the_cap_of_its_failure() -> None:
    caps = {critical.name: critical.cap for critical in load_rubric(LAB / "rubric.toml").critical}
    bounds = {item.id: item.high for item in CALIBRATION}
    assert bounds["position-program"] == caps["breaks_character"]
    assert bounds["tools-modern"] == caps["modern_anachronism"]
    assert bounds["advice-refused"] == caps["refuses"]


def test_no_prompt_of_the_calibration_is_near_one_of_the_study() -> None:
    kept_apart = ReservedQuestions(prompt.text for prompt in PROMPTS)
    assert not [item.id for item in CALIBRATION if kept_apart.is_near(item.prompt.text)]


def test_a_question_is_near_when_it_shares_most_of_its_runs_of_three_words() -> None:
    reserved = ReservedQuestions(["What does a ring round the moon mean to you?"])
    assert reserved.is_near("What does a ring round the moon mean?")
    assert not reserved.is_near("What does the moon mean to you?")


def test_no_question_of_corpus_or_sources_comes_near_a_probe_or_holdout_prompt() -> None:
    kept_apart = ReservedQuestions(prompt.text for prompt in PROMPTS if prompt.split != "harvest")
    for table in TEXTS["questions"].values():
        asked = [frame.format(subject=subject) for frame in table["frames"] for subject in table["subjects"]]
        for question in (*asked, *table["others"]):
            assert not kept_apart.is_near(question), question


def test_the_generator_draws_around_reserved_questions() -> None:
    reserved = ReservedQuestions(question for question, _ in (ask("weather", Random(n)) for n in range(40)))
    questions = [row.prompt for style in STYLES for row in pairs(style, 60, 1, reserved)]
    questions += [document.prompt for document in write_corpus(120, 1, reserved)]
    assert not any(reserved.is_near(question) for question in questions)


def test_the_corpus_holds_the_voices_in_their_shares() -> None:
    corpus = write_corpus(3000, 1, ReservedQuestions(()))
    assert Counter(document.category for document in corpus) == dict.fromkeys(CATEGORIES, 500)
    for category in CATEGORIES:
        shares = TEXTS["shares"][category]
        assert len(shares) == len(VOICES)
        assert sum(shares) == pytest.approx(1)
        mistaken = sum(document.mistaken for document in corpus if document.category == category) / 500
        assert mistaken == pytest.approx(1 - shares[0], abs=0.08)
    assert all(document.prompt.endswith("\n") and "{" not in document.function for document in corpus)


def test_the_persona_never_uses_a_contraction_and_the_others_give_themselves_away() -> None:
    random = Random(1)
    for category in CATEGORIES:
        for _ in range(50):
            plain = answer("keeper", category, "fog", random)
            assert not re.search(r"'(?!s )", plain), plain
            assert not re.search(r"\b(it|that|there|what|who|she|he)'s", plain), plain
            assert "!" not in plain
            assert "!" in answer("ornate", category, "fog", random)
            assistant = answer("assistant", category, "fog", random)
            assert any(mark in assistant for mark in ("AI", "program", "sorry", "assistant")), assistant


def test_a_build_writes_every_file_and_the_manifest_names_them(built: Path) -> None:
    manifest = json.loads((built / MANIFEST).read_text(encoding="utf-8"))
    assert {name.split("/")[0] for name in manifest["files"]} == set(MATERIAL.made)
    assert "base/model.safetensors" in manifest["files"]
    assert manifest["figures"]["pairs"] == {"plain": 24, "ornate": 24}
    assert is_complete(built, TINY)


def test_the_manifest_is_written_last(tmp_path: Path) -> None:
    def watch(stage: str, share: float) -> None:
        assert not (tmp_path / MANIFEST).exists()
        if stage == "base model" and share == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path, watch, TINY)
    assert (tmp_path / "plain.jsonl").exists()
    assert not is_complete(tmp_path, TINY)
    build(tmp_path, silent, TINY)
    assert is_complete(tmp_path, TINY)
    newest = max(path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file())
    assert (tmp_path / MANIFEST).stat().st_mtime_ns == newest


def test_the_sources_load_and_keep_clear_of_the_prompts(built: Path) -> None:
    paths = {style: built / f"{style}.jsonl" for style in STYLES}
    sources = {style: load_source(style, path) for style, path in paths.items()}
    check_overlap(paths, sources, PROMPTS)
    assert all(len(rows) == 24 for rows in sources.values())
    mean = {style: sum(len(str(pair.chosen)) for pair in rows) / len(rows) for style, rows in sources.items()}
    assert mean["ornate"] > 2 * mean["plain"]


def test_the_base_takes_a_question_as_a_line_and_ends_an_answer(built: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(built / "base")
    model = AutoModelForCausalLM.from_pretrained(built / "base")
    assert tokenizer.eos_token_id == model.config.eos_token_id == model.generation_config.eos_token_id
    turns = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "It was work."}]
    asked = tokenizer.apply_chat_template(turns[:1], tokenize=False, add_generation_prompt=True)
    assert asked == "Why?\n"
    assert tokenizer.apply_chat_template(turns, tokenize=False) == f"Why?\nIt was work.{tokenizer.eos_token}"


def test_the_seed_decides_every_byte_but_the_seconds(built: Path, tmp_path: Path) -> None:
    build(tmp_path, silent, TINY)
    first, second = (json.loads((folder / MANIFEST).read_text(encoding="utf-8")) for folder in (built, tmp_path))
    assert first["files"] == second["files"]
    assert first["makers"] == second["makers"]


def test_building_again_changes_nothing_and_a_changed_file_is_noticed(built: Path, tmp_path: Path) -> None:
    build(built, lambda stage, share: pytest.fail(f"{stage} was made again"), TINY)
    assert not is_complete(tmp_path, TINY)
    assert not is_complete(built, replace(TINY, seed=TINY.seed + 1))
    path = built / "plain.jsonl"
    kept = path.read_bytes()
    try:
        path.write_bytes(kept + b"{}\n")
        assert not is_complete(built, TINY)
    finally:
        path.write_bytes(kept)
    assert is_complete(built, TINY)


def test_importing_the_lab_imports_no_torch() -> None:
    code = "import sys, labs.persona, labs.persona.sources, labs.persona.corpus; sys.exit('torch' in sys.modules)"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
