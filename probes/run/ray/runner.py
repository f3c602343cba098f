"""The runner of a Ray cluster: ``[runner] kind = "ray"``. docs/ray.md.

Messages to and from workers are handled by local_workers.py. This file has only what differs on a cluster: a slot
belongs to a machine, machines join and are lost, and a worker is an actor (keeper.py).
"""

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, ClassVar

import ray
from ray._private import state
from ray.exceptions import ActorUnavailableError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from common.errors import BadInput, MissingRequirement, NightlaneError
from probes.inputs.material import Material
from probes.inputs.settings import RunnerSettings
from probes.result.reading import Failure, Outcome, Probe
from probes.run.classify import classify
from probes.run.local_workers import ResidentRunner
from probes.run.ray.archives import StudyArchive, pack_adapter, unpack_probe
from probes.run.ray.keeper import Keeper, WorkerMessage
from probes.run.store import ProbeStore
from probes.run.worker_pool import Pipe, Slot, Worker, WorkerPool, ended

LOOK_SECONDS = 2.0
"""Time between two checks of which machines the cluster has."""
CONNECT_SECONDS = 20.0
OBJECT_STORE = 1 << 30
"""Bytes of shared memory for what actors send, in a cluster that is started here."""


class RayRunner(ResidentRunner):
    """A Runner on a Ray cluster. ``workers`` 0: one per GPU of the cluster, or else one per core."""

    made_alike = (
        "let the cluster have machines with GPUs of one model and the same packages, or begin a session for each kind"
    )
    _pool: "RayPool"

    def _open_pool(self, material: Material, runs: Path, quantization: str) -> "RayPool":
        return RayPool(material, self._settings, runs, quantization, self._notes.append)

    def _refuse(self, slot: Slot, error: NightlaneError) -> None:
        """Leave out a machine that joined later, instead of ending the session because of it."""
        if not self._pool.leave_out(slot, str(error)):
            super()._refuse(slot, error)


@dataclass
class RaySlot(Slot):
    """A place for a worker on one machine. ``machine``: the id of its node. ``joined``: the machine joined the cluster
    after the session began."""

    machine: str = ""
    joined: bool = False


