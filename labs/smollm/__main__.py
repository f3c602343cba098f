"""python -m labs.smollm [--measure] [--seeds 42 123 7] [--rows TEXT]

--measure trains and scores the recipes of the README's table: mean scores, 0 to 10, per category.
"""

from pathlib import Path

from labs._build.command import RecipeRow, RecipeTable, main
from labs.smollm.material import LAB
from labs.smollm.texts import CATEGORIES

RECIPES: tuple[RecipeRow, ...] = (
    ("start (ORPO, 1e-3, even)", {}),
    ("brief_only", {"mixture": {"brief": 1.0}}),
    ("brief_only, 3e-3", {"learning_rate": 3e-3, "mixture": {"brief": 1.0}}),
    ("clipped alone", {"mixture": {"clipped": 1.0}}),
)
"""Name of a row of the table -> how its recipe differs from the starting recipe."""
TABLE = RecipeTable(Path(__file__).with_name("study.toml"), CATEGORIES, RECIPES, worth=float, digits=2)

if __name__ == "__main__":
    main(LAB, TABLE)
