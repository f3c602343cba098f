"""Whole nights under faults, with the simulated runner: keeps, discards, a crash, retractions, a survey, a harvest."""

import csv
import json
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import agent.loop.start
from bench.faults.compare import Result
from bench.faults.scenario import Act, Run, Scenario, lines_of, nightlane, plain, rows_of, tables
from bench.faults.supervisor import Ended
from lanes import Recipe
from probes.inputs.prompts import Prompt
from probes.result.reading import Outcome, Probe, Reading
from probes.run.protocol import Listener
from probes.run.store import ProbeStore
from testing.simulated_runner import SimulatedRunner

VARIES = ("time", "session", "id", "probe_seconds", "tokens_per_second", "peak_gb", "cost_usd")
TIMES = ("time", "started", "seen", "finished", "seconds", "dollars", "study_text", "study_path", "limits", "message")
TABLES = ("sessions", "recipes", "proposals", "probes", "decisions", "checks")
TOLD = ("BASELINE", "KEEP", "DISCARD", "CRASH", "RETRACT", "END")
"""First words of the lines of progress.log that a night has once each; other notes may be said again."""

STUDY = """
name = "faults"
[model]
path = "none"
[recipe]
learning_rate = 1e-4
effective_batch = 4
mixture = "even"
[data.sources]
good = "good.jsonl"
broken = "broken.jsonl"
[data.manifests.even]
good = 1.0
broken = 1.0
[data.manifests.good_only]
good = 1.0
[prompts]
file = "prompts.jsonl"
[target]
category = "lists"
[guards]
arithmetic = 1.5
[probe]
steps = 20
seeds = [42, 7]
samples = 2
[lanes.curriculum]
{lanes}
[policy]
{policy}
[budget]
decisions = {decisions}
disk_gb = 0
[runner]
kind = "simulated"
{more}
"""
Effect = Callable[[Recipe, str], float]


def write_study(folder: Path, decisions: int, policy: str, lanes: str = "", more: str = "") -> None:
    """A study with eight pairs a source, and two prompts in each of two categories and three splits."""
    folder.mkdir(parents=True, exist_ok=True)
    text = STUDY.format(decisions=decisions, policy=policy, lanes=lanes, more=more)
    (folder / "study.toml").write_text(text, encoding="utf-8")
    for source in ("good", "broken"):
        rows = [
            {
                "prompt": f"# {name} with {number} ({source})\n",
                "chosen": f"def f(x):\n    return x * {number}\n",
                "rejected": f"def f(x):\n    return x - {number}\n",
                "difficulty": 1 + number,
            }
            for name in ("double", "negate")
            for number in range(4)
        ]
        write_rows(folder / f"{source}.jsonl", rows)
    prompts = [
        {
            "id": f"{split}-{category}-{number}",
            "split": split,
            "category": category,
            "difficulty": 1,
            "prompt": f"# {category} {number} for {split}\n",
            "checks": {"entry_point": "f", "cases": [{"args": [i], "expected": i * number} for i in range(4)]},
        }
        for split in ("probe", "harvest", "holdout")
        for category in ("arithmetic", "lists")
        for number in range(2)
    ]
    write_rows(folder / "prompts.jsonl", prompts)


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


class _World:
    """Of an effect that is known, and noise by seed and answer."""

    def __init__(self, effect: Effect, noise: float) -> None:
        self.effect, self.noise, self.identity = effect, noise, f"faults {noise}"

    def scores(self, probe: Probe, prompts: Sequence[Prompt]) -> list[list[float]] | None:
        if probe.recipe.curriculum == "long_first":
            return None
        chance = random.Random(f"{probe.recipe.digest} {probe.seed}")
        level = 5 + self.effect(probe.recipe, probe.key.split) + chance.gauss(0, self.noise)
        return [[level + chance.gauss(0, self.noise) for _ in range(probe.key.samples)] for _ in prompts]


class _Answering(SimulatedRunner):
    """Leaves answers behind as a model would, so that there is something to harvest."""

    base = None  # type: ignore[assignment]

    def _run_one(self, probe: Probe, listener: Listener) -> Outcome:
        outcome = super()._run_one(probe, listener)
        if isinstance(outcome, Reading):
            rows = [
                {
                    "prompt": score.prompt,
                    "sample": score.sample,
                    "category": score.category,
                    "score": score.value,
                    "components": {"pass": score.value / 10},
                    "critical": [],
                    "outcome": "SIMULATED",
                    "text": f"{probe.recipe.curriculum} {score.sample} says {score.value}",
                }
                for score in outcome.scores
            ]
            write_rows(self.store.directory(probe.id) / "answers.jsonl", rows)
        return outcome


def _orders(recipe: Recipe, split: str) -> float:
    return {"easy_first": 2.0, "short_first": 1.5, "hard_first": -2.0}.get(recipe.curriculum, 0.0)


def _one_is_good(recipe: Recipe, split: str) -> float:
    return {"easy_first": 2.0}.get(recipe.curriculum, -1.0)


def _only_on_probe_prompts(recipe: Recipe, split: str) -> float:
    return _orders(recipe, split) * (1 if split == "probe" else -1)