class RayPool(WorkerPool):
    """The workers of a cluster. A lost machine takes its slots along; one that joins brings new ones."""

    slots: Sequence[RaySlot]
    keeper: ClassVar[type] = Keeper

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.slots: list[RaySlot] = []
        self._machines: set[str] = set()
        self._first_machines: set[str] | None = None
        self._left_out: set[str] = set()
        self._next_number = 0
        self._looked = float("-inf")
        self._empty_since: float | None = None
        study = StudyArchive.of(self._material)
        self._opened = connect(self._settings)
        self._study = ray.put(study)
        most = int(max((machine.all.get("GPU", 0) for machine in machines()), default=0))
        if self._settings.gpus_per_worker > max(1, most):
            raise BadInput(
                f"gpus_per_worker={self._settings.gpus_per_worker} under [runner] is more than the {most} GPUs that a "
                f"machine of the Ray cluster has; set it to {max(1, most)} or less"
            )
        self._device = "cuda" if most else "cpu"
        self._look()
        self._first_machines = self._machines

    def _device_groups(self) -> list[str]:
        """Empty, because Ray gives each actor its GPUs."""
        return []

    def start_missing(self) -> None:
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._look()
        if self.slots:
            self._empty_since = None
            super().start_missing()
            return
        self._empty_since = self._empty_since or time.monotonic()
        if time.monotonic() - self._empty_since > self._settings.start_seconds:
            raise MissingRequirement(
                f"a session needs a GPU or a core and the Ray cluster has had none free for start_seconds="
                f"{self._settings.start_seconds:g}; start one with ray start, then nightlane resume"
            )

    @property
    def seconds_to_next_deadline(self) -> float:
        return min(LOOK_SECONDS, super().seconds_to_next_deadline)

    def wait(self) -> Collection[Pipe]:
        pipes = [worker.pipe for worker in self.workers if isinstance(worker.pipe, RayPipe)]
        held = [pipe for pipe in pipes if pipe.held]
        expected = {pipe.expected: pipe for pipe in pipes if not pipe.held}
        if not expected:
            time.sleep(0 if held else self.seconds_to_next_deadline)
            return held
        seconds = 0.0 if held else self.seconds_to_next_deadline
        arrived, _ = ray.wait(list(expected), num_returns=1, timeout=seconds, fetch_local=False)
        if arrived:
            arrived, _ = ray.wait(list(expected), num_returns=len(expected), timeout=0, fetch_local=False)
        return [*held, *(expected[reference] for reference in arrived)]

    def machine_lost(self, slot: Slot) -> bool:
        worker = slot.worker
        if not isinstance(slot, RaySlot) or worker is None or not isinstance(worker.process, RayActor):
            return False
        if worker.process.exitcode is not None:  # its machine reported the end
            return False
        self._look()
        lost = worker.process.unreachable or slot.machine not in self._machines
        if lost:
            slot.paused_until = time.monotonic() + LOOK_SECONDS
        return lost

    def why_ended(self, worker: Worker) -> str:
        code = worker.process.exitcode
        if code is None and isinstance(worker.process, RayActor) and worker.process.error:
            return worker.process.error
        return ended(code)

    def leave_out(self, slot: Slot, why: str) -> bool:
        """Use this slot's machine no more, if it joined after the session began."""
        if not isinstance(slot, RaySlot) or not slot.joined:
            return False
        self._left_out.add(slot.machine)
        self._note(f"a machine that joined the cluster is left out: {why}")
        self._drop({slot.machine})
        return True

    def close(self) -> None:
        super().close()
        if self._opened:
            self._opened = False
            ray.shutdown()

    def _look(self) -> None:
        """Remove the slots of machines that are gone, and add slots where GPUs or cores are free."""
        self._looked = time.monotonic()
        found = {one.name: one for one in machines() if one.name not in self._left_out}
        if lost := len(self._machines - found.keys() - self._left_out):
            self._note(f"the cluster lost {lost} machine{'s' * (lost > 1)}; the probes there are tried again elsewhere")
        self._machines = set(found)
        self._drop({slot.machine for slot in self.slots} - found.keys())
        for name, machine in found.items():
            mine = [slot for slot in self.slots if slot.machine == name]
            placed = sum(slot.worker is not None and slot.worker.ready for slot in mine)
            new = min(self._room(machine.all) - len(mine), self._room(machine.free) - (len(mine) - placed))
            if self._settings.workers:
                new = min(new, self._settings.workers - len(self.slots))
            for _ in range(new):
                joined = self._first_machines is not None and name not in self._first_machines
                self.slots = [*self.slots, RaySlot(self._next_number, machine=name, joined=joined)]
                self._next_number += 1

    def _drop(self, machines: Collection[str]) -> None:
        """Remove the slots of these machines. A slot with probes stays until Ray reports that its worker is lost."""
        for slot in self.slots:
            if slot.machine in machines and (slot.worker is None or not slot.worker.tasks):
                slot.free()
        self.slots = [slot for slot in self.slots if slot.machine not in machines or slot.worker is not None]

    def _room(self, amounts: Mapping[str, float]) -> int:
        """The number of workers for which these resources are enough."""
        if self._device == "cuda":
            return int(amounts.get("GPU", 0)) // self._settings.gpus_per_worker
        return int(amounts.get("CPU", 0)) // (self._settings.threads or 1)

    def _start(self, slot: Slot) -> None:
        assert isinstance(slot, RaySlot)
        threads = self._settings.threads or 1
        on_gpu = self._device == "cuda"
        actor = (
            ray.remote(self.keeper)
            .options(
                num_gpus=self._settings.gpus_per_worker if on_gpu else 0,
                num_cpus=0 if on_gpu else threads,
                scheduling_strategy=NodeAffinitySchedulingStrategy(slot.machine, soft=False),
                max_concurrency=2,
                max_restarts=0,
            )
            .remote(self._study, slot.number, threads, self._device, self._quantization, self._settings.engine)
        )
        self._log(slot).touch()  # a message may name it
        process = RayActor(actor)
        pipe = RayPipe(process, self._runs, self._log(slot))
        slot.worker = Worker(process, pipe, time.monotonic() + self._settings.start_seconds)


