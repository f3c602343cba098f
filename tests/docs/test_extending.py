"""docs/extending.md: each example is complete and runs."""

import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import lanes.knobs
import lanes.search_space
from agent.study.schema import ProposerSettings
from bench.decisions.night import Night, NightOver, Noise
from common import plugins
from lanes import LaneSettings, Recipe, build_lanes
from probes.scoring.function import to_mark

PAGE = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"<!-- file: (\S+) -->\n```python\n(.*?)```", PAGE, re.DOTALL))
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
    assert OBJECTS == ["own", "politeness", "nearest_step", "adam_beta2", "modules", "shouting", "warm", "hopeful"]


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


def test_the_knob_moves_the_new_field(monkeypatch: pytest.MonkeyPatch) -> None:
    found = example("adam_beta2")
    monkeypatch.setattr(lanes.knobs, "Recipe", found.WithBeta2)  # as if the field were there
    start = found.WithBeta2(mixture={"clean": 1.0}, adam_beta2=0.95)
    knob = found.KNOB.build("hyperparameters", lanes.knobs.KnobSettings(), start)
    assert knob.moves(start) == (0.94, 0.96, 0.93, 0.97)
    assert knob.write(start, 0.96).adam_beta2 == 0.96


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
