"""Whole nights under faults. The simulated runner plays waves and stacks that are kept, unconfirmed and retracted, A/A
tests, crashes and harvests; one more night trains a small model in a worker."""

import csv
import json
import re
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import agent.loop.start_or_resume.session
from agent.loop.harvest import HARVEST, REFUSED
from agent.loop.seeds import Seeds
from bench.faults.injection.supervisor import ProcessResult
from bench.faults.scenarios.observe import VARYING_COLUMNS, Observed, lines_of, read_tables, rows_of, without_times
from bench.faults.scenarios.scenario import Command, Run, Scenario, nightlane
from bench.faults.scenarios.small_model import make_small_model, with_small_model
from lanes import Recipe
from probes.inputs.prompts import Prompt
from probes.result.reading import Probe
from probes.run.store import ProbeStore
from testing.simulated_runner import AnsweringRunner, EffectWorld, SimulatedRunner
from testing.simulated_study import study_text, write_study

VARYING_FIELDS = {"time", "started", "seen", "finished", "seconds", "dollars"}
VARYING_FIELDS |= {"study_text", "study_path", "limits", "message"}
TABLES = ("sessions", "recipes", "proposals", "probes", "decisions", "checks")
DECISION_LINES = ("BASELINE", "KEEP", "DISCARD", "CRASH", "RETRACT", "END")
"""First words of the lines that must occur only once in progress.log; a resumed session may repeat other lines."""
PROBE = "steps = 20\nseeds = [42, 7]\nsamples = 2\n"
ONLY_CURRICULUM = "[lanes.curriculum]\n"
WITH_MIXTURE = ONLY_CURRICULUM + "[lanes.mixture]\n"
RETESTED = frozenset(islice(Seeds((42, 7), 0, 0).leave_one_out(), 20))
"""The training seeds with which a first session re-tests what it kept."""
PLAIN = "disguised = 0.0\nholdout_seeds = 0\n"
WITH_CHECKS = "disguised = 0.0\nholdout_seeds = 2\n"
Effect = Callable[[Recipe, str], float]


def by_order(recipe: Recipe, split: str) -> float:
    return {"easy_first": 2.0, "short_first": 1.5, "hard_first": -2.0}.get(recipe.curriculum, 0.0)


def _only_on_probe_prompts(recipe: Recipe, split: str) -> float:
    return by_order(recipe, split) * (1 if split == "probe" else -1)


def _by_order_and_source(recipe: Recipe, split: str) -> float:
    return by_order(recipe, split) + (1.0 if recipe.shares.get("broken", 0.0) < 0.4 else 0.0)


def _nothing(recipe: Recipe, split: str) -> float:
    return 0.0


class FadingWorld(EffectWorld):
    """A world in which a kept change turns out harmful under the seeds of its re-test."""

    def scores(self, probe: Probe, prompts: Sequence[Prompt]) -> list[list[float]] | None:
        if probe.seed not in RETESTED:
            return super().scores(probe, prompts)
        effect = self.effect(probe.recipe, probe.key.split)
        return EffectWorld(lambda *_: effect and -4 * effect, self.noise).scores(probe, prompts)


def simulated(
    effect: Effect,
    noise: float = 0.3,
    runner: type[SimulatedRunner] = SimulatedRunner,
    width: int = 1,
    kind_of_world: type[EffectWorld] = EffectWorld,
) -> Callable[[], None]:
    """A function that makes sessions use the simulated runner; training diverges with the order long_first."""

    def effect_or_divergence(recipe: Recipe, split: str) -> float | None:
        return None if recipe.curriculum == "long_first" else effect(recipe, split)

    def use() -> None:
        world = kind_of_world(effect_or_divergence, noise, f"faults {noise}")
        agent.loop.start_or_resume.session.open_runner = lambda study, workspace, *_: runner(
            study.material, ProbeStore(workspace.runs), world=world, width=width
        )

    return use


def night(
    name: str,
    effect: Effect,
    *,
    probes: int,
    policy: str = PLAIN,
    lanes: str = ONLY_CURRICULUM,
    more: str = "",
    noise: float = 0.3,
    runner: type[SimulatedRunner] = SimulatedRunner,
    width: int = 1,
    world: type[EffectWorld] = EffectWorld,
    nights: int = 1,
    seed: int = 0,
    weight: int = 6,
) -> Scenario:
    """A session of the simulated study, the last of ``nights`` in one workspace. ``more``: further sections."""
    use_world = simulated(effect, noise, runner, width, world)

    def prepare(root: Path, run: Run) -> None:
        text = study_text(probe=PROBE, lanes=lanes, policy=policy).replace("decisions = 8", f"probes = {probes}")
        write_study(root / "study", text + more)
        for _ in range(nights - 1):
            run(command(root))

    def command(root: Path) -> Command:
        study = root / "study" / "study.toml"
        return nightlane("run", study, "--workspace", root, "--seed", seed, before=use_world)

    def recover_night(root: Path, run: Run) -> Sequence[ProcessResult]:
        return recover(root, run, command, nights, use_world)

    return Scenario(name, prepare, command, recover_night, observe, reported_decisions, stored_decisions, weight=weight)