class RayActor:
    """An actor with the interface of a process. ``exitcode``: of its worker, once it is reported. ``error``: Ray's
    message about its end. ``unreachable``: Ray cannot reach it, so it is unknown how it ended."""

    pid = 1

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self.exitcode: int | None = None
        self.error = ""
        self.unreachable = False
        self._leaving: Any = None

    def leave(self) -> None:
        self._leaving = self.actor.leave.remote()

    def join(self, timeout: float | None = None) -> None:
        if self._leaving is not None:
            ray.wait([self._leaving], timeout=timeout)

    def kill(self) -> None:
        if ray.is_initialized():
            ray.kill(self.actor)


class RayPipe:
    """Messages to and from an actor with the interface of a pipe. The files of a finished probe are written under
    ``runs`` before ``recv`` returns its message."""

    def __init__(self, process: RayActor, runs: Path, log: Path) -> None:
        self._process, self._store, self._log = process, ProbeStore(runs), log
        self._expected: Any = None
        self.held: deque[WorkerMessage] = deque()

    @property
    def expected(self) -> Any:
        """The reference to the next messages."""
        if self._expected is None:
            self._expected = self._process.actor.receive.remote()
        return self._expected

    def send(self, message: tuple[Sequence[Probe], Any, Any]) -> None:
        lenders = {probe.adapter_of for probe in message[0] if probe.adapter_of}
        packed = ((name, pack_adapter(self._store.directory(name))) for name in sorted(lenders))
        self._process.actor.send.remote(message, tuple((name, files) for name, files in packed if files))

    def recv(self) -> tuple[str, Any]:
        """EOFError when the worker or its machine is gone."""
        if not self.held:
            reference, self._expected = self.expected, None
            try:
                self.held.extend(ray.get(reference))
            except RayError as error:
                self._process.unreachable = isinstance(error, ActorUnavailableError)
                self._process.error = " ".join(str(error).split())[:300]
                raise EOFError from error
        message = self.held.popleft()
        if message.log:
            with contextlib.suppress(OSError), self._log.open("ab") as stream:
                stream.write(message.log)
        if message.kind == "ended":
            self._process.exitcode = message.content
            raise EOFError
        content = message.content
        if message.kind == "done":
            content = [(name, self._with_files(outcome, message.folder)) for name, outcome in content]
        return message.kind, content

    def close(self) -> None:
        self._process.leave()

    def _with_files(self, outcome: Outcome, files: bytes) -> Outcome:
        """Write the files of a probe; a failure in place of its outcome if they cannot be written."""
        try:
            unpack_probe(files, self._store.directory(outcome.probe))
        except OSError as error:
            return Failure(outcome.probe, outcome.seed, classify(error), f"its files were not written here: {error}")
        return outcome


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """A node of the cluster: its id, and its GPUs and cores, all of them and those that no actor or task uses."""

    name: str
    all: Mapping[str, float]
    free: Mapping[str, float]


def machines() -> list[ClusterNode]:
    """The nodes that are alive, in the order of their ids."""
    free = state.available_resources_per_node()
    alive = [(node["NodeID"], node.get("Resources", {})) for node in ray.nodes() if node["Alive"]]
    return [ClusterNode(name, amounts, free.get(name, {})) for name, amounts in sorted(alive, key=itemgetter(0))]


def connect(settings: RunnerSettings) -> bool:
    """Connect to the cluster, or start one on this machine; False if this process was connected already.
    MissingRequirement if no cluster answers."""
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    address = settings.address or os.environ.get("RAY_ADDRESS", "")
    mine: dict[str, Any] = {"object_store_memory": OBJECT_STORE, "include_dashboard": False}
    with _own_signals():
        try:
            _require_answer(address)
            options = {"address": address} if address else {"address": "local", **mine}
            ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, RuntimeError, ValueError, RayError) as error:
            raise MissingRequirement(
                f'[runner] kind = "ray" needs a Ray cluster and {address or "this machine"} gives none '
                f"({' '.join(str(error).split())[:200]}); start one there with ray start --head, or correct address"
            ) from error
    return True


def _require_answer(address: str) -> None:
    """OSError or ValueError if nothing listens there. Ray itself would try for five minutes."""
    if address not in ("", "auto"):
        host, _, port = address.removeprefix("ray://").rpartition(":")
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Restore our handler of SIGTERM, which Ray replaces: it ends a session when nothing is half written."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)
