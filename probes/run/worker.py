"""The process of a resident worker: it loads the base once, then measures probes until its pipe closes.

``probes.run.worker_pool`` starts it with the spawn method. Its output goes to runs/worker-N.log.
"""

import contextlib
import gc
import importlib
import multiprocessing
import os
import platform
import signal
import threading
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from common.errors import MissingRequirement, NightlaneError
from probes.inputs.material import Material
from probes.inputs.settings import Engine
from probes.model.download import watch_download
from probes.model.load import load_quietly, note_data_type
from probes.run.store import ProbeStore

PACKAGES = ("torch", "transformers", "trl", "peft", "bitsandbytes", "accelerate", "datasets", "tokenizers")


@dataclass(frozen=True, slots=True)
class Ready:
    """The first message of a worker. ``environment``: its part of the probe key. ``about``: one line on its scorer and
    server."""

    environment: str
    about: str


def serve(
    pipe: Connection, runs: Path, number: int, threads: int, device: str, quantization: str, engine: Engine
) -> None:
    """Receive the material and send ("ready", Ready), and ("downloading", None) while the base is downloaded. Then
    answer each received (probes, allowance, memory) with ("progress", Progress) while they run and
    ("done", [(probe id, outcome)]) for each, as soon as it has an outcome.

    A NightlaneError is sent as ("refused", error).
    """
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    for other in (signal.SIGTERM, signal.SIGHUP):  # likewise; a handler, since sandboxes would inherit SIG_IGN
        signal.signal(other, lambda *_: None)
    _redirect(runs / f"worker-{number}.log")
    with contextlib.suppress(EOFError, BrokenPipeError):
        try:
            _serve(pipe, runs, threads, device, quantization, engine)
        except NightlaneError as error:
            pipe.send(("refused", error))


def _serve(pipe: Connection, runs: Path, threads: int, device: str, quantization: str, engine: Engine) -> None:
    material: Material = pipe.recv()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    load_quietly()
    import torch
    from tqdm import tqdm

    tqdm.set_lock(threading.RLock())  # tqdm's own lock is a semaphore, which a killed worker would leave behind
    torch.set_num_threads(threads)
    from probes.run.execute import measure
    from probes.run.workbench import ENGINES, Workbench

    for heavy in (ENGINES[engine], "probes.generate.sampler"):
        importlib.import_module(heavy)
    gc.freeze()  # imported modules are never garbage, so no collection needs to visit them
    bench = Workbench(material, device, {})
    store = ProbeStore(runs)
    with watch_download(material.model, material.folder, lambda: pipe.send(("downloading", None))):
        bench.base(quantization)
    bench.choose_engine(engine, quantization)
    rendered = bench.rendered(quantization)
    where = f"{environment(device, threads)}{note_data_type(material.model, device)}{note_engine(bench.engine)}"
    pipe.send(("ready", Ready(f"{where} rendered={rendered}", bench.about())))

    sending = threading.Lock()  # threads that score probes send messages, too

    def send(kind: str, content: object) -> None:
        with sending:
            pipe.send((kind, content))

    try:
        while True:
            batch, allowance, bench.memory = pipe.recv()
            measure(
                bench,
                batch,
                store.directory,
                lambda progress: send("progress", progress),
                allowance,
                lambda probe, outcome: send("done", [(probe.id, outcome)]),
            )
    finally:
        bench.close()


def note_engine(engine: Engine) -> str:
    """What the probe key says of the engine that trains; "" for TRL."""
    return "" if engine == "trl" else f" engine={engine}"


def environment(device: str, threads: int) -> str:
    """The software and the device class in one line, a part of the probe key. "cuda": all GPUs that this process sees,
    "cuda:0": one of them."""
    import torch

    if device == "cpu":
        where = f"cpu-{platform.machine()} threads={threads}"
    elif torch.cuda.is_available():
        seen = range(torch.cuda.device_count() if device == "cuda" else 1)
        where = "+".join(torch.cuda.get_device_name(number).replace(" ", "-") for number in seen)
    else:
        raise MissingRequirement(
            f"[runner] asks for {device} and torch sees no such device; install a CUDA build of torch"
        )
    python = f"python={platform.python_version()}"
    packages = (f"{package}={version(package)}" for package in PACKAGES)
    return " ".join([where, python, *packages])


def _die_with_parent() -> None:
    """End this process when its parent ends. A thread waits for that: the kernel's parent-death signal would already
    come when the parent's thread that started this process ends."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _redirect(log: Path) -> None:
    handle: Any = log.open("a", encoding="utf-8", buffering=1)
    os.dup2(handle.fileno(), 1)
    os.dup2(handle.fileno(), 2)
