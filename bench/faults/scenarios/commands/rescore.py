"""``nightlane rescore`` of a night's kept answers, by rules."""

from pathlib import Path

from bench.faults.scenarios.commands.full_runs import run_files
from bench.faults.scenarios.commands.material import RULES
from bench.faults.scenarios.commands.recovery import require_success
from bench.faults.scenarios.nights import NIGHTS
from bench.faults.scenarios.nights import observe as observe_night
from bench.faults.scenarios.observe import Observed
from bench.faults.scenarios.scenario import Command, Run, Scenario, nightlane, repeat

NIGHT = next(night for night in NIGHTS if night.name == "night with a harvest")
SCORER = "scorer.toml"
TEXT = '[scorer]\nkind = "rules"\nrules = "rules.toml"\n'


def _write_night(root: Path, run: Run) -> None:
    NIGHT.prepare(root, run)
    require_success(run(NIGHT.command(root)))
    write_replacement_scorer(root)


def write_replacement_scorer(root: Path) -> None:
    (root / "rules.toml").write_text(RULES, encoding="utf-8")
    (root / SCORER).write_text(TEXT, encoding="utf-8")


def rescore(root: Path) -> Command:
    return nightlane("rescore", "--scorer", root / SCORER, "--workspace", root)


def _observe(root: Path) -> Observed:
    """The night, which it leaves as it is, and the new readings."""
    return {**observe_night(root), **run_files("runs/rescore-*")(root)}


RESCORES = (Scenario("rescore", _write_night, rescore, repeat(rescore), _observe, weight=4),)
