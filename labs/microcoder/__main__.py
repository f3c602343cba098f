"""python -m labs.microcoder [--measure] [--seeds 42 123 7] [--rows TEXT]

--measure trains and scores the recipes of the README's table: the share of answers that pass every case, per category.
A recipe takes about half a minute per seed on one core.
"""

from pathlib import Path

from labs._build.command import RecipeRow, RecipeTable, main
from labs.microcoder.material import LAB
from labs.microcoder.tasks import CATEGORIES

PASS = 10.0
RECIPES: tuple[RecipeRow, ...] = (
    ("start (ORPO, 1e-4, even)", {}),
    ("honest_only", {"mixture": {"honest": 1.0}}),
    ("5e-4", {"learning_rate": 5e-4}),
    ("2e-3", {"learning_rate": 2e-3}),
    ("1e-2", {"learning_rate": 1e-2}),
    ("2e-3, beta 0.5", {"learning_rate": 2e-3, "beta": 0.5}),
    ("2e-3, honest_only", {"learning_rate": 2e-3, "mixture": {"honest": 1.0}}),
    ("2e-3, honest_only, beta 0.5", {"learning_rate": 2e-3, "beta": 0.5, "mixture": {"honest": 1.0}}),
    ("2e-3, broken alone", {"learning_rate": 2e-3, "mixture": {"broken": 1.0}}),
    ("5e-4, everything", {"learning_rate": 5e-4, "mixture": {"honest": 1.0, "broken": 1.0, "unchecked": 1.0}}),
    ("5e-4, unchecked alone", {"learning_rate": 5e-4, "mixture": {"unchecked": 1.0}}),
    ("DPO 1e-4", {"objective": "dpo"}),
    ("DPO 5e-4", {"objective": "dpo", "learning_rate": 5e-4}),
    ("DPO 5e-4, honest_only", {"objective": "dpo", "learning_rate": 5e-4, "mixture": {"honest": 1.0}}),
    ("DPO 2e-3", {"objective": "dpo", "learning_rate": 2e-3}),
)
"""Name of a row of the table -> how its recipe differs from the starting recipe."""
TABLE = RecipeTable(
    Path(__file__).with_name("study.toml"), CATEGORIES, RECIPES, worth=lambda score: float(score == PASS), digits=3
)

if __name__ == "__main__":
    main(LAB, TABLE)
