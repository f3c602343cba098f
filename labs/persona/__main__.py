"""python -m labs.persona [--measure] [--seeds 42 123 7] [--rows TEXT]

--measure trains and scores the recipes of the README's table: mean scores under the rules, 0 to 10, per
category.
"""

from pathlib import Path

from labs._build.command import RecipeRow, RecipeTable, main
from labs.persona.material import LAB
from labs.persona.texts import CATEGORIES

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
"""Name of a row of the table -> how its recipe differs from the starting recipe."""
TABLE = RecipeTable(Path(__file__).with_name("study-rules.toml"), CATEGORIES, RECIPES, worth=float, digits=2)

if __name__ == "__main__":
    main(LAB, TABLE)
