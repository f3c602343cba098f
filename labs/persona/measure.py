"""Trains and scores the recipes of the README's table under the rules: mean scores, 0 to 10, per category.

python -m labs.persona --measure
"""

from pathlib import Path

from labs._build.measure import RecipeRow, RecipeTable
from labs.persona.texts import CATEGORIES

STUDY = Path(__file__).with_name("study-rules.toml")

# Name of the row -> what differs from the starting recipe.
RECIPES: tuple[RecipeRow, ...] = (
    ("start (ORPO, 1e-4, even)", {}),
    ("5e-4", {"learning_rate": 5e-4}),
    ("plain_only", {"mixture": {"plain": 1.0}}),
    ("plain_only, 5e-4", {"learning_rate": 5e-4, "mixture": {"plain": 1.0}}),
    ("plain_only, 2e-3", {"learning_rate": 2e-3, "mixture": {"plain": 1.0}}),
    ("plain_only, 1e-2", {"learning_rate": 1e-2, "mixture": {"plain": 1.0}}),
    ("ornate alone, 5e-4", {"learning_rate": 5e-4, "mixture": {"ornate": 1.0}}),
    ("DPO plain_only, 5e-4", {"objective": "dpo", "learning_rate": 5e-4, "mixture": {"plain": 1.0}}),
    ("DPO plain_only, 2e-3", {"objective": "dpo", "learning_rate": 2e-3, "mixture": {"plain": 1.0}}),
)

main = RecipeTable(STUDY, CATEGORIES, RECIPES, worth=lambda score: score.value, digits=2).print