def recover(
    root: Path, run: Run, command: Callable[[Path], Command], nights: int = 1, before: Callable[[], None] | None = None
) -> Sequence[ProcessResult]:
    """Resume the session, or run it if it had not begun; both write its report. If it had ended, write only that,
    which the interruption may have prevented."""
    sessions = read_tables(root / "runs" / "ledger.sqlite", ["sessions"]).get("sessions", [])
    if sessions and sessions[-1]["finished"] is None:
        return [run(nightlane("resume", "--workspace", root, before=before))]
    if len(sessions) < nights:
        return [run(command(root))]
    return [run(nightlane("report", "--workspace", root))]


def reported_decisions(stderr: str) -> set[str]:
    return set(re.findall(r"^(\d{3} (?:BASELINE|KEEP|DISCARD|CRASH|RETRACT))\b", stderr, re.MULTILINE))


def stored_decisions(root: Path) -> set[str]:
    rows = read_tables(root / "runs" / "ledger.sqlite", ["decisions"]).get("decisions", [])
    return {f"{abs(int(str(row['turn']))):03d} {row['status']}" for row in rows}


def observe(root: Path) -> Observed:
    """All files and rows of a night, without times, and without refused harvests that were made up for later."""
    tables = read_tables(root / "runs" / "ledger.sqlite", TABLES)
    sessions = [str(row["id"]) for row in tables.get("sessions", [])]
    if checks := tables.get("checks"):
        harvested = {row["subject"] for row in checks if row["kind"] == HARVEST}
        made_up = [row for row in checks if row["kind"] == REFUSED and row["subject"] in harvested]
        tables["checks"] = [row for row in checks if row not in made_up]

    def text(row: dict[str, object]) -> str:
        fields = {name: value for name, value in row.items() if name not in VARYING_FIELDS}
        if isinstance(fields.get("row"), str):
            columns = json.loads(str(fields["row"]))
            fields["row"] = {name: value for name, value in columns.items() if name not in VARYING_COLUMNS}
        return without_times(json.dumps(fields, sort_keys=True), sessions)

    observed: dict[str, Sequence[str]] = {f"ledger {name}": list(map(text, rows)) for name, rows in tables.items()}
    observed["results.tsv"] = _results(root / "results.tsv", sessions)
    log = (line.split(" ", 3) for line in lines_of(root / "runs" / "progress.log", sessions))
    observed["progress.log"] = [" ".join(words) for words in log if len(words) > 2 and words[2] in DECISION_LINES]
    for path in sorted((root / "runs" / "rl_data").glob("*.jsonl")):
        observed[f"rl_data {path.name}"] = rows_of(path, sessions, ("time", "id"))
    for number, session in enumerate(sessions):
        report = root / "runs" / f"session-{session}" / "report.md"
        observed[f"report S{number}"] = ["not empty"] if report.exists() and report.stat().st_size else []
    return observed


def _results(path: Path, sessions: Sequence[str]) -> list[str]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", errors="replace", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    shown = [{str(name): value for name, value in row.items() if name not in VARYING_COLUMNS} for row in rows]
    return [without_times(json.dumps(row), sessions) for row in shown]


use_harvest_world = simulated(by_order, runner=AnsweringRunner)
NIGHTS = (
    night(
        "night with a harvest",
        by_order,
        probes=40,
        policy="disguised = 0.5\nholdout_seeds = 0\n",
        more="[harvest]\n",
        runner=AnsweringRunner,
    ),
    night("night that retracts on the holdout", _only_on_probe_prompts, probes=48, policy=WITH_CHECKS),
    night("night that leaves a KEEP out", by_order, probes=48, policy=WITH_CHECKS, world=FadingWorld),
    night("second night in a workspace", _by_order_and_source, probes=20, lanes=WITH_MIXTURE, nights=2),
    night("night of three workers and no gain", _nothing, probes=36, lanes=WITH_MIXTURE, noise=0.4, width=3, seed=8),
)


# a night that trains a model

REAL_SETTINGS = {
    'kind = "simulated"': 'kind = "resident"\nworkers = 1',
    "steps = 20": "steps = 3\nmax_new_tokens = 8",
}


def _prepare_real_night(root: Path, run: Run) -> None:
    text = study_text(probe=PROBE, lanes=ONLY_CURRICULUM, policy=PLAIN).replace("decisions = 8", "probes = 14")
    for simulated, real in REAL_SETTINGS.items():
        text = text.replace(simulated, real)
    write_study(root / "study", with_small_model(text))
    make_small_model(root / "study" / "model", run)


def _run_real_night(root: Path) -> Command:
    return nightlane("run", root / "study" / "study.toml", "--workspace", root)


REAL = Scenario(
    "real night",
    _prepare_real_night,
    _run_real_night,
    lambda root, run: recover(root, run, _run_real_night),
    observe,
    reported_decisions,
    stored_decisions,
    power_cuts=False,
    timeout=400.0,
)
