"""``nightlane promote`` of the recipe that a night kept, with full-length runs of a small model."""

import signal
from pathlib import Path
from typing import Any

from bench.faults.scenarios.commands.full_runs import die_at, run_files, write_small_study
from bench.faults.scenarios.commands.material import one_bad_order
from bench.faults.scenarios.commands.recovery import require_success
from bench.faults.scenarios.nights import ONLY_CURRICULUM, PLAIN, simulated
from bench.faults.scenarios.nights import observe as observe_night
from bench.faults.scenarios.observe import Observed
from bench.faults.scenarios.scenario import Command, Run, Scenario, nightlane, repeat

RUNS = 6
"""Full-length runs of a promotion: two recipes with three seeds."""


def _write_promotion(root: Path, run: Run) -> None:
    """A night that kept a recipe, and its promotion, which was killed before its last full-length run."""
    write_small_study(root, run, lanes=ONLY_CURRICULUM, policy=PLAIN)
    study = root / "study" / "study.toml"
    study.write_text(study.read_text("utf-8").replace("decisions = 8", "probes = 16"), encoding="utf-8")
    require_success(run(nightlane("run", study, "--workspace", root, before=simulated(one_bad_order))))
    killed = run(_promote(root, before=die_at("finetune.promotion.promote", "complete_run", RUNS)))
    if killed.code != -signal.SIGKILL:
        raise RuntimeError(f"a promotion does not reach its last run: exit {killed.code}, {killed.stderr[-2000:]}")


def _promote(root: Path, **named: Any) -> Command:
    return nightlane("promote", root / "study" / "study.toml", "--steps", 1, "--workspace", root, **named)


def _observe(root: Path) -> Observed:
    """The night with the row of the promotion, the runs, and the report."""
    return {**observe_night(root), **run_files("runs/finetune-*", "runs/promotion-*")(root)}


PROMOTIONS = (Scenario("promote", _write_promotion, _promote, repeat(_promote), _observe, weight=1),)
