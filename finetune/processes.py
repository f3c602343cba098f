"""The processes of a full-length run besides the first: each trains on a GPU of its own, or all train on the CPU.

accelerate divides the rows of each optimizer step among the processes and averages their gradients, so a step sees the
rows that it sees in one process. The first process is that of the command: it alone writes results, scores and decides.
The others compute, write their messages to DIR/process-N.log, and end when the first one does.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory

from common.errors import NightlaneError
from finetune.plan import TrainingPlan
from finetune.training import arguments_of, base_device, other_trainer, trained
from probes.model.load import load_base, load_quietly, use_few_threads

CONTEXT: SpawnContext | ForkServerContext = multiprocessing.get_context("spawn")
SLOWEST_PROCESS = timedelta(hours=1)
"""How long a process waits for the others, which wait while the first one scores answers."""
LAST_WORDS = 5.0
"""Seconds to wait for the reason from a process that failed."""


@dataclass(frozen=True)
class Share:
    """What one of several processes is given. ``checkpoint``, ``step``: where a resumed run starts. ``meeting``: the
    file through which the processes find each other."""

    plan: TrainingPlan
    checkpoint: Path | None
    step: int
    threads: int
    meeting: Path
    rank: int = 0

    @property
    def device(self) -> str:
        return "cuda" if self.plan.devices else "cpu"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that accelerate and torch read. Each process sees only its own GPU, as device 0."""
        number = str(self.plan.request.processes)
        found = {"RANK": str(self.rank), "WORLD_SIZE": number, "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": number}
        if self.plan.devices:
            found["CUDA_VISIBLE_DEVICES"] = self.plan.devices[self.rank]
        return found


@dataclass(frozen=True)
class Others:
    """All processes but the first, with a pipe to each; none for a run of one process."""

    share: Share
    started: Sequence[tuple[BaseProcess, Connection]]

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Wait until each has loaded the base, and train with them. If one of them fails, raises its error."""
        if not self.started:
            yield
            return
        for _, pipe in self.started:
            if (failed := _failure_of(pipe, None)) is not None:
                raise failed
        try:
            with _joined(self.share):
                yield
        except Exception as error:
            causes = [_failure_of(pipe, LAST_WORDS) for _, pipe in self.started] if _connection_lost(error) else []
            raise next((one for one in causes if one is not None and not _connection_lost(one)), error) from None


@contextmanager
def other_processes(plan: TrainingPlan, checkpoint: Path | None, step: int, threads: int) -> Iterator[Others]:
    """Start all processes of the plan but the first, and end them with the block."""
    started: list[tuple[BaseProcess, Connection]] = []
    with TemporaryDirectory(prefix="nightlane-") as folder:
        share = Share(plan, checkpoint, step, threads, Path(folder) / "meeting")
        try:
            for rank in range(1, plan.request.processes):
                ours, theirs = CONTEXT.Pipe()
                process: BaseProcess = CONTEXT.Process(
                    target=_serve, args=(replace(share, rank=rank), theirs), daemon=True
                )
                process.start()
                theirs.close()
                started.append((process, ours))
            yield Others(share, started)
        finally:
            for process, _ in started:
                process.kill()
                process.join()


def _failure_of(pipe: Connection, seconds: float | None) -> Exception | None:
    """The error that a process reports within ``seconds``; None if it reports none."""
    try:
        return pipe.recv() if pipe.poll(seconds) else None
    except (EOFError, ConnectionError):
        return NightlaneError(
            "a full-length run needs all of its processes, and one was killed, perhaps for lack of memory; free some, "
            "and go on with --resume"
        )


def _connection_lost(error: Exception) -> bool:
    """Whether a process may have failed only because another one did."""
    from torch import distributed

    return type(error) is RuntimeError or isinstance(error, distributed.DistError)


@contextmanager
def _joined(share: Share) -> Iterator[None]:
    """Inside the block, this process is one of those that train together."""
    from torch import distributed

    before = dict(os.environ)
    os.environ.update(share.environment)
    distributed.init_process_group(
        "nccl" if share.device == "cuda" else "gloo",
        init_method=f"file://{share.meeting}",
        rank=share.rank,
        world_size=share.plan.request.processes,
        timeout=SLOWEST_PROCESS,
    )
    try:
        yield
    finally:
        distributed.destroy_process_group()
        for name in os.environ.keys() - before.keys():  # also what the trainer sets for FSDP
            os.environ.pop(name)
        os.environ.update(before)


def _serve(share: Share, pipe: Connection) -> None:
    """The body of a process other than the first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process decides when they end
    threading.Thread(target=_end_with_parent, daemon=True).start()
    log = (share.plan.request.folder / f"process-{share.rank}.log").open("a", encoding="utf-8", buffering=1)
    for stream in (1, 2):
        os.dup2(log.fileno(), stream)
    try:
        _train(share, pipe)
    except Exception as error:
        pipe.send(error)
        raise


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _train(share: Share, pipe: Connection) -> None:
    os.environ.update(share.environment)
    load_quietly()
    request = share.plan.request
    device = base_device(request, share.device)
    base = load_base(request.material.model, request.material.folder, request.recipe.quantization, device)
    if not share.threads:
        use_few_threads(base)
    pipe.send(None)
    from finetune.watch.callback import FollowingCallback
    from probes.train.trl import LongRun

    long = LongRun(
        trainer=other_trainer(base, share.plan),
        arguments=arguments_of(share.plan),
        callbacks=(FollowingCallback(request.folder),),
        checkpoint=share.checkpoint,
        step=share.step,
        processes=request.processes,
        device=share.device,
    )
    with _joined(share), TemporaryDirectory(prefix="nightlane-") as scratch:
        trained(base, share.plan, Path(scratch), long)
