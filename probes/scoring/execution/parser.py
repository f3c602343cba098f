"""Parses and compiles texts of a model in a process of its own with limits on memory and time.

A few hundred characters can make Python's compiler take gigabytes or minutes, or crash. So no other process parses such
a text; it has this one call a function of ours on it.

    parser = Parser()
    parser.extract(text, "double")         # extraction.extract, within these limits
    parser.ask(count_classes, text)        # or Unread, when the text took too much
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common.errors import MissingRequirement
from common.readable import is_readable
from probes.scoring.execution import extraction
from probes.scoring.execution.extraction import Extracted
from probes.scoring.execution.parser_process import READY
from sandbox import protocol

SECONDS = 3.0  # processor time of one question
DEADLINE = 60.0  # wall-clock seconds of one question, for a busy machine
LONGEST = 1 << 20  # characters; a longer text is not read
START_SECONDS = 120.0  # on the clock, until the process says that it is ready

_BOOT = """
import json, os, sys, types
sys.path[:] = json.loads(sys.argv[1])
bare = json.loads(sys.argv[3])
for name in bare:
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [os.path.join(sys.path[0], *name.split("."))]
from probes.scoring.execution import extraction, parser_process
parser_process.serve(float(sys.argv[2]), bare)
"""
_BARE = ("probes", "probes.scoring", "probes.scoring.execution", "sandbox", "sandbox.outside")
"""Packages of which the process imports modules, but not what their ``__init__.py`` imports: the other scorers, say."""
_PACKAGES = str(Path(__file__).parents[3])
"""Where our packages lie. An editable install makes them known by a finder, which the process does not have."""


class Unread(Exception):
    """A text was not parsed: it is too long, or took too much time or memory. The message says which."""


class Parser:
    """Such a process: started by the first question and replaced when a text has ended it. Threads may share a Parser;
    it answers one question at a time."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def ask(self, question: Callable[..., Any], *arguments: Any) -> Any:
        """The JSON result of ``question``, a top-level function of one of our modules, for these JSON values; a
        dataclass comes back as a dict. Unread when a text is longer than LONGEST or took too much; MissingRequirement
        when the process does not start."""
        if any(len(text) > LONGEST for text in arguments if isinstance(text, str)):
            raise Unread(f"it is longer than {LONGEST} characters")
        frame = protocol.pack([question.__module__, question.__qualname__, arguments])
        with self._lock:
            answer = (
                self._answer(frame) or self._answer(frame) or {"unread": "it ended the process that parsed it, twice"}
            )
        if "unread" in answer:
            raise Unread(answer["unread"])
        return answer["value"]

    def extract(self, text: str, entry_point: str = "", stub: str = "") -> Extracted:
        """The program of an answer (extraction.py). An answer that cannot be parsed is taken as a program: the sandbox
        will then say what is wrong with it."""
        try:
            found = self.ask(extraction.extract, text, entry_point, stub)
        except Unread:
            return Extracted(stub + text, "completion" if stub else "bare")
        return Extracted(found["source"], found["form"])

    def salvage(self, text: str, source: str, entry_point: str, stub: str) -> str | None:
        """The program of an answer with a wrong format (extraction.py); None if it cannot be parsed."""
        try:
            found: str | None = self.ask(extraction.salvage, text, source, entry_point, stub)
        except Unread:
            return None
        return found

    def close(self) -> None:
        """End the process; the next question starts another."""
        with self._lock:
            self._end()

    def _answer(self, frame: bytes) -> dict[str, Any] | None:
        """The answer; None if the process ended or was too slow, for which the text may not be the reason."""
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            protocol.write_all(process.stdin.fileno(), frame)
            reply = _read(process.stdout.fileno(), time.monotonic() + DEADLINE)
        except BrokenPipeError:
            reply = None
        except BaseException:  # Ctrl-C, say: the next question must not get the answer to this one
            self._end()
            raise
        if reply is None or reply["last"]:
            self._end()
        if reply is None and process.returncode == -signal.SIGPROF:
            return {"unread": f"it took more than {self._seconds:g} s to parse"}
        answer: dict[str, Any] | None = reply and reply["answer"]
        return answer

    def _start(self) -> "subprocess.Popen[bytes]":
        path = json.dumps([_PACKAGES, *map(os.path.abspath, sys.path)])
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", "-c", _BOOT, path, str(self._seconds), json.dumps(_BARE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,  # so that it does not get our Ctrl-C
        )
        assert process.stdout is not None
        try:
            started = _read(process.stdout.fileno(), time.monotonic() + START_SECONDS) == READY
        except BaseException:  # Ctrl-C, say
            _stop(process)
            raise
        if not started:
            _stop(process)
            raise MissingRequirement(
                f"the process that parses answers did not start (exit code {process.returncode}); run "
                f"{sys.executable} -c 'import {__name__}' to see why, and install nightlane again"
            )
        return process

    def _end(self) -> None:
        if self._process is None:
            return
        _stop(self._process)
        self._process = None


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.communicate()  # closes the streams, and waits


def _read(descriptor: int, deadline: float) -> Any:
    """The next frame; None if the process ends or the deadline comes before it."""
    data = b""
    size = protocol.HEADER.size
    while len(data) < size:
        remaining = deadline - time.monotonic()
        if not is_readable(descriptor, remaining):
            return None
        part = os.read(descriptor, 1 << 20)
        if not part:
            return None
        data += part
        if len(data) >= protocol.HEADER.size:
            size = protocol.HEADER.size + protocol.HEADER.unpack_from(data)[0]
    return protocol.unpack(data[protocol.HEADER.size :])