def _clashing(recipe: Recipe, split: str) -> float:
    """An order helps, and so does less of the broken source, which helps more where the order was left alone."""
    if recipe.shares.get("broken", 0.0) < 0.5:
        return 3.5 if recipe.curriculum == "shuffle" else 2.5
    return {"easy_first": 1.0, "short_first": 1.0}.get(recipe.curriculum, 0.0)


def _in_world(effect: Effect, noise: float = 0.3, answering: bool = False, width: int = 1) -> Callable[[], None]:
    """Puts the runner of a world in the place of every other."""

    def put() -> None:
        kind = _Answering if answering else SimulatedRunner
        agent.loop.start.open_runner = lambda study, workspace, *_: kind(
            study.material, ProbeStore(workspace.runs), world=_World(effect, noise), width=width
        )

    return put


def night(
    name: str,
    effect: Effect,
    decisions: int,
    policy: str,
    lanes: str = "",
    more: str = "",
    noise: float = 0.3,
    answering: bool = False,
    width: int = 1,
    nights: int = 1,
    weight: int = 6,
) -> Scenario:
    in_world = _in_world(effect, noise, answering, width)

    def prepare(root: Path, run: Run) -> None:
        write_study(root / "study", decisions, policy, lanes, more)
        for _ in range(nights - 1):
            run(act(root))

    def act(root: Path) -> Act:
        return nightlane("run", root / "study" / "study.toml", "--workspace", root, before=in_world)

    def goes_on(root: Path, run: Run) -> Sequence[Ended]:
        return go_on(root, run, act, nights, in_world)

    return Scenario(name, prepare, act, goes_on, observe, decided, held, weight=weight)


def go_on(
    root: Path, run: Run, act: Callable[[Path], Act], nights: int = 1, before: Callable[[], None] | None = None
) -> Sequence[Ended]:
    """resume; run where nothing was begun; and the report once more, which an end in the middle may have left out."""
    sessions = tables(root / "runs" / "ledger.sqlite", ["sessions"]).get("sessions", [])
    ends = []
    if sessions and sessions[-1]["finished"] is None:
        ends.append(run(nightlane("resume", "--workspace", root, before=before)))
    elif len(sessions) < nights:
        ends.append(run(act(root)))
    if ends and ends[-1].code:
        return ends
    return [*ends, run(nightlane("report", "--workspace", root))]


def decided(errors: str) -> set[str]:
    """Numbers of the decisions that were told on the terminal."""
    return set(re.findall(r"^(\d{3} (?:BASELINE|KEEP|DISCARD|CRASH|RETRACT))\b", errors, re.MULTILINE))


def held(root: Path) -> set[str]:
    rows = tables(root / "runs" / "ledger.sqlite", ["decisions"]).get("decisions", [])
    return {f"{abs(int(str(row['turn']))):03d} {row['status']}" for row in rows}


def observe(root: Path) -> Result:
    """Everything that a night leaves, without times."""
    found = tables(root / "runs" / "ledger.sqlite", TABLES)
    sessions = [str(row["id"]) for row in found.get("sessions", [])]

    def text(row: dict[str, object]) -> str:
        kept = {name: value for name, value in row.items() if name not in TIMES}
        if isinstance(kept.get("row"), str):
            told = json.loads(str(kept["row"]))
            kept["row"] = {name: value for name, value in told.items() if name not in VARIES}
        return plain(json.dumps(kept, sort_keys=True), sessions)

    result: dict[str, Sequence[str]] = {f"ledger {name}": list(map(text, rows)) for name, rows in found.items()}
    result["results.tsv"] = _table(root / "results.tsv", sessions)
    log = lines_of(root / "runs" / "progress.log", sessions)
    result["progress.log"] = [line for line in log if len(words := line.split(" ", 3)) > 2 and words[2] in TOLD]
    for path in sorted((root / "runs" / "rl_data").glob("*.jsonl")):
        result[f"rl_data {path.name}"] = rows_of(path, sessions, ("time", "id"))
    for place, name in enumerate(sessions):
        report = root / "runs" / f"session-{name}" / "report.md"
        result[f"report S{place}"] = ["there"] if report.exists() and report.stat().st_size else []
    return result


def _table(path: Path, sessions: Sequence[str]) -> list[str]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", errors="replace", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    kept = [{str(name): value for name, value in row.items() if name not in VARIES} for row in rows]
    return [plain(json.dumps(row), sessions) for row in kept]


in_harvest_world = _in_world(_orders, answering=True)
NIGHTS = (
    night(
        "night with a harvest",
        _orders,
        5,
        "disguised = 0.3\nholdout_seeds = 0\nsurvey = 0",
        more="[harvest]",
        answering=True,
    ),
    night("night that retracts on the holdout", _only_on_probe_prompts, 4, "disguised = 0.0\nsurvey = 0"),
    night(
        "night that leaves a KEEP out",
        _clashing,
        4,
        "disguised = 0.0\nsurvey = 0",
        lanes="[lanes.mixture]",
        noise=0.1,
    ),
    night("second night in a workspace", _orders, 2, "disguised = 0.0\nholdout_seeds = 0\nsurvey = 0", nights=2),
    night(
        "night in rounds of three with a survey",
        _one_is_good,
        5,
        "disguised = 0.0\nround = 3\nholdout_seeds = 0",
        width=3,
    ),
)
