"""Opening, replacing, closing; who dies with whom."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from jailed import BACKENDS, alive, descendants, own

import sandbox as api
from sandbox.outside import interpreter, self_test

EASY = api.Program("def f(): return 1", "f", ((),))
ENDLESS = api.Program("while True: pass", "f", ())


def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_every_back_end_that_is_installed_holds_here() -> None:
    for diagnosis in api.diagnose():
        missing = "is not installed" in diagnosis.why or "offers no Landlock" in diagnosis.why
        assert diagnosis.works or missing, diagnosis
    assert BACKENDS


def test_diagnose_has_one_line_for_each_back_end() -> None:
    found = api.diagnose()
    assert [diagnosis.backend for diagnosis in found] == ["bubblewrap", "landlock"]
    assert all(diagnosis.why and "\n" not in diagnosis.why for diagnosis in found)


def test_the_first_back_end_that_holds_is_used_and_says_so() -> None:
    with api.open_sandbox() as sandbox:
        assert sandbox.backend == BACKENDS[0]
        assert sandbox.backend in sandbox.why


def test_an_unknown_back_end_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'docker' is none of bubblewrap, landlock"):
        api.open_sandbox(backend="docker")


def test_without_a_back_end_nothing_runs_and_the_message_has_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(api.SandboxUnavailable, match=r"bwrap is not installed.*Install bubblewrap") as refusal:
        api.open_sandbox(backend="bubblewrap")
    assert "in the sandbox or not at all" in str(refusal.value)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_self_test_finds_a_jail_that_leaks(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    library = interpreter.find().trees[0] / "os.py"
    leaking = f"[*files, {str(library)!r}]"
    monkeypatch.setattr(self_test, "_SELF_TEST", self_test._SELF_TEST.replace("in files:", f"in {leaking}:"))
    with pytest.raises(api.SandboxUnavailable, match=r"it does not hold: a program read .*os.py"):
        api.open_sandbox(backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_tight_limits_do_not_stop_the_self_test(backend: str) -> None:
    with api.open_sandbox(api.Limits(0.05, 96, 64, 1 << 16), backend) as sandbox:
        assert sandbox.run(EASY).outcomes == (api.Returned(1),)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_zygote_that_dies_is_replaced(backend: str) -> None:
    before = own()
    with api.open_sandbox(backend=backend) as sandbox:
        for pid in own() - before:
            os.kill(pid, signal.SIGKILL)
        assert sandbox.run(EASY).outcomes == (api.Returned(1),)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_zygote_that_dies_twice_is_no_failure_of_the_program(backend: str) -> None:
    before = own()
    done = threading.Event()

    def kill() -> None:
        while not done.wait(0.1):
            for pid in own() - before:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue

    with api.open_sandbox(backend=backend) as sandbox:
        killer = threading.Thread(target=kill)
        killer.start()
        with pytest.raises(api.SandboxBroken, match="failed twice"):
            sandbox.run(ENDLESS)
        done.set()
        killer.join()
        assert sandbox.run(EASY).outcomes == (api.Returned(1),)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_program_dies_with_its_zygote(backend: str) -> None:
    before = own()
    with api.open_sandbox(api.Limits(seconds=1), backend) as sandbox:
        zygote = max(own() - before)  # bwrap, where there is one, came before it
        family: set[int] = set()

        def kill() -> None:
            eventually(lambda: len(own() - before) >= (2 if backend == "landlock" else 3))
            family.update(own() - before)
            os.kill(zygote, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        execution = sandbox.run(ENDLESS)
        killer.join()
        assert isinstance(execution.loaded, api.Ended)  # by the replaced zygote, after the program's time
        assert execution.loaded.reason == "timeout"
        assert len(family) >= 2
        assert alive(family) == set()


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_is_left_when_the_process_that_was_started_dies_before_the_zygote(backend: str) -> None:
    before = own()
    with api.open_sandbox(backend=backend) as sandbox:
        started = own() - before
        os.kill(min(started), signal.SIGKILL)
        assert sandbox.run(EASY).outcomes == (api.Returned(1),)
        started |= own() - before
    assert eventually(lambda: not alive(started))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_programs_process_has_no_privileges(backend: str) -> None:
    before = own()
    status: dict[str, str] = {}

    def look() -> None:
        eventually(lambda: len(own() - before) >= (2 if backend == "landlock" else 3))
        time.sleep(0.1)
        text = Path(f"/proc/{max(own() - before)}/status").read_text()
        status.update((name, value.strip()) for name, _, value in (line.partition(":") for line in text.splitlines()))

    with api.open_sandbox(api.Limits(seconds=0.5), backend) as sandbox:
        looker = threading.Thread(target=look)
        looker.start()
        sandbox.run(ENDLESS)
        looker.join()
    assert (status["NoNewPrivs"], status["Seccomp"], status["Threads"]) == ("1", "2", "1")
    read_search = 1 << 2  # kept where only root may enter the interpreter's directory
    assert int(status["CapEff"], 16) in (0, read_search)
    assert status["Uid"].split()[0] != "0"


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_zygote_of_root_is_not_root(backend: str) -> None:
    before = own()
    with api.open_sandbox(backend=backend):
        zygote = max(own() - before)  # bwrap, where there is one, came before it
        text = Path(f"/proc/{zygote}/status").read_text()
    status = {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}
    assert set(status["Uid"].split()) & {"0"} == set()
    assert int(status["CapEff"], 16) in (0, 1 << 2)  # the second to enter an interpreter's directory that is root's


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_is_left_after_close(backend: str) -> None:
    before, descriptors = own(), len(os.listdir("/proc/self/fd"))
    sandbox = api.open_sandbox(backend=backend)
    started = own() - before
    assert started
    sandbox.run(EASY)
    sandbox.close()
    sandbox.close()
    assert own() - before == set()
    assert alive(started) == set()
    assert len(os.listdir("/proc/self/fd")) == descriptors
    with pytest.raises(RuntimeError, match="open another one"):
        sandbox.run(EASY)


@pytest.mark.parametrize("backend", BACKENDS)
def test_programs_leave_nothing_behind(backend: str) -> None:
    with api.open_sandbox(api.Limits(seconds=0.1), backend) as sandbox:
        before, descriptors = own(), len(os.listdir("/proc/self/fd"))
        for program in (EASY, ENDLESS) * 5:
            sandbox.run(program)
        assert own() == before
        assert len(os.listdir("/proc/self/fd")) == descriptors


OPEN_AND_RUN = """
import sys
from sandbox import Limits, Program, open_sandbox
sandbox = open_sandbox(Limits(seconds=600), sys.argv[1])
print("ready", flush=True)
sandbox.run(Program("while True: pass", "f", ()))
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_everything_dies_with_a_caller_that_is_killed(backend: str) -> None:
    root = Path(api.__file__).resolve().parents[1]
    command = [sys.executable, "-c", OPEN_AND_RUN, backend]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE) as caller:
        assert caller.stdout is not None
        assert caller.stdout.readline() == b"ready\n"
        expected = 2 if backend == "landlock" else 3  # bwrap, zygote, program
        assert eventually(lambda: len(descendants(caller.pid)) >= expected)
        family = descendants(caller.pid)
        caller.kill()
        caller.wait()
        assert eventually(lambda: not alive(family)), alive(family)
