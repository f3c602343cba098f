"""Sessions over recorded readings: the decisions of the session code on four mutations with known effects.

    python -m bench.recorded repeat [--repetitions 20]

Each repetition draws its training seeds from the pool without replacement. Its lanes have only the four mutations,
which were recorded one at a time. The reading of a wave's or a stack's recipe that joins several of them is the
recorded reading of one plus the mean effects of the others (bench/recorded/pool.py).
"""

import json
import tempfile
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from agent.ledger.results.rows import value_of
from agent.ledger.store import Ledger
from agent.ledger.tables import DecisionRow
from agent.loop.start_or_resume.session import Overrides, begin
from agent.study.load import Study, parse_study
from agent.workspace.folder import Workspace
from bench.recorded.plan import PLAN
from bench.recorded.pool import Pool, PoolRunner
from lanes import Value
from probes.result.reading import Probe
from probes.run.protocol import Progress

PROPOSED = ("null", "breaker", "diverging", "helper")
WANTED = {"helper": (16, 20), "null": (0, 1), "breaker": (0, 0), "diverging": (0, 0)}
"""The smallest and the largest acceptable number of KEEPs in 20 repetitions."""
PROBES = 40


class Silent:
    """A watcher that prints nothing."""

    def progress(self, progress: Progress) -> None: ...

    def note(self, text: str) -> None: ...

    def examining(self, done: int, total: int) -> None: ...

    def measuring(self, title: str, probes: Sequence[Probe]) -> None: ...

    def decided(self, decision: DecisionRow) -> None: ...


@dataclass(frozen=True, slots=True)
class Repetition:
    """The last decision on each mutation, what was kept, and the retractions at the end."""

    reasons: Mapping[str, str]
    kept: tuple[str, ...]
    retracted: int
    probes: int


def repeat(pool: Pool, repetitions: int) -> list[Repetition]:
    return [_one(pool, number) for number in range(repetitions)]


def _one(pool: Pool, number: int) -> Repetition:
    names: dict[tuple[str, Value], str] = {(one.knob, one.value): one.name for one in PLAN}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        begin(
            _study(folder, pool),
            Workspace(folder),
            Overrides(),
            Silent(),
            lambda workspace, session: workspace.session(session),
            seed=number,
            start_from="study",
            runner=PoolRunner(pool, number),
        )
        with Ledger(folder / "runs" / "ledger.sqlite", read_only=True) as ledger:
            proposed = {row.id: names.get((row.knob, value_of(row.after)), "back") for row in ledger.proposals()}
            decisions = ledger.decisions("WHERE turn > 0")
            return Repetition(
                {proposed[row.id]: row.reason for row in decisions},
                tuple(proposed[row.id] for row in decisions if row.status == "KEEP"),
                len(ledger.decisions("WHERE status = 'RETRACT'")),
                len(ledger.probes(ledger.sessions()[0])),
            )


def _study(folder: Path, pool: Pool) -> Study:
    """Write the recorded study with its prompts, and placeholders for its sources, since nothing is trained."""
    checks = {"entry_point": "f", "cases": [{"args": [1], "expected": 1}]}
    (folder / "build").mkdir()
    rows = [
        {"id": name, "split": split, "category": category, "prompt": f"{split} {name}", "checks": checks}
        for split in ("probe", "holdout")
        for name, category in pool.prompts(split)
    ]
    (folder / "build" / "prompts.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    text = tomli_w.dumps(_settings(pool))
    study = parse_study(folder / "study.toml", text)
    for name, file in study.file.data.sources.items():
        row = {"prompt": f"for {name}", "chosen": "a", "rejected": "b"}
        (folder / file).write_text(f"{json.dumps(row)}\n", encoding="utf-8")
    (folder / "study.toml").write_text(text, encoding="utf-8")
    return study


def _settings(pool: Pool) -> dict[str, Any]:
    """The recorded study with lanes of the planned values alone, and without A/A tests, which need twice the seeds."""
    settings = tomllib.loads(pool.study_text)
    del settings["lab"]
    lanes: dict[str, Any] = {"hyperparameters": {}, "mixture": {}}
    for one in PLAN:
        if one.name in PROPOSED:
            lane = "mixture" if one.knob == "manifest" else "hyperparameters"
            start = settings["recipe"]["mixture" if one.knob == "manifest" else one.knob]
            lanes[lane].setdefault(one.knob, {"choices": [start]})["choices"].append(one.value)
    return settings | {
        "lanes": lanes,
        "policy": {"disguised": 0.0, "holdout_seeds": 2},
        "budget": {"probes": PROBES, "disk_gb": 0.0},
        "proposer": {"kind": "optuna"},
        "runner": {"kind": "simulated"},
    }


def markdown(found: Sequence[Repetition]) -> str:
    kept = Counter(name for one in found for name in one.kept)
    lines = ["| mutation | decided on | kept | target of 20 | reasons |", "|---|---:|---:|---|---|"]
    for name in PROPOSED:
        reasons = Counter(one.reasons[name] for one in found if name in one.reasons)
        low, high = WANTED[name]
        said = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
        lines.append(f"| {name} | {sum(reasons.values())} | {kept[name]} | {low} to {high} | {said} |")
    probes = sum(one.probes for one in found) / len(found)
    back = sum(one.retracted for one in found)
    return "\n".join(
        [*lines, "", f"{len(found)} repetitions, {probes:.0f} probes each; {back} KEEPs retracted at the end."]
    )
