"""Trains and scores the recipes of the README's table: mean scores, 0 to 10, per category.

python -m labs.smollm --measure
"""

from pathlib import Path

from labs._build.measure import RecipeRow, RecipeTable
from labs.smollm.texts import CATEGORIES

STUDY = Path(__file__).with_name("study.toml")

# Name of the row -> what differs from the starting recipe.
RECIPES: tuple[RecipeRow, ...] = (
    ("start (ORPO, 1e-3, even)", {}),
    ("brief_only", {"mixture": {"brief": 1.0}}),
    ("brief_only, 3e-3", {"learning_rate": 3e-3, "mixture": {"brief": 1.0}}),
    ("clipped alone", {"mixture": {"clipped": 1.0}}),
)

main = RecipeTable(STUDY, CATEGORIES, RECIPES, worth=lambda score: score.value, digits=2).print
