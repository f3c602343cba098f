"""The nightlane command in a process of its own, without the ten seconds in which a new one imports its libraries.

One server, shared by all processes of pytest-xdist, imports the libraries and compiles the templates of reports once,
and forks for every command and every worker. A forked command has everything of its own that a process started from a
shell has: process id, signals, environment, working folder, standard streams, exit code. Only the seed of ``hash`` is
the server's. ``command`` is for a test that needs a new interpreter.
"""

import atexit
import gc
import importlib
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import pytest
import remembered

ROOT = Path(__file__).parents[2]
IMPORTED = (
    "agent.loop.start_or_resume.session",
    "agent.proposers.llm",
    "agent.proposers.tpe",
    "agent.study.material_check",
    "cli.main",
    "evaluation.evaluate",
    "finetune.run",
    "preferences.export.dataset",
    "probes.generate.sampler",
    "probes.run.execute",
    "probes.run.local_workers",
    "probes.train.trl",
    "scipy.stats",
    "testing.simulated_runner",
    "view.data.study_cost",
    "view.explain.text",
    "view.report.evaluation",
    "view.report.report",
    "view.terminal.finetune",
    "view.terminal.live",
    "view.terminal.rendered_rows",
    "view.terminal.status",
)
LONGEST = 900.0
"""Timeout of a command in seconds, long enough for a busy machine."""


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "cli.main", *map(str, arguments)]


def nightlane(
    *arguments: object, answers: str = "", cwd: Path = ROOT, module: str = "cli.main", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. Its environment names no endpoint, except one that is given here. ``module``: the
    module whose ``main`` is run."""
    process = Command(*arguments, answers=answers, cwd=cwd, module=module, **environment)
    output, errors = process.communicate()
    assert "Traceback" not in errors, errors
    if module == "cli.main" and "--json" in process.arguments and process.returncode == 0:
        require_documented(process.arguments, output)
    return subprocess.CompletedProcess(process.arguments, process.returncode or 0, output, errors)


def require_documented(arguments: list[str], output: str) -> None:
    """Require that what a command printed with --json matches its schema, which docs/json.md shows."""
    from json_faults import faults

    from cli.json_output import OUTPUTS

    name = next(name for count in (2, 1) if (name := " ".join(arguments[:count])) in OUTPUTS)
    stream, schema = OUTPUTS[name].stream, OUTPUTS[name].schema
    for document in output.splitlines() if stream else [output]:
        found = list(faults(schema, json.loads(document)))
        assert not found, f"nightlane {name} --json is not as docs/json.md says: {found[:5]}"


class Command:
    """A running command, with the part of the interface of ``subprocess.Popen`` that tests need."""

    def __init__(
        self, *arguments: object, answers: str = "", cwd: Path = ROOT, module: str = "cli.main", **environment: str
    ) -> None:
        self.arguments = [str(one) for one in arguments]
        self._streams = Path(tempfile.mkdtemp(dir=folder_of_streams()))
        (self._streams / "stdin").write_text(answers, encoding="utf-8")
        clean = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
        given = (module, self.arguments, self._streams, cwd, {**clean, "COLUMNS": "200", **environment})
        self._process = server().Process(target=_main, args=given)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def output(self) -> Path:
        """The file of its standard output."""
        return self._streams / "stdout"

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def communicate(self, timeout: float = LONGEST) -> tuple[str, str]:
        """Standard output and standard error, once it has ended."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            self._process.kill()
            raise subprocess.TimeoutExpired(self.arguments, timeout, stderr=self._stream("stderr"))
        return self._stream("stdout"), self._stream("stderr")

    def _stream(self, name: str) -> str:
        path = self._streams / name
        return path.read_text(encoding="utf-8") if path.exists() else ""


@cache
def folder_of_streams() -> str:
    folder = tempfile.mkdtemp(prefix="nightlane-commands-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def server() -> ForkServerContext:
    """The context whose processes are forked from the server."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(Path(__file__).parent)]))
        patch.setenv("NIGHTLANE_TESTS_IMPORT", "1")
        patch.setenv("HF_HUB_OFFLINE", "1")
        forkserver._forkserver.ensure_running()
    return context


def lend() -> str:
    """Start the server; returns its address for ``borrow`` in another process. It runs until this process ends."""
    server()
    address = forkserver._forkserver._forkserver_address  # type: ignore[attr-defined]
    assert isinstance(address, str)
    return address


def borrow(address: str) -> None:
    """Use the server of another process from now on."""
    ours = forkserver._forkserver
    ours._forkserver_address = address  # type: ignore[attr-defined]
    ours._forkserver_alive_fd = os.open(os.devnull, os.O_RDONLY)  # type: ignore[attr-defined]  # the lender holds the real one
    _never_start_another()


def _never_start_another() -> None:
    forkserver._forkserver.ensure_running = lambda: None  # type: ignore[method-assign]


if os.environ.pop("NIGHTLANE_TESTS_IMPORT", ""):  # in the server
    gc.disable()
    for _name in IMPORTED:
        try:
            importlib.import_module(_name)
        except ImportError as error:  # the server would ignore it and skip the imports that follow
            raise RuntimeError(f"the server of commands imports {_name}") from error
    remembered.remember()
    importlib.import_module("view.pages.environment").compile_templates()
    gc.freeze()  # imported objects are never garbage, so collections skip them
    gc.enable()


class WorkerProcess(ForkServerProcess):
    """Forked from the server, with the environment of the process that starts it."""

    def start(self) -> None:
        self.environment = dict(os.environ)
        super().start()

    def run(self) -> None:
        os.environ.clear()
        os.environ.update(self.environment)
        super().run()


class WorkerContext(ForkServerContext):
    Process = WorkerProcess


def fork_workers(patch: pytest.MonkeyPatch) -> None:
    """Workers that this process starts are forked from the server."""
    from probes.run import worker_pool

    server()
    patch.setattr(worker_pool, "CONTEXT", WorkerContext())


def _main(module: str, arguments: list[str], streams: Path, cwd: Path, environment: Mapping[str, str]) -> None:
    """Run a command in the forked process, as a shell would."""
    from probes.run import worker_pool

    for number, name in enumerate(("stdin", "stdout", "stderr")):
        mode = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND
        os.dup2(os.open(streams / name, mode, 0o600), number)
    sys.stdin = os.fdopen(0, closefd=False)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["nightlane", *arguments]
    worker_pool.CONTEXT = WorkerContext()
    _never_start_another()
    sys.exit(importlib.import_module(module).main())
