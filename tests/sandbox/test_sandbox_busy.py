"""A machine that is too busy is never the program's failure."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from jailed import BACKENDS

import sandbox as api
from sandbox.outside import program_channel
from sandbox.outside import sandbox as sandbox_module
from sandbox.outside.process_stats import ProcessTime, process_time

SPIN = "import time\ndef f(seconds):\n    while time.process_time() < seconds: pass\n    return 1"


@contextmanager
def busy() -> Iterator[None]:
    """Eight sessions for each processor that the program must share."""
    loop = [sys.executable, "-S", "-c", "while True: pass"]
    others = [subprocess.Popen(loop, start_new_session=True) for _ in range(8 * (os.cpu_count() or 1))]
    try:
        yield
    finally:
        for other in others:
            other.kill()
        for other in others:
            other.wait()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_program_that_waits_for_a_processor_is_waited_for(backend: str) -> None:
    with api.open_sandbox(api.Limits(seconds=0.2), backend) as sandbox, busy():
        execution = sandbox.run(api.Program(SPIN, "f", ((0.15,),)))
        assert execution.outcomes == (api.Returned(1),)
        assert execution.seconds > 0.6  # a share of a processor, while three times its seconds went by


@pytest.mark.parametrize("backend", BACKENDS)
def test_where_no_program_gets_a_processor_each_is_tried_again_and_none_is_blamed(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.Limits, "starvation_seconds", 0.5)
    monkeypatch.setattr(program_channel, "process_time", lambda pid: ProcessTime(0.01, 60.0, ready=True))
    monkeypatch.setattr(sandbox_module, "_DEMANDING", "import time\ntime.sleep(9)")
    with api.open_sandbox(api.Limits(seconds=0.3), backend) as sandbox:
        with pytest.raises(api.SandboxBroken, match=r"failed twice, and with a program .*0\.01 s of processor time"):
            sandbox.run(api.Program("import time\ntime.sleep(9)", "f", ()))
        assert sandbox.run(api.Program("def f(): return 1", "f", ((),))).outcomes == (api.Returned(1),)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_program_that_cannot_be_told_from_a_starved_machine_has_failed_where_another_is_served(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[str] = []

    def load(candidate: api.RunningProgram, source: str, needs: str) -> None:
        attempts.append(source)
        if "starves" in source:
            raise api.SandboxBroken("in 60 s the machine gave it nothing")
        right(candidate, source, needs)

    right = api.RunningProgram.load
    monkeypatch.setattr(api.RunningProgram, "load", load)
    with api.open_sandbox(api.Limits(seconds=0.3), backend) as sandbox:
        attempts.clear()
        execution = sandbox.run(api.Program("def starves(): return 1", "starves", ((),)))
        assert isinstance(execution.loaded, api.Ended)
        assert execution.loaded.reason == "broke_sandbox"
        assert "in 60 s the machine gave it nothing" in execution.loaded.detail
        assert len(attempts) == 3  # twice, and a program known to be good
        assert sandbox.run(api.Program("def f(): return 1", "f", ((),))).outcomes == (api.Returned(1),)


@pytest.mark.parametrize("limits", [api.Limits(0.05, 96), api.Limits(0.2, 1 << 20)])
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_program_that_tells_the_machine_from_a_program_is_served_within_any_limits(
    backend: str, limits: api.Limits
) -> None:
    with api.open_sandbox(limits, backend) as sandbox:
        assert sandbox.serves()


MEMBARRIER = "import ctypes\nlibc = ctypes.CDLL(None)\ndef f():\n    while True: libc.syscall(324, 1, 0, 0)"
LIMITED = "import resource\ndef f():\n    resource.setrlimit(resource.RLIMIT_CPU, (0, 0))\n    while True: pass"
THROWN_OUT = "import os\ndef f(): os.posix_fadvise(os.open(os.__file__, os.O_RDONLY), 0, 0, os.POSIX_FADV_DONTNEED)"


@pytest.mark.parametrize(
    ("source", "outcome"), [(MEMBARRIER, "timeout"), (LIMITED, "ValueError"), (THROWN_OUT, "PermissionError")]
)
def test_a_program_cannot_wait_or_be_killed_by_the_kernel_without_using_its_time(
    sandbox: api.Sandbox, source: str, outcome: str
) -> None:
    (found,) = sandbox.run(api.Program(source, "f", ((),))).outcomes
    assert (found.reason if isinstance(found, api.Ended) else getattr(found, "exception", found)) == outcome


@pytest.mark.parametrize("backend", BACKENDS)
def test_without_the_kernels_statistics_a_sleeper_is_still_ended(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program_channel, "process_time", lambda pid: None)
    with api.open_sandbox(api.Limits(seconds=0.05), backend) as sandbox:
        execution = sandbox.run(api.Program("import time\ntime.sleep(99)", "f", ()))
        assert isinstance(execution.loaded, api.Ended)
        assert execution.loaded.reason == "timeout"


def test_a_process_that_computes_is_told_from_one_that_sleeps() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as sleeper:
        loop = "import time; time.sleep(0)\nwhile True: pass"
        with subprocess.Popen([sys.executable, "-c", loop]) as worker:
            import time

            time.sleep(0.5)
            asleep, awake = process_time(sleeper.pid), process_time(worker.pid)
            worker.kill()
        sleeper.communicate(b"\n")
    if not Path("/proc/self/schedstat").exists():
        pytest.skip("this kernel keeps no scheduler statistics")
    assert asleep is not None
    assert awake is not None
    assert (asleep.ready, awake.ready) == (False, True)
    assert awake.computed > asleep.computed
    assert process_time(2**22 + 1) is None
