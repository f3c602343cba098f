"""Trains the plan and keeps the directory of every probe; probes that exist are not trained again."""

import gzip
import json
import platform
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from agent.study.load import Study
from bench.recorded.plan import PLAN, Planned, seed, write_study
from probes.inputs.settings import RunnerSettings
from probes.result.reading import Failure, Outcome, Probe, ProbeKey
from probes.run.local_workers import ResidentRunner
from probes.run.store import ProbeStore

DIGITS = 3  # decimals of seconds and gigabytes
TWO = RunnerSettings(workers=2, threads=1, deadline=300.0)
Recorded = dict[tuple[str, str], list[Outcome]]
"""The outcomes by recipe name and split, in the order of their seeds; missing ones are left out."""


def record(folder: Path) -> tuple[Study, ProbeKey, Recorded]:
    """Train what is missing of the plan; ``folder`` keeps the study and the probes."""
    runs = folder / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    study, store = write_study(folder), ProbeStore(runs)
    study.check_material()
    with ResidentRunner(study.material, TWO, runs) as runner:
        key = study.material.key(runner.environment)
        probes = planned(study, key)
        todo = [probe for probe in probes.values() if store.get(probe) is None]
        print(f"{len(probes)} probes, {len(todo)} to train", file=sys.stderr, flush=True)
        told = _Storing(len(todo), store)
        runner.run(todo, lambda _: None, told)
    return study, key, gathered(probes, store)


def planned(study: Study, key: ProbeKey) -> dict[tuple[str, str, int], Probe]:
    """The probes of the plan by recipe name, split and index: all recipes with one seed, then with the next."""
    wanted = [
        (one, split, index)
        for split in ("probe", "holdout")
        for one in PLAN
        for index in range(one.holdout if split == "holdout" else one.probe)
    ]
    wanted.sort(key=lambda item: item[2])
    return {
        (one.name, split, index): Probe(one.recipe(study), replace(key, split=split), seed(split, index))
        for one, split, index in wanted
    }


def gathered(probes: dict[tuple[str, str, int], Probe], store: ProbeStore) -> Recorded:
    """The existing outcomes."""
    found: Recorded = {}
    for (name, split, _), probe in probes.items():
        outcome = store.get(probe)
        if outcome is not None:
            found.setdefault((name, split), []).append(outcome)
    return found


def versions(key: ProbeKey) -> str:
    """The software and the machine of the readings."""
    return f"python={platform.python_version()} {key.environment}"


def when(runs: Path) -> tuple[str, str]:
    """The ends of the first and the last probe, in UTC."""
    ended = sorted(path.stat().st_mtime for path in runs.glob("probe-*/outcome.json"))
    first, last = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment)) for moment in (ended[0], ended[-1]))
    return first, last


def write(path: Path, study: Study, key: ProbeKey, recorded: Recorded, when: tuple[str, str]) -> None:
    """Write the pool's file. It is deterministic: the same readings give the same bytes."""
    marks: dict[str, int] = {}
    outcomes: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for (name, split), found in sorted(recorded.items()):
        ordered = sorted(found, key=lambda outcome: outcome.seed)
        outcomes.setdefault(name, {})[split] = [_row(outcome, marks) for outcome in ordered]
    content = {
        "recorded": when,
        "versions": versions(key),
        "study": study.text,
        "key": asdict(key),
        "recipes": {one.name: _planned(one, study) for one in PLAN},
        "prompts": {
            split: [(prompt.id, prompt.category) for prompt in study.material.prompts_of(split)]
            for split in ("probe", "holdout")
        },
        "marks": [json.loads(mark) for mark in marks],
        "outcomes": outcomes,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(json.dumps(content, separators=(",", ":")).encode(), mtime=0))


def _planned(one: Planned, study: Study) -> dict[str, Any]:
    before = study.lanes.knob(one.knob).read(study.start) if one.knob else ""
    recipe = one.recipe(study).model_dump(mode="json")
    return {"knob": one.knob, "before": before, "after": one.value, "recipe": recipe}


def _row(outcome: Outcome, marks: dict[str, int]) -> dict[str, Any]:
    if isinstance(outcome, Failure):
        return {"seed": outcome.seed, "failure": {"kind": outcome.kind, "message": outcome.message}}
    if outcome.missing:
        raise ValueError(f"probe {outcome.probe} has answers without a score; the pool has no place for them")
    texts = [json.dumps([s.value, dict(s.components), list(s.critical), s.outcome]) for s in outcome.scores]
    timing = [round(part, DIGITS) for part in asdict(outcome.timing).values()]
    return {
        "seed": outcome.seed,
        "scores": [marks.setdefault(text, len(marks)) for text in texts],
        "final": {name: float(f"{value:.6g}") for name, value in outcome.final.items()},
        "timing": timing,
        "tokens": outcome.tokens,
        "peak_gb": round(outcome.peak_gb, DIGITS),
    }


class _Storing:
    """Stores each outcome as it arrives, and prints the progress."""

    def __init__(self, number: int, store: ProbeStore) -> None:
        self.number, self.store, self.done, self.began = number, store, 0, time.monotonic()

    def __call__(self, probe: Probe, outcome: Outcome) -> None:
        self.store.put(probe, outcome)
        self.done += 1
        took = time.monotonic() - self.began
        print(f"{self.done} of {self.number} in {took:.0f} s: {type(outcome).__name__}", file=sys.stderr, flush=True)
