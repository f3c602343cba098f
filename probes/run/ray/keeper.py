"""The Ray actor that keeps one worker on its machine: it starts the process of worker.py and passes messages on.

The process measures in a folder of its machine. A probe's folder goes to the driver with its outcome, and the worker's
log with every message.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from common.errors import MissingRequirement, NightlaneError
from probes.inputs.settings import Engine
from probes.run import worker_pool
from probes.run.ray.archives import StudyArchive, identity, pack_probe, unpack_probe
from probes.run.store import ADAPTER, ProbeStore
from probes.run.worker import serve

PREFIX = "nightlane-worker-"


@dataclass(frozen=True, slots=True)
class WorkerMessage:
    """``kind`` and ``content`` as the worker sent them, or ("ended", exit code). ``folder``: the files of a finished
    probe. ``log``: new lines of the worker's log."""

    kind: str
    content: Any
    folder: bytes = b""
    log: bytes = b""


class Keeper:
    """An actor with two threads: one method sends, the other receives."""

    serve: ClassVar[Callable[..., None]] = staticmethod(serve)

    def __init__(
        self, study: StudyArchive, number: int, threads: int, device: str, quantization: str, engine: Engine
    ) -> None:
        _remove_leftovers()
        self._runs = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")).resolve()
        self._store, self._log = ProbeStore(self._runs), self._runs / f"worker-{number}.log"
        self._root = self._runs / "study"  # stands for the root of the driver's disk
        self._read = 0
        self._refused: NightlaneError | None = None
        try:
            material = self._material(study)
        except NightlaneError as error:
            self._refused = error
            return
        self._pipe, theirs = worker_pool.CONTEXT.Pipe()
        with worker_pool.variables(worker_pool.thread_variables(threads)):
            self._process = self._started((theirs, self._runs, number, threads, device, quantization, engine))
        theirs.close()
        self.send(material)

    def send(self, message: object, borrowed: tuple[tuple[str, bytes], ...] = ()) -> None:
        """Send a message to the worker. ``borrowed``: (id of the lending probe, its packed adapter), stored first."""
        for probe_id, files in borrowed:
            unpack_probe(files, self._store.directory(probe_id))
        with contextlib.suppress(OSError):  # it ended, which the other thread notices
            self._pipe.send(message)

    def receive(self) -> list[WorkerMessage]:
        """The worker's messages since the last call; waits until there is one."""
        if self._refused is not None:
            return [WorkerMessage("refused", self._refused)]
        messages: list[WorkerMessage] = []
        try:
            while not messages or self._pipe.poll():
                kind, content = self._pipe.recv()
                messages.append(
                    WorkerMessage(kind, content, self._taken(content) if kind == "done" else b"", self._new_log())
                )
        except (EOFError, OSError):
            self._process.join(timeout=5)
            messages.append(WorkerMessage("ended", self._process.exitcode, log=self._new_log()))
        return messages

    def leave(self) -> None:
        """End the worker, and remove its files."""
        if self._refused is None:
            self._process.kill()
            self._process.join()
        shutil.rmtree(self._runs, ignore_errors=True)

    def _material(self, study: StudyArchive) -> object:
        """The unpacked material; MissingRequirement if it differs from the session's."""
        material = study.unpacked(self._root)
        if identity(material) != study.identity:
            raise MissingRequirement(
                "all machines of a cluster must have the same nightlane and the same files and "
                f"{os.uname().nodename} has others than the session; install the same version there, and copy the base "
                "model again"
            )
        return material

    def _started(self, arguments: tuple[Any, ...]) -> Any:
        """Start the worker's process."""
        process = worker_pool.CONTEXT.Process(target=self.serve, args=arguments)
        process.start()
        return process

    def _taken(self, answered: list[tuple[str, object]]) -> bytes:
        """Pack the folder of a finished probe, and remove it here."""
        [(probe_id, _)] = answered
        folder = self._store.directory(probe_id)
        config = folder / ADAPTER / "adapter_config.json"
        if config.exists():  # it names the base's path
            config.write_text(config.read_text(encoding="utf-8").replace(str(self._root), ""), encoding="utf-8")
        files = pack_probe(folder)
        shutil.rmtree(folder, ignore_errors=True)
        return files

    def _new_log(self) -> bytes:
        if not self._log.exists():
            return b""
        with self._log.open("rb") as stream:
            stream.seek(self._read)
            new = stream.read()
        self._read += len(new)
        return new


def _remove_leftovers() -> None:
    """Remove the folders that killed keepers left on this machine; a folder's name has its keeper's process id."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        number = folder.name.removeprefix(PREFIX).partition("-")[0]
        if number.isdecimal() and not Path(f"/proc/{number}").exists():
            shutil.rmtree(folder, ignore_errors=True)
