"""Filters of a source are knobs of the mixture lane, where a study names them."""

import pytest

from common.errors import BadInput, IllegalRecipe
from lanes import LaneSettings, Recipe, SearchSpace, SourceFilter, build_lanes
from lanes.search_space import WhyRefused

START = Recipe(mixture={"honest": 1.0, "broken": 1.0})
MANIFESTS = {"both": {"honest": 1.0, "broken": 1.0}, "honest": {"honest": 1.0}}


def space(lane: dict[str, object], refused: WhyRefused = lambda recipe, before: None) -> SearchSpace:
    settings = {"mixture": LaneSettings.model_validate(lane)}
    return build_lanes(settings, START, MANIFESTS, ("honest", "broken"), refused)


def test_no_filter_is_searched_unless_the_study_names_it() -> None:
    assert [knob.name for knob in space({}).knobs] == ["manifest", "weight.honest", "weight.broken"]
    named = space({"subset": True, "duplicates": True})
    assert [knob.name for knob in named.knobs] == [
        "duplicates.honest",
        "duplicates.broken",
        "subset.honest",
        "subset.broken",
    ]


def test_a_move_changes_one_filter_of_one_source_and_back_again_is_the_same_recipe() -> None:
    both = space({"min_margin": True, "subset": True})
    _, stricter = both.mutate(START, "min_margin.honest", 2)
    _, smaller = both.mutate(stricter, "subset.honest", 0.5)
    assert smaller.filters == {"honest": SourceFilter(min_margin=2, subset=0.5)}
    _, back = both.mutate(smaller, "subset.honest", 1.0)
    assert back == stricter
    assert both.mutate(back, "min_margin.honest", 0)[1] == START


def test_a_filter_changes_the_digest_and_survives_toml_and_a_recipe_without_one_keeps_its_digest() -> None:
    strict = Recipe(mixture=START.mixture, filters={"honest": {"duplicates": "rows"}, "broken": {}})
    assert strict.digest != START.digest
    assert Recipe.from_toml(strict.to_toml()) == strict
    assert list(strict.filters) == ["honest"]
    assert "filters" not in START.model_dump()


def test_a_filter_of_a_source_that_has_no_share_is_without_effect() -> None:
    alone = Recipe(mixture={"honest": 1.0})
    moves = space({"subset": True}).moves(alone)
    assert list(moves) == ["subset.honest"]
    with_filter = Recipe(mixture={"honest": 1.0}, filters={"broken": {"subset": 0.5}})
    assert with_filter.effect == alone.effect
    assert with_filter.digest != alone.digest


def test_what_the_data_refuse_is_no_move_and_is_told_when_it_is_asked_for() -> None:
    def refused(recipe: Recipe, before: Recipe | None) -> str | None:
        return "too few rows" if "broken" in recipe.filters else None

    searched = space({"subset": True}, refused)
    assert list(searched.moves(START)) == ["subset.honest"]
    with pytest.raises(IllegalRecipe, match="too few rows"):
        searched.mutate(START, "subset.broken", 0.5)


@pytest.mark.parametrize(
    ("lane", "law"),
    [
        ({"length_ratio": {"high": 2.0}}, "length_ratio=1.2 cannot be"),
        ({"subset": {"choices": [0.0]}}, "subset=0.0 cannot be"),
        ({"duplicates": {"choices": ["some"]}}, "duplicates='some' cannot be"),
    ],
)
def test_values_that_no_recipe_may_have_are_refused_when_the_study_is_read(lane: dict[str, object], law: str) -> None:
    with pytest.raises(BadInput, match=law):
        space(lane)
