"""A worker that follows a script: it speaks the protocol of probes/run/worker.py without loading a model."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

from common.errors import BadInput
from probes.inputs.settings import MemorySettings
from probes.result.reading import Failure, Outcome, Probe, Reading, Timing
from probes.run.failures import FailureKind
from probes.run.protocol import Progress
from probes.run.worker import Ready

ALIKE = "cpu-x86_64 threads=1 python=3.11.9 torch=2.13.0"


@dataclass(frozen=True)
class Script:
    """What the workers do.

    By the number of a worker: ``deaths``: how many of its processes end before they are ready. ``idle``: how many end
    right after they are ready; if ``holds`` is set, they become ready only after another worker holds a probe.
    ``environments``: the environment that it reports. ``broken``: what happens to each of its probes: its process ends,
    or its device fails; the other workers then take a twentieth of a second for a probe.

    By the seed of a probe: ``holds``: these are answered only when the folder has a file ``go``. ``fails``: the kind of
    failure of each attempt. ``kills``: these end every worker.

    ``refuses``: worker 0 refuses its material. ``mixed``: how many answers name the wrong probe. ``room``: a probe with
    more rows at once runs out of memory. ``downloads``: how often a worker reports, every tenth of a second, that it
    downloads the base. ``seconds``: the time of a probe.
    """

    folder: Path
    deaths: Mapping[int, int] = field(default_factory=dict)
    idle: Mapping[int, int] = field(default_factory=dict)
    environments: Mapping[int, str] = field(default_factory=dict)
    holds: tuple[int, ...] = ()
    fails: Mapping[int, tuple[FailureKind, ...]] = field(default_factory=dict)
    refuses: bool = False
    mixed: int = 0
    room: int = 1_000_000
    downloads: int = 0
    broken: Mapping[int, Literal["ends", "device"]] = field(default_factory=dict)
    kills: tuple[int, ...] = ()
    bulk: str = ""
    seconds: float = 0.0

    def count(self, name: str) -> int:
        """Increment the counter ``name``, which all processes share; returns its new value."""
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
    while script.holds and number in script.idle and not (script.folder / "held").exists():
        time.sleep(0.01)
    for _number in range(script.downloads):
        pipe.send(("downloading", None))
        time.sleep(0.1)
    pipe.send(("ready", Ready(script.environments.get(number, ALIKE), "stub")))
    if started > script.idle.get(number, 0):
        answer(pipe, script, number)


def dead(*_: object) -> None:
    """A worker that dies before it reads anything."""
    os._exit(1)


def answer(pipe: Connection, script: Script, number: int) -> None:
    while True:
        try:
            probes, _, memory = pipe.recv()
            for probe in probes:
                if not measured(pipe, script, number, probe, memory):
                    return
        except (EOFError, OSError):
            return


def measured(pipe: Connection, script: Script, number: int, probe: Probe, memory: MemorySettings) -> bool:
    """Whether the worker lives after this probe."""
    pipe.send(("progress", Progress(probe.id, "training", 1, probe.key.steps)))
    if probe.seed in script.holds:
        (script.folder / "held").touch()
        while not (script.folder / "go").exists():
            time.sleep(0.01)
    broken = script.broken.get(number)
    if broken == "ends" or probe.seed in script.kills:
        script.count(f"tries-{probe.seed}")
        return False
    time.sleep(script.seconds)
    if script.broken and not broken:
        time.sleep(0.05)
    name = probe.id
    if script.mixed and script.count("mixed") <= script.mixed:
        name = "another"
    result = outcome(script, probe, memory)
    if broken:
        result = Failure(probe.id, probe.seed, "device", "CUDA error: uncorrectable ECC error encountered")
    pipe.send(("done", [(name, result)]))
    return True


def outcome(script: Script, probe: Probe, memory: MemorySettings) -> Outcome:
    """A failure of the script, or a reading that contains the process id and the rows and answers at once."""
    if memory.rows_at_once(probe.recipe.effective_batch) > script.room:
        return Failure(probe.id, probe.seed, "oom", "as the script says")
    tries = script.count(f"tries-{probe.seed}")
    kinds = script.fails.get(probe.seed, ())
    if tries <= len(kinds):
        return Failure(probe.id, probe.seed, kinds[tries - 1], "as the script says")
    at_once = {"rows": float(memory.micro_batch), "answers": float(memory.generation_batch)}
    final, timing = {"process": float(os.getpid()), **at_once}, Timing(0.0, 0.0, 0.0, 0.0)
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
