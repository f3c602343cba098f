from typing import Any

import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

from common.errors import BadInput, IllegalRecipe
from lanes import KnobSettings, LaneSettings, Mutation, Recipe, SearchSpace, build_lanes, check_recipe
from lanes.knobs import ladder

MANIFESTS = {"even": {"good": 1.0, "broken": 1.0}, "good_only": {"good": 1.0}}


def space(start: Recipe | None = None, **lanes: Any) -> SearchSpace:
    chosen = lanes or {"hyperparameters": {}, "mixture": {}, "curriculum": {}}
    settings = {name: LaneSettings.model_validate(keys) for name, keys in chosen.items()}
    return build_lanes(settings, start or tiny.recipe(beta=0.1, learning_rate=1e-4), MANIFESTS, ("good", "broken"))


def differences(one: Recipe, other: Recipe) -> list[str]:
    return [name for name in Recipe.model_fields if getattr(one, name) != getattr(other, name)]


@given(st.data())
def test_every_legal_move_changes_one_parameter_and_breaks_no_rule(data: st.DataObject) -> None:
    objective = data.draw(st.sampled_from(["orpo", "dpo"]))
    loss = data.draw(st.sampled_from(["sigmoid", "aot", "robust"]))
    recipe = tiny.recipe(beta=0.1, learning_rate=1e-4, objective=objective, dpo_loss=loss)
    lanes = space(recipe)
    for _ in range(4):
        moves = lanes.moves(recipe)
        knob = data.draw(st.sampled_from(sorted(moves)))
        value = data.draw(st.sampled_from(moves[knob]))
        mutation, child = lanes.mutate(recipe, knob, value)
        assert len(differences(recipe, child)) == 1
        assert lanes.knob(knob).read(child) == value == mutation.after
        check_recipe(child)
        recipe = child


def test_a_mutation_with_equal_sides_cannot_be_built() -> None:
    with pytest.raises(IllegalRecipe, match="propose another value"):
        Mutation("beta", 0.1, 0.1)


def test_beta_moves_by_one_hundredth_by_default() -> None:
    assert space().moves(tiny.recipe(beta=0.1))["beta"] == (0.09, 0.11)


def test_a_value_outside_its_bounds_names_the_bounds_and_where_to_widen_them() -> None:
    lanes = space(hyperparameters={"learning_rate": {"low": 1e-7, "high": 1e-4, "factor": 10}})
    with pytest.raises(IllegalRecipe) as refused:
        lanes.mutate(tiny.recipe(learning_rate=1e-4), "learning_rate", 0.3)
    assert str(refused.value) == (
        "learning_rate=0.3 is outside [1e-07, 0.0001]; widen it under [lanes.hyperparameters] in study.toml"
    )


@pytest.mark.parametrize(("value", "law"), [(0.105, "between the steps"), (0.2, "more than 1 step"), (0.1, "already")])
def test_a_value_off_the_ladder_or_too_far_is_refused(value: float, law: str) -> None:
    with pytest.raises(IllegalRecipe, match=law):
        space().mutate(tiny.recipe(beta=0.1), "beta", value)


def test_a_knob_without_effect_has_no_moves() -> None:
    orpo = space().moves(tiny.recipe(objective="orpo"))
    assert "dpo_loss" not in orpo
    assert "label_smoothing" not in orpo
    assert "warmup" not in space().moves(tiny.recipe(scheduler="constant"))
    dpo = tiny.recipe(objective="dpo", dpo_loss="sigmoid")
    assert "label_smoothing" not in space().moves(dpo)
    knobs: dict[str, Any] = {
        "second_weight": {},
        "second_loss": {},
        "third_weight": {},
        "third_loss": {},
        "ld_alpha": {},
    }
    settings = {"hyperparameters": LaneSettings.model_validate(knobs)}
    lanes = build_lanes(settings, tiny.recipe(), MANIFESTS, ("good", "broken"))
    assert set(lanes.moves(tiny.recipe(objective="dpo"))) == {"second_loss", "ld_alpha"}
    two = {"second_loss", "second_weight", "third_loss", "ld_alpha"}
    assert set(lanes.moves(tiny.recipe(objective="dpo", second_loss="sft"))) == two
    three = tiny.recipe(objective="dpo", second_loss="sft", third_loss="bco_pair")
    assert set(lanes.moves(three)) == set(knobs)
    assert not lanes.moves(tiny.recipe())
    with pytest.raises(IllegalRecipe, match="no effect with objective=orpo"):
        space().mutate(tiny.recipe(), "dpo_loss", "ipo")


