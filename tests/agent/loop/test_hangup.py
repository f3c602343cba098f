"""A terminal that is closed under a night: the night ends resumable, or goes on where SIGHUP is ignored (nohup)."""

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.ledger.store import Ledger
from common.interrupts import Interrupted, interruptible, uninterrupted
from testing import simulated_study

ROOT = Path(__file__).parents[3]
STUDY = simulated_study.STUDY.replace("decisions = 8", "decisions = 3\nprobes = 20") + "simulated_seconds = 0.1\n"


class Night:
    """``nightlane run`` on a terminal of its own, whose window can be closed."""

    def __init__(self, folder: Path, ignoring: bool) -> None:
        self.folder = folder
        self.master, slave = pty.openpty()
        study = simulated_study.write_study(folder / "study", STUDY)

        def at_home() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            signal.signal(signal.SIGHUP, signal.SIG_IGN if ignoring else signal.SIG_DFL)

        command = [sys.executable, "-m", "cli.main", "run", str(study), "--workspace", str(folder)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, preexec_fn=at_home
        )
        os.close(slave)
        self.seen = b""
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        """A terminal reads what is written to it."""
        try:
            while block := os.read(self.master, 65536):
                self.seen += block
        except OSError:
            pass

    @property
    def log(self) -> str:
        path = self.folder / "runs" / "progress.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def close_window_once(self, there: Callable[[], bool]) -> int:
        """The exit code of the night whose window was closed when it had come so far."""
        end = time.monotonic() + 60
        while not there() and self.process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        assert self.process.poll() is None, self.seen
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, b"\0" * 8)
        os.close(self.master)
        return self.process.wait(timeout=120)


@pytest.mark.long
def test_a_closed_terminal_ends_a_night_that_can_be_resumed(tmp_path: Path) -> None:
    night = Night(tmp_path, ignoring=False)
    assert night.close_window_once(lambda: "NOISE" in night.log) == 130
    assert "INTERRUPTED by SIGHUP, since its terminal was closed: a session in tmux" in night.log
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        assert (row := ledger.session()) is not None
        assert row.finished is None


@pytest.mark.long
def test_a_night_that_ignores_sighup_outlives_its_terminal(tmp_path: Path) -> None:
    night = Night(tmp_path, ignoring=True)
    assert night.close_window_once(lambda: "NOISE" in night.log) == 0
    assert " END " in night.log
    assert "INTERRUPTED" not in night.log


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_signal_is_named_and_waits_for_the_write_in_hand(number: signal.Signals) -> None:
    wrote = []
    with interruptible(), pytest.raises(Interrupted, match="Ctrl-C" if number == signal.SIGINT else number.name):
        with uninterrupted():
            os.kill(os.getpid(), number)
            wrote.append("whole")
        wrote.append("never")
    assert wrote == ["whole"]


def test_a_second_hangup_does_not_disturb_what_the_first_set_going() -> None:
    ended = []
    with interruptible():
        try:
            os.kill(os.getpid(), signal.SIGHUP)
        except Interrupted:
            os.kill(os.getpid(), signal.SIGHUP)
            ended.append("in order")
    assert ended == ["in order"]
