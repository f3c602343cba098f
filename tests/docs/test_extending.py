"""docs/extending.md: each example is complete and runs."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import lanes.search_space
from agent.study.schema import ProposerSettings
from bench.decisions.night import Night, NightOver, Noise
from common import plugins
from lanes import LaneSettings, Recipe, build_lanes
from probes.scoring.function import to_mark

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"<!-- file: (\S+) -->\n```python\n(.*?)```", PAGE, re.DOTALL))
[KNOB] = re.findall(r"<!-- file: adam_beta2.diff -->\n```diff\n(.*?)```", PAGE, re.DOTALL)
MOVES = """
import json
from lanes import LaneSettings, Recipe, build_lanes

start = Recipe(mixture={"clean": 1.0}, adam_beta2=0.95)
lanes = {"hyperparameters": LaneSettings.model_validate({"adam_beta2": {}})}
moves = build_lanes(lanes, start, {}, ("clean",)).moves(start)["adam_beta2"]
print(json.dumps([moves, [Recipe(mixture={"clean": 1.0}).digest, start.digest]]))
"""
TRAINING = """
import json
import sys
from pathlib import Path

import tiny
import torch

from probes.inputs.settings import MemorySettings, ModelSettings
from probes.inputs.training_rows import order
from probes.model.load import load_base
from probes.train import trl
from probes.train.packed import engine

torch.set_num_threads(1)
tiny_folder, folder = map(Path, sys.argv[1:])
base = load_base(ModelSettings(path="model"), tiny_folder, "none", "cpu")
curves = {}
for name, train in (("trl", trl.train), ("packed", engine.train)):
    for decay in (0.5, 0.999):
        recipe = tiny.recipe(adam_beta2=decay, learning_rate=0.01, lora_dropout=0.0)
        rows = order(recipe, tiny.material(tiny_folder).sources, 6 * recipe.effective_batch, 1)
        here = folder / f"{name} {decay}"
        here.mkdir()
        train(base, [trl.TrainingJob(recipe, rows, 1, here, lambda step, loss: None)], MemorySettings())
        lines = (here / "train.jsonl").read_text("utf-8").splitlines()
        curves[here.name] = [json.loads(line)["loss"] for line in lines]
print(json.dumps(curves))
"""
POINTS = tomllib.loads(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0])["project"]["entry-points"]
OBJECTS = [name.removesuffix(".py") for name in FILES if not name.startswith("test_")]


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The examples as modules, with the entry points that the page gives them."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))

    def points(group: str, path: tuple[str, ...]) -> dict[str, EntryPoint]:
        return {name: EntryPoint(name, value, group) for name, value in POINTS.get(group, {}).items()}

    monkeypatch.setattr(plugins, "installed", points)
    yield
    for name in OBJECTS:
        sys.modules.pop(name, None)


def example(name: str) -> ModuleType:
    return import_module(name)


def test_the_page_has_an_example_of_each_kind() -> None:
    assert OBJECTS == ["own", "politeness", "nearest_step", "modules", "shouting", "warm", "hopeful"]


def test_every_entry_point_is_of_a_known_group_and_loads() -> None:
    for group, named in POINTS.items():
        assert group in str(plugins.__doc__)
        for name in named:
            assert plugins.plugins(group.removeprefix("nightlane."))[name].load()


def test_the_function_scores_an_answer() -> None:
    score = example("own").score
    assert to_mark(score("", "one two", "voice", {})).value == 1
    assert to_mark(score("", " ", "voice", {})).critical == ("empty",)


@pytest.mark.parametrize(
    ("module", "contract"), [("test_politeness", "Politeness"), ("test_nearest_step", "NearestStep")]
)
def test_scorer_and_proposer_keep_their_contracts(
    module: str, contract: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (
        pytest.main(["-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path / f"{module}.py")]) == 0
    )
    assert f"class Test{contract}(" in FILES[f"{module}.py"]


def test_a_study_may_name_the_proposer() -> None:
    assert ProposerSettings(kind="nearest").kind == "nearest"


@pytest.fixture(scope="module")
def with_the_knob(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages that has the edits of the page."""
    copy = tmp_path_factory.mktemp("nightlane")
    for package in ("common", "lanes", "probes", "sandbox", "testing"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "knob.diff").write_text(KNOB, encoding="utf-8")
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(copy.parent)}  # also where this is in a repository
    subprocess.run(["git", "apply", "knob.diff"], cwd=copy, env=environment, check=True)
    return copy


def printed(code: str, copy: Path, *arguments: object) -> Any:
    """What code prints as JSON with the packages of the copy."""
    paths = os.pathsep.join(map(str, (copy, ROOT, ROOT / "tests" / "helpers")))
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return json.loads(subprocess.run(command, cwd=copy, env=environment, stdout=subprocess.PIPE, check=True).stdout)


def test_the_knob_moves_and_changes_no_digest(with_the_knob: Path) -> None:
    moves, digests = printed(MOVES, with_the_knob)
    assert moves == [0.94, 0.96, 0.93, 0.97]
    assert digests[0] == Recipe(mixture={"clean": 1.0}).digest != digests[1]


@pytest.mark.slow
@pytest.mark.long
def test_both_engines_train_by_the_knob(with_the_knob: Path, tiny_folder: Path, tmp_path: Path) -> None:
    curves = printed(TRAINING, with_the_knob, tiny_folder, tmp_path)
    assert curves["trl 0.5"] == pytest.approx(curves["packed 0.5"], rel=1e-4)
    assert curves["trl 0.999"] == pytest.approx(curves["packed 0.999"], rel=1e-4)
    assert curves["trl 0.5"] != pytest.approx(curves["trl 0.999"], rel=1e-3)


def test_the_lane_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    modules = example("modules")
    monkeypatch.setattr(lanes.search_space, "LANES", (*lanes.search_space.LANES, modules))
    start = Recipe(mixture={"clean": 1.0})
    space = build_lanes({"modules": LaneSettings()}, start, {}, ("clean",))
    assert space.moves(start) == {"lora_targets": (("q_proj", "v_proj"),)}


def test_the_layer_refuses_and_passes() -> None:
    check = example("shouting").check
    assert check(SimpleNamespace(chosen="Good morning.")).passed
    assert "capitals" in check(SimpleNamespace(chosen="GO AWAY")).failing


def test_the_policy_plays_the_landscape() -> None:
    night = Night(example("warm").warm(0), Noise(), budget=20, seed=1)
    with pytest.raises(NightOver):
        example("hopeful").Hopeful().play(night)
    assert night.left < 1
    assert night.headroom > 0