def test_the_trainers_own_rules_are_refused_before_any_compute() -> None:
    dpo = tiny.recipe(objective="dpo", label_smoothing=0.0)
    assert "exo_pair" not in space().moves(dpo)["dpo_loss"]
    with pytest.raises(IllegalRecipe, match=r"label_smoothing=0.*set label_smoothing above 0"):
        space().mutate(dpo, "dpo_loss", "exo_pair")
    for bad in (
        {"objective": "dpo", "dpo_loss": "robust", "label_smoothing": 0.5},
        {"objective": "dpo", "dpo_loss": "aot", "effective_batch": 1},
        {"objective": "dpo", "second_loss": "exo_pair"},
        {"objective": "dpo", "second_loss": "robust", "label_smoothing": 0.5},
        {"objective": "dpo", "second_loss": "aot", "effective_batch": 1},
        {"objective": "dpo", "second_loss": "sigmoid"},
        {"objective": "dpo", "second_loss": "sft", "third_loss": "sft"},
        {"objective": "dpo", "third_loss": "sft"},
        {"lora_init": "orthogonal", "lora_rank": 5},
        {"lora_init": "orthogonal", "quantization": "nf4"},
        {"lora_targets": ("q_proj", "lm_head")},
        {"lora_targets": ()},
        {"lora_targets": ("all-linear", "q_proj")},
    ):
        with pytest.raises(IllegalRecipe):
            check_recipe(tiny.recipe(**bad))


def test_two_manifests_with_the_same_shares_are_refused() -> None:
    manifests = {**MANIFESTS, "twice": {"good": 2.0, "broken": 2.0}}
    with pytest.raises(BadInput, match="'even' and 'twice'"):
        build_lanes({"mixture": LaneSettings()}, tiny.recipe(), manifests, ("good", "broken"))


def test_the_manifest_that_the_recipe_has_is_no_move() -> None:
    recipe = tiny.recipe(mixture={"good": 3, "broken": 3})
    assert space().moves(recipe)["manifest"] == ("good_only",)
    with pytest.raises(IllegalRecipe, match="already"):
        space().mutate(recipe, "manifest", "even")


def test_a_weight_that_leaves_the_shares_as_they_are_is_refused() -> None:
    with pytest.raises(IllegalRecipe, match="share as it is"):
        space().mutate(tiny.recipe(mixture={"good": 1}), "weight.good", 1.5)


def test_a_weight_moves_one_source_and_leaves_the_others() -> None:
    recipe = tiny.recipe(mixture={"good": 1, "broken": 1})
    _, child = space().mutate(recipe, "weight.broken", 0.5)
    assert dict(child.mixture) == {"good": 1.0, "broken": 0.5}
    alone = tiny.recipe(mixture={"good": 1})
    assert "weight.good" not in space().moves(alone)
    assert space().moves(alone)["weight.broken"] == (0.5,)


@pytest.mark.parametrize(
    ("lanes", "message"),
    [
        ({"hyperparameters": {"learning_rte": {}}}, "did you mean 'learning_rate'"),
        ({"mixture": {"manifst": {}}}, "did you mean 'manifest'"),
        ({"mixture": {"manifest": {"choices": ["odd"]}}}, "'odd', which"),
        ({"hyperparameters": {"beta": {"low": 0.5, "high": 1.0}}}, "outside"),
        ({"hyperparameters": {"beta": {"low": 1.0, "high": 0.05}}}, "swap them"),
        ({"hyperparameters": {"scheduler": {"choices": ["cosin", "linear"]}}}, "scheduler='cosin' cannot be"),
        ({"hyperparameters": {"lora_rank": {"choices": [0, 16]}}}, "lora_rank=0 cannot be"),
        ({"hyperparameters": {"warmup": {"high": 2.0}}}, "warmup=2.0 cannot be"),
        ({"hyperparameters": {"beta": {"low": 1e-4, "high": 2, "step": 1e-4}}}, "1000 are enough"),
        ({"hyperparameters": {"warmup": {"low": 0.0, "high": 0.5, "factor": 2.0}}}, "needs a low above 0"),
    ],
)
def test_a_wrong_lane_says_what_is_wrong(lanes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        space(**lanes)


@given(st.floats(1e-7, 1e-3), st.floats(1.1, 10))
def test_a_ladder_holds_its_anchor_and_stays_within_bounds(anchor: float, factor: float) -> None:
    low, high = anchor / 50, anchor * 50
    values = ladder("x", anchor, KnobSettings(low=low, high=high, factor=factor))
    assert float(f"{anchor:.6g}") in values
    assert all(low * 0.999 <= float(v) <= high * 1.001 for v in values if not isinstance(v, str | tuple))
    assert list(values) == sorted(set(values))
