"""A study with a small model, and its full-length runs as they lie on the disk."""

import json
import os
import signal
from collections.abc import Callable
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bench.faults.scenarios.commands.material import RULES
from bench.faults.scenarios.observe import Observed, without_times
from bench.faults.scenarios.scenario import Command, Run, nightlane
from bench.faults.scenarios.small_model import make_small_model, with_small_model
from common.digests import file_digest, require_own_digest
from testing.simulated_study import study_text, write_study

PROBE = "steps = 20\nseeds = [42, 7]\nsamples = 1\nmax_new_tokens = 8\n"
VARYING = {
    "seconds",
    "seconds_left",
    "wall_seconds",
    "tokens_per_second",
    "memory_gb",
    "resumed",  # an interrupted run may resume from a later checkpoint
    "sha256",  # of a record that has the keys above
}


def write_small_study(root: Path, run: Run, **sections: Any) -> None:
    """A study that scores texts without a judge. Its libraries are imported here, so that every fork has them."""
    for name in ("probes.train.trl", "peft"):
        import_module(name)
    text = with_small_model(study_text(probe=PROBE, **sections))
    write_study(root / "study", text.replace("[target]", '[scorer]\nkind = "rules"\n[target]'))
    (root / "study" / "rules.toml").write_text(RULES, encoding="utf-8")
    make_small_model(root / "study" / "model", run)


def train(root: Path, output: str, *more: object, **named: Any) -> Command:
    """A full-length run of that study, in the folder ``output``."""
    study = root / "study" / "study.toml"
    return nightlane("finetune", study, "--output", root / output, *more, "--workspace", root, **named)


def die_at(module: str, name: str, call: int) -> Callable[[], None]:
    """A function that makes a command kill its own process at call number ``call`` of a function."""

    def prepare() -> None:
        owner, calls = import_module(module), count(1)
        original = getattr(owner, name)

        def called(*arguments: Any) -> Any:
            if next(calls) == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments)

        patch.object(owner, name, called).start()

    return prepare


def run_files(*patterns: str) -> Callable[[Path], Observed]:
    """Observes folders: the rows of their records without times, and the digests of all other files."""

    def observe(root: Path) -> Observed:
        paths = (path for pattern in patterns for folder in root.glob(pattern) for path in folder.rglob("*"))
        return {str(path.relative_to(root)): _content(path, root) for path in sorted(paths) if path.is_file()}

    return observe


def _content(path: Path, root: Path) -> list[str]:
    if path.suffix not in (".json", ".jsonl"):
        return [file_digest(path)]
    text = without_times(path.read_text(encoding="utf-8").replace(str(root), "ROOT"))
    rows = text.splitlines() if path.suffix == ".jsonl" else [text]
    return [json.dumps(_without_figures_of_time(json.loads(row)), sort_keys=True) for row in rows]


def _without_figures_of_time(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_figures_of_time(own) for name, own in value.items() if name not in VARYING}
    return [_without_figures_of_time(own) for own in value] if isinstance(value, list) else value


def is_whole(folder: Path, record: str) -> bool:
    """Whether every file of a folder has the digest in the folder's ``record``."""
    try:
        text = (folder / record).read_text(encoding="utf-8")
        require_own_digest(text)
        return all(file_digest(folder / name) == digest for name, digest in json.loads(text)["files"].items())
    except (OSError, ValueError):
        return False
