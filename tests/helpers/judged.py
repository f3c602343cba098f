"""Judged sessions: a study of a random tiny model whose answers a scripted judge scores."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest
import trained_once
from nights import Step, trying
from rich.console import Console

from agent.ledger.tables import DecisionRow
from agent.loop.session_log import Watcher
from agent.loop.start_or_resume.session import Overrides, begin, resume
from agent.policy import night
from agent.policy.search_parts import SearchParts
from agent.study.load import load_study
from agent.workspace.folder import Workspace
from probes.endpoint import retry as patience
from probes.endpoint.spending import Allowance
from probes.inputs.material import Material
from probes.result.reading import Outcome, Probe
from probes.run import execute
from probes.run.protocol import Listener, OnOutcome, ignore_outcome
from probes.run.store import ProbeStore
from probes.run.worker import environment
from testing import simulated_study
from testing.scripted_endpoint.server import MODEL, ScriptedEndpoint
from view.report.report import write_report
from view.terminal.live import PlainWatcher, watching

RUBRIC = """
component = [{ name = "voice", weight = 3, definition = "v" }, { name = "sense", weight = 1, definition = "s" }]
critical = [{ name = "empty", definition = "nothing", cap = 0 }]
"""
CALIBRATION: list[dict[str, Any]] = [
    {"id": "good", "category": "arithmetic", "prompt": "Why?", "answer": "Since it is so.", "low": 7, "high": 10},
    {"id": "bad", "category": "arithmetic", "prompt": "Why?", "answer": "Dunno.", "low": 0, "high": 4},
    {"id": "middling", "category": "lists", "prompt": "How?", "answer": "Somehow, I think.", "low": 3, "high": 7},
]
STUDY = """
name = "judged"
[model]
path = "model"
[recipe]
objective = "orpo"
learning_rate = 1e-3
beta = 0.1
lora_rank = 4
lora_alpha = 8
effective_batch = 2
max_length = 64
mixture = "good"
[data.sources]
good = "good.jsonl"
broken = "broken.jsonl"
[data.manifests.good]
good = 1.0
[prompts]
file = "prompts.jsonl"
[scorer]
kind = "judge"
calibration = "calibration.jsonl"
timeout = 1.0
%s
[target]
category = "lists"
[guards]
arithmetic = 9.0
[probe]
steps = 2
seeds = [1, 2]
samples = 2
temperature = 1.5
max_new_tokens = 8
[lanes.hyperparameters]
share = 1.0
learning_rate = { low = 1e-4, high = 1e-1, factor = 10.0 }
[policy]
must_see = 10.0
confirming_seeds = 4
disguised = 0.0
holdout_seeds = 0
[budget]
decisions = 2
probes = 20
%s
[runner]
workers = 1
threads = 1
"""


def write_study(folder: Path, scorer: str = "", budget: str = "") -> Path:
    """Write the study beside the tiny model in ``folder``."""
    (folder / "rubric.toml").write_text(RUBRIC, encoding="utf-8")
    simulated_study.write_jsonl(folder / "calibration.jsonl", CALIBRATION)
    path = folder / "study.toml"
    path.write_text(STUDY % (scorer, budget), encoding="utf-8")
    return path


@contextmanager
def judge(folder: Path, monkeypatch: pytest.MonkeyPatch, key: str = "", **more: Any) -> Iterator[ScriptedEndpoint]:
    """A scripted judge that knows the calibration set; the environment of this process and its workers points to it."""
    script = {"judge": "words", "known": str(folder / "calibration.jsonl"), **more}
    with ScriptedEndpoint([script], key=key) as endpoint:
        for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_MODEL"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("OPENAI_JUDGE_BASE_URL", endpoint.base_url)
        monkeypatch.setenv("OPENAI_JUDGE_MODEL", MODEL)
        monkeypatch.setattr(patience, "FIRST_WAIT", 0.1)
        yield endpoint


class RunnerHere:
    """A Runner that trains and scores in this process, with the parts of a worker. A probe that another session of this
    process has trained and answered is reused."""

    base = None
    width = 1
    workers = ()
    about = "in this process"

    def __init__(self, material: Material, runs: Path) -> None:
        self._bench, self._store = trained_once.Workbench(material, "cpu", {}), ProbeStore(runs)
        self.environment = environment("cpu", 1)

    def run(
        self,
        batch: Sequence[Probe],
        listener: Listener,
        keep: OnOutcome = ignore_outcome,
        allowance: Allowance | None = None,
    ) -> list[Outcome]:
        outcomes = []
        for probe in batch:
            outcomes += execute.measure(self._bench, [probe], self._store.directory, listener, allowance)
            keep(probe, outcomes[-1])
        return outcomes

    def close(self) -> None:
        self._bench.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def run_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make sessions train in this process."""
    monkeypatch.setattr(execute, "_Group", trained_once.Group)
    monkeypatch.setattr(
        "agent.loop.start_or_resume.session.open_runner", lambda study, where, _: RunnerHere(study.material, where.runs)
    )


class Watching(PlainWatcher):
    """Calls a function once, after so many decisions."""

    def __init__(self, act: Callable[[], None], after: int) -> None:
        super().__init__(Console(stderr=True))
        self._act, self._after = act, after

    def decided(self, decision: DecisionRow) -> None:
        super().decided(decision)
        if decision.turn == self._after:
            self._act()


def play(
    study: Path,
    workspace: Path,
    watcher: Watcher | None = None,
    step: Step = night.next_step,
    seed: int = 0,
    **overrides: Any,
) -> str:
    """Play a session. ``step``: decides what the night does next."""
    where, parts = Workspace(workspace), SearchParts(next_step=step)
    with watching() as usual:
        given = Overrides(**overrides)
        return begin(load_study(study), where, given, watcher or usual, write_report, seed=seed, parts=parts)


LOWER = trying(("learning_rate", 0.0), pairs=3)
HIGHER = trying(("learning_rate", 2.0), pairs=3)
"""Plans that confirm a lower or a higher learning rate, whether it helps or not."""


def go_on(workspace: Path) -> str:
    with watching() as watcher:
        return resume(Workspace(workspace), None, Overrides(), watcher, write_report)


def log_of(workspace: Path) -> str:
    return (workspace / "runs" / "progress.log").read_text(encoding="utf-8")


def gist(workspace: Path) -> list[tuple[Any, ...]]:
    """The rows of results.tsv without times and costs."""
    rows = [line.split("\t") for line in (workspace / "results.tsv").read_text(encoding="utf-8").splitlines()]
    kept = [place for place, name in enumerate(rows[0]) if name not in VARIES]
    return [tuple(row[place] for place in kept) for row in rows]


VARIES = ("time", "session", "id", "probe_seconds", "tokens_per_second", "peak_gb", "cost_usd")


def rewritten(endpoint: ScriptedEndpoint, **changes: Any) -> None:
    """Change the judge from now on."""
    endpoint.replies[-1] = type(endpoint.replies[-1]).model_validate(
        json.loads(endpoint.replies[-1].model_dump_json()) | changes
    )
