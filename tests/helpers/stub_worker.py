"""A worker that speaks the protocol of probes/run/worker.py and loads no model, told what to do by a script."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from common.errors import BadInput
from probes.result.reading import Failure, Outcome, Probe, Reading, Timing
from probes.run.failures import FailureKind
from probes.run.protocol import Progress
from probes.run.worker import Ready

ALIKE = "cpu-x86_64 threads=1 python=3.11.9 torch=2.13.0"


@dataclass(frozen=True)
class Script:
    """By worker number: ``deaths``, how many of its processes end before they are ready, ``idle``: right after;
    ``environments``. ``holds``: a probe under this seed is not answered until the folder has a file ``go``. ``fails``:
    by seed, the kind of failure of each try. ``refuses``: worker 0 does. ``mixed``: it answers for another probe."""

    folder: Path
    deaths: Mapping[int, int] = field(default_factory=dict)
    idle: Mapping[int, int] = field(default_factory=dict)
    environments: Mapping[int, str] = field(default_factory=dict)
    holds: tuple[int, ...] = ()
    fails: Mapping[int, tuple[FailureKind, ...]] = field(default_factory=dict)
    refuses: bool = False
    mixed: int = 0
    bulk: str = ""

    def count(self, name: str) -> int:
        """How often this was called for a name, across processes."""
        with (self.folder / name).open("a", encoding="utf-8") as stream:
            stream.write("x")
        return self.counted(name)

    def counted(self, name: str) -> int:
        path = self.folder / name
        return len(path.read_text(encoding="utf-8")) if path.exists() else 0


def serve(pipe: Connection, runs: Path, number: int, *_: object) -> None:
    script: Script = pipe.recv()
    started = script.count(f"starts-{number}")
    if script.refuses and number == 0:
        pipe.send(("refused", BadInput("the base is none")))
        return
    if started <= script.deaths.get(number, 0):
        return
    pipe.send(("ready", Ready(script.environments.get(number, ALIKE), "stub")))
    if started > script.idle.get(number, 0):
        answer(pipe, script)


def dead(*_: object) -> None:
    """A worker that is gone before it reads anything."""
    os._exit(1)


def answer(pipe: Connection, script: Script) -> None:
    while True:
        try:
            (probe,), _ = pipe.recv()
            pipe.send(("progress", Progress(probe.id, "training", 1, probe.key.steps)))
            while probe.seed in script.holds and not (script.folder / "go").exists():
                time.sleep(0.01)
            name = probe.id
            if script.mixed and script.count("mixed") <= script.mixed:
                name = "another"
            pipe.send(("done", [(name, outcome(script, probe))]))
        except (EOFError, OSError):
            return


def outcome(script: Script, probe: Probe) -> Outcome:
    """A reading that names the process."""
    tries = script.count(f"tries-{probe.seed}")
    kinds = script.fails.get(probe.seed, ())
    if tries <= len(kinds):
        return Failure(probe.id, probe.seed, kinds[tries - 1], "as the script says")
    final, timing = {"process": float(os.getpid())}, Timing(0.0, 0.0, 0.0, 0.0)
    return Reading(
        probe=probe.id,
        recipe=probe.recipe.digest,
        key=probe.key,
        seed=probe.seed,
        scores=(),
        final=final,
        timing=timing,
        tokens=0,
        peak_gb=0.0,
    )
