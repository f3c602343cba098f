"""A workspace with full-length runs in every state, a probe that was trained, and rows in all four stores."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tiny
from some_rows import TIME, pair, reward, stores

from agent.workspace.folder import Workspace
from common.files import locked
from finetune.manifest import Manifest, RunStatus, TrainedOn, write_manifest
from finetune.start import RunStart, write_start
from preferences.store.annotations import Certification, Vote, text_digest
from preferences.store.provenance import Provenance, TextOrigin
from probes.result.reading import Probe, ProbeKey, Reading, Score, Timing
from probes.run.store import ProbeStore
from testing.workspace_files import write_curve

SCRIPT = "return 1  # </pre><script>alert(1)</script>"
NOTE = "NameError: name 'x' is not defined"
DRIFTED, SCRIPTED = 3, 4
"""Numbers of DPO rows: one that the topic layer refused, one with a script in its answer."""


def make(root: Path) -> Workspace:
    workspace = Workspace(root)
    workspace.prepare()
    run(workspace.runs / "finetune-0a1b2c3d4e5f", 40, 40, "COMPLETE")
    run(root / "collapsed", 40, 12, "FAILED", why="the loss is nan at step 12")
    run(root / "interrupted", 40, 20, "STOPPED", why="interrupted by Ctrl-C")
    run(root / "cut-off", 40, 7, None)
    _rows(workspace.runs, _probe(workspace))
    return workspace


def run(folder: Path, steps: int, done: int, status: RunStatus | None, why: str = "") -> None:
    """Write a full-length run that has reached step ``done``; if ``status`` is None, without a record of its end."""
    folder.mkdir(parents=True)
    recipe = tiny.recipe()
    start = RunStart(
        study="microcoder",
        origin="a test",
        recipe=recipe.digest,
        objective="dpo",
        seed=42,
        steps=steps,
        base="77aa",
        data={"good": "11"},
        environment="cpu",
        rows_at_once=4,
        gradient_checkpointing=False,
        unreviewed=False,
        save_every=10,
        spot_check=24,
        model="Qwen/Qwen3-4B",
        epochs=2.0,
    )
    write_start(folder, start, recipe)
    write_curve(folder, range(1, done + 1), steps)
    check = {"mean": 5.5, "step": 0, "answers": [{"prompt": "p", "category": "lists", "text": "x", "score": 5.5}]}
    (folder / "spot_checks.jsonl").write_text(json.dumps(check) + "\n", encoding="utf-8")
    if status is not None:
        source = TrainedOn("good", "good.jsonl", "11", 32, 160, "own", ())
        write_manifest(
            folder,
            Manifest(
                study="microcoder",
                recipe=recipe.digest,
                origin="a test",
                seed=42,
                steps=steps,
                sources=(source,),
                base="77aa",
                final={"loss": 0.5},
                seconds=30.0,
                tokens=900,
                files={},
                status=status,
                done=done,
                why=why,
                epochs=2.0 * done / steps,
                wall_seconds=75.0,
            ),
        )


@contextmanager
def training(root: Path, name: str = "tonight") -> Iterator[Path]:
    """A run that seems to train until the block ends: it holds the lock of its folder."""
    folder = root / name
    run(folder, 40, 5, None)
    with locked(folder):
        yield folder


def _probe(workspace: Workspace) -> str:
    """A probe that answered the prompt of a row, with the scorer's note; returns its id."""
    store, recipe = ProbeStore(workspace.runs), tiny.recipe()
    key = ProbeKey(steps=12, base="base", data="data", prompts="prompts", scorer="scorer", samples=1, environment="cpu")
    probe = Probe(recipe, key, 7)
    folder = store.directory(probe.id)
    folder.mkdir()
    write_curve(folder, range(1, 13), 12)
    answer = {"prompt": "harvest-4", "sample": 0, "text": "return 2", "outcome": "NAME_ERROR", "note": NOTE}
    (folder / "answers.jsonl").write_text(json.dumps(answer) + "\n", encoding="utf-8")
    scores = (Score("p", 0, "lists", 6.0, {}),)
    timing = Timing(1.0, 0.5, 0.1, 1.7)
    final = {"loss": 0.5, "token_accuracy": 0.9}
    store.put(
        probe,
        Reading(
            probe=probe.id,
            recipe=recipe.digest,
            key=probe.key,
            seed=7,
            scores=scores,
            final=final,
            timing=timing,
            tokens=10,
            peak_gb=0.0,
        ),
    )
    return probe.id


def _rows(runs: Path, probe: str) -> None:
    made = stores(runs)
    made.add([pair(number) for number in range(30) if number != SCRIPTED])
    figures = {"correct": 9.0, "brief": 4.0}
    sides = (
        TextOrigin("sampled", bar="rubric", figures=figures),
        TextOrigin("sampled", probe=probe, sample=0, critical=("leaks the answer",)),
    )
    scripted = pair(
        SCRIPTED,
        texts=(SCRIPT, "return 2"),
        category="lists",
        source="web",
        provenance=Provenance(sides, "s1", "s1-001", "harvest-4", "k"),
    )
    made.add([scripted, pair(1, "preference", scores=(None, None)), pair(2, "orpo"), reward(1), reward(2)])
    drifted = pair(DRIFTED)
    layers = [{"layer": "topic", "passed": False, "figures": {}, "failing": "0.80 near to 'another prompt'"}]
    receipt = json.dumps({"gate": "text", "certified": False, "receipts": layers})
    made.certify([Certification(drifted.id, text_digest(drifted.texts[0]), receipt, TIME)])
    made.vote([Vote(pair(5).id, "up", "ann", TIME), Vote(pair(6).id, "drop", "ann", TIME)])
