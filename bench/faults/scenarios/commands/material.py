"""What the commands need: studies, files of pairs, stores, an earlier night."""

import json
from collections.abc import Callable
from pathlib import Path

from bench.faults.scenarios.commands.recovery import require_success
from bench.faults.scenarios.nights import night
from bench.faults.scenarios.observe import Observed, rows_of
from bench.faults.scenarios.scenario import Command, Run, nightlane
from lanes import Recipe
from testing.simulated_study import study_text, write_jsonl, write_study

ROWS = 6
VOTER = ("--by", "ann")


def write_stores(root: Path, run: Run) -> None:
    """Stores with imported pairs."""
    write_pairs(root, run)
    require_success(run(import_pairs(root)))


def write_pairs(root: Path, run: Run) -> None:
    """A study, and a file of pairs."""
    write_study(root / "study")
    words = ("lamp", "harbour", "storm", "keeper", "anchor", "gull")
    rows = [
        {
            "prompt": f"What did the {word} do on the {number}th night?",
            "chosen": f"On that night the {word} stood still, and nobody who saw it said a word for {number} days.",
            "rejected": f"Nothing is known about any {word} at all, and so I leave it at that for now.",
            "chosen_score": 8.5,
            "rejected_score": 3.0 + number / 10,
        }
        for number, word in enumerate(words[:ROWS])
    ]
    write_jsonl(root / "pairs.jsonl", rows)


def import_pairs(root: Path) -> Command:
    options = ("--kind", "dpo", "--study", root / "study" / "study.toml", *VOTER)
    return nightlane("pairs", "import", root / "pairs.jsonl", *options, "--workspace", root)


def ids(root: Path) -> list[str]:
    return [json.loads(line)["id"] for line in (root / "runs/rl_data/dpo.jsonl").read_text("utf-8").splitlines()]


RULES = '[[rule]]\nname = "short"\nweight = 1\nkind = "words"\nlow = 1\nhigh = 15\n'


def write_study_with_rules(root: Path, run: Run) -> None:
    """A study that scores texts without a judge, with one answer per prompt."""
    text = study_text(probe="steps = 20\nseeds = [42, 7]\nsamples = 1\n")
    write_study(root / "study", text.replace("[target]", '[scorer]\nkind = "rules"\n[target]'))
    (root / "study" / "rules.toml").write_text(RULES, encoding="utf-8")


def run_night(root: Path, run: Run) -> None:
    """A night with a KEEP and DISCARDs, which give pairs for the proposer."""
    scenario = night("night before", one_bad_order, probes=16)
    scenario.prepare(root, run)
    require_success(run(scenario.command(root)))


def one_bad_order(recipe: Recipe, split: str) -> float:
    return {"short_first": -2.0, "shuffle": 0.0}.get(recipe.curriculum, 2.0)


def stores(root: Path) -> Observed:
    """The stores' files, without times."""
    return {path.name: rows_of(path, (), ("time",)) for path in sorted((root / "runs" / "rl_data").glob("*.jsonl"))}


def with_stores(observe: Callable[[Path], Observed]) -> Callable[[Path], Observed]:
    return lambda root: {**observe(root), **stores(root)}
