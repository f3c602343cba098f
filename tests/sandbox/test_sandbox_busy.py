"""A machine that is too busy is never the program's failure."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jailed import BACKENDS

import sandbox as api
from sandbox import conversation
from sandbox.process_time import ProcessTime, process_time

SPIN = "import time\ndef f(seconds):\n    while time.process_time() < seconds: pass\n    return 1"


@pytest.fixture
def busy() -> Iterator[None]:
    """Eight sessions for each processor that the program must share."""
    import os

    loop = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(loop, start_new_session=True) for _ in range(8 * (os.cpu_count() or 1))]
    yield
    for other in others:
        other.kill()
    for other in others:
        other.wait()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.usefixtures("busy")
def test_a_program_that_waits_for_a_processor_is_waited_for(backend: str) -> None:
    with api.open_sandbox(api.Limits(seconds=0.4), backend) as sandbox:
        execution = sandbox.run(api.Program(SPIN, "f", ((0.3,),)))
        assert execution.outcomes == (api.Returned(1),)
        assert execution.seconds > 1.0  # a share of a processor, while three times its seconds went by


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_program_that_never_gets_a_processor_is_tried_again_and_then_nobody_is_blamed(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.Limits, "patience", 0.5)
    monkeypatch.setattr(conversation, "process_time", lambda pid: ProcessTime(0.01, 60.0, ready=True))
    with api.open_sandbox(api.Limits(seconds=0.3), backend) as sandbox:
        with pytest.raises(api.SandboxBroken, match=r"failed twice .*0\.01 s of processor time"):
            sandbox.run(api.Program("import time\ntime.sleep(9)", "f", ()))
        assert sandbox.run(api.Program("def f(): return 1", "f", ((),))).outcomes == (api.Returned(1),)


@pytest.mark.parametrize("backend", BACKENDS)
def test_without_the_kernels_statistics_a_sleeper_is_still_ended(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "process_time", lambda pid: None)
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
