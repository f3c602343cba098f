"""A program finds the same things under both back ends, and whatever the process is that started the night."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from jailed import BACKENDS

import sandbox as api

FACTS = """
import gc, io, locale, os, random, resource, signal, sys, tempfile, time

def attempt(action):
    try: return action()
    except BaseException as error: return [type(error).__name__, getattr(error, "errno", None)]

def f():
    return {
        "signals": {int(n): repr(signal.getsignal(n)) for n in signal.valid_signals()},
        "blocked": [int(n) for n in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
        "limits": {name: list(resource.getrlimit(getattr(resource, name))) for name in dir(resource)
                   if name.startswith("RLIMIT_")},
        "environment": dict(os.environ),
        "locale": [locale.getlocale(), locale.getpreferredencoding(), sys.getfilesystemencoding(), sys.stdout.encoding,
                   sys.stdin.encoding, sys.stdout.errors],
        "folder": [os.getcwd(), attempt(lambda: open("x", "w")), attempt(lambda: open("/tmp/x", "w")),
                   attempt(tempfile.mkdtemp)],
        "time": [time.tzname, time.localtime(0).tm_hour, time.timezone],
        "recursion": sys.getrecursionlimit(),
        "digits": sys.get_int_max_str_digits(),
        "hashes": [hash("a"), hash(b"b"), list({"one", "two", "three"})],
        "umask": os.umask(0o22),
        "input": [attempt(input), sys.stdin.read()],
        "descriptors": [attempt(lambda fd=fd: os.fstat(fd).st_mode >> 12) for fd in range(6)],
        "random": [random.random(), gc.isenabled(), gc.get_threshold()],
        "flags": [list(sys.flags), sys.path, sys.argv, sys.dont_write_bytecode],
        "clocks": [attempt(lambda c=c: time.clock_gettime(c) >= 0) for c in (0, 1, 2, 3, 7, -2, -6)],
        "tracing": [sys.gettrace(), sys.getprofile(), sys.getswitchinterval()],
        "nice": attempt(lambda: os.nice(0)),
    }
"""
STARTS = """
import json, os, resource, signal, sys
from sandbox import Program, open_sandbox
if sys.argv[2] == "odd":
    for number in (signal.SIGHUP, signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGALRM, signal.SIGUSR1, signal.SIGVTALRM))
    os.umask(0)
with open_sandbox(backend=sys.argv[1]) as sandbox:
    print(json.dumps(sandbox.run(Program(sys.stdin.read(), "f", ((),))).outcomes[0].value))
"""


def facts(backend: str, caller: str) -> dict[str, object]:
    root = Path(api.__file__).resolve().parents[1]
    variables = {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C", "OWN": "1"} if caller == "odd" else {}
    done = subprocess.run(
        [sys.executable, "-c", STARTS, backend, caller],
        input=FACTS,
        capture_output=True,
        text=True,
        check=True,
        cwd=root,
        env={**os.environ, **variables},
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.long
def test_what_a_program_finds_is_the_same_under_both_back_ends_and_for_every_caller() -> None:
    if len(BACKENDS) < 2:
        pytest.skip("one back end only")
    plain = facts("bubblewrap", "plain")
    for backend, caller in (("landlock", "plain"), ("bubblewrap", "odd"), ("landlock", "odd")):
        found = facts(backend, caller)
        assert {name: value for name, value in found.items() if value != plain[name]} == {}, (backend, caller)


ENDS = {
    "an alarm": "import signal\nsignal.setitimer(signal.ITIMER_REAL, 0.01)\ndef f():\n    while True: pass",
    "a timer of its own time": "import signal\n"
    "signal.setitimer(signal.ITIMER_PROF, 0.01)\ndef f():\n    while True: pass",
    "an alarm put back to its default": "import signal\nsignal.signal(signal.SIGALRM, signal.SIG_DFL)\n"
    "signal.setitimer(signal.ITIMER_REAL, 0.01)\ndef f():\n    while True: pass",
    "an alarm that is handled": "import signal\ndef late(*_): raise TimeoutError\nsignal.signal(signal.SIGALRM, late)\n"
    "def f():\n    signal.setitimer(signal.ITIMER_REAL, 0.01)\n    while True: pass",
    "abort": "import os\ndef f(): os.abort()",
    "a write where nobody reads": "import os\ndef f():\n    try: os.pipe()\n    except OSError as e: return e.errno",
    "a jump into nothing": "import ctypes\ndef f(): ctypes.string_at(0)",
}


@pytest.mark.parametrize("name", ENDS)
def test_a_program_ends_in_the_same_way_under_both_back_ends(name: str) -> None:
    found = []
    for backend in BACKENDS:
        with api.open_sandbox(api.Limits(seconds=0.3), backend) as sandbox:
            found.append(sandbox.run(api.Program(ENDS[name], "f", ((),))).outcomes)
    assert len(set(found)) == 1, found
    if name.startswith(("an alarm put", "an alarm", "a timer")) and "handled" not in name:
        assert isinstance(found[0][0], api.Ended)
        assert found[0][0].reason == "exited"
