import pickle
import tomllib

import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lanes import Recipe

RECIPES = st.builds(
    tiny.recipe,
    objective=st.sampled_from(["orpo", "dpo"]),
    learning_rate=st.floats(1e-8, 0.5),
    beta=st.floats(0.001, 10),
    lora_rank=st.integers(1, 256),
    lora_targets=st.sampled_from([("all-linear",), ("q_proj", "v_proj")]),
    mixture=st.dictionaries(st.sampled_from(["a", "b", "source c"]), st.floats(0.1, 9), min_size=1),
)


@given(RECIPES)
def test_toml_round_trip_keeps_recipe_and_digest(recipe: Recipe) -> None:
    again = Recipe.from_toml(recipe.to_toml())
    assert again == recipe
    assert again.digest == recipe.digest
    assert again.model_dump() == recipe.model_dump()


@given(RECIPES, RECIPES)
def test_digests_are_equal_exactly_when_the_parameters_are(one: Recipe, other: Recipe) -> None:
    assert (one.digest == other.digest) == (one.model_dump() == other.model_dump())


def test_digest_is_stable_across_versions_of_the_program() -> None:
    recipe = Recipe(mixture={"a": 1.0})
    assert recipe.digest == "f1da799923a0bc54"
    later = {
        "second_loss": "sft",
        "second_weight": 0.5,
        "third_loss": "ipo",
        "third_weight": 0.5,
        "ld_alpha": 0.5,
        "lora_scaling": "rslora",
    }
    later |= {"lora_variant": "dora", "lora_init": "gaussian"}
    digests = {Recipe(mixture={"a": 1.0}, **{name: value}).digest for name, value in later.items()}
    assert len(digests | {recipe.digest}) == 1 + len(later)
    again = Recipe.from_toml(Recipe(mixture={"a": 1.0}, **later).to_toml())
    assert {name: getattr(again, name) for name in later} == later


def test_a_changed_copy_has_a_digest_of_its_own_and_no_digest_is_a_field() -> None:
    recipe = tiny.recipe()
    assert recipe.digest != recipe.model_copy(update={"beta": 0.3}).digest == tiny.recipe(beta=0.3).digest
    assert set(dict(recipe)) == set(type(recipe).model_fields)


def test_digest_does_not_depend_on_the_order_or_zero_weights_of_a_mixture() -> None:
    one = tiny.recipe(mixture={"good": 1, "broken": 2, "other": 0})
    assert one.digest == tiny.recipe(mixture={"broken": 2.0, "good": 1.0}).digest


def test_a_recipe_cannot_be_changed() -> None:
    recipe = tiny.recipe()
    with pytest.raises(ValidationError):
        recipe.beta = 0.2  # type: ignore[misc]
    with pytest.raises(TypeError):
        recipe.mixture["good"] = 9.0  # type: ignore[index]


def test_a_recipe_survives_pickling() -> None:
    recipe = tiny.recipe(beta=0.3)
    assert pickle.loads(pickle.dumps(recipe)) == recipe


@pytest.mark.parametrize(
    "bad",
    [
        {"learning_rate": 0},
        {"learning_rate": float("nan")},
        {"beta": float("inf")},
        {"lora_rank": 0},
        {"objective": "ppo"},
        {"mixture": {}},
        {"mixture": {"good": -1}},
        {"mixture": {"good": 0}},
        {"learning_rat": 1e-4},
    ],
)
def test_a_value_outside_its_bounds_cannot_be_built(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        tiny.recipe(**bad)


@pytest.mark.parametrize(
    "changed",
    [
        ("objective =", "# a comment\nobjective ="),
        ('objective = "orpo"', 'objective = """\norpo"""'),
        ("\n[mixture]\n", "\n\n[ mixture ] # shares\n"),
        ("[mixture]\n", "[mixture]\n# a comment\n"),
    ],
)
def test_a_recipe_is_read_however_its_toml_is_written(changed: tuple[str, str]) -> None:
    recipe = tiny.recipe()
    text = recipe.to_toml()
    assert changed[0] in text
    assert Recipe.from_toml(text.replace(*changed)) == recipe


@pytest.mark.parametrize("line", ["warmup = 0.2", "[other]\nwarmup = 0.2", "warmup.more = 0.2", "warmup ="])
def test_toml_with_a_key_too_many_is_refused_as_a_whole(line: str) -> None:
    text = tiny.recipe().to_toml().replace("\n[mixture]", f"{line}\n\n[mixture]")
    with pytest.raises((tomllib.TOMLDecodeError, ValidationError)):
        Recipe.from_toml(text)
