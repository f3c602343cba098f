"""Commands that another command runs one after the other, each in a process of its own."""

import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import typer

from common.interrupts import ENDED_BY
from common.printable import print_message

KILLED = 128
"""A shell adds the number of the signal."""


def run_step(arguments: Sequence[str]) -> str:
    """Run ``nightlane ARGUMENTS``, and return what it printed as its result. Its messages go to the terminal.

    typer.Exit with its exit code if it fails.
    """
    print_message(f"nightlane: next is nightlane {shlex.join(arguments)}")
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        process_group=0,  # a terminal would send Ctrl-C to it, too, and it is forwarded already
    )
    with _forwarding(process):
        result, _ = process.communicate()
    if process.returncode < 0:
        name = signal.Signals(-process.returncode).name
        print_message(f"nightlane: nightlane {arguments[0]} was ended by {name}; run the same command again to go on")
        raise typer.Exit(KILLED - process.returncode)
    if process.returncode:
        raise typer.Exit(process.returncode)
    return result


@contextmanager
def _forwarding(process: "subprocess.Popen[str]") -> Iterator[None]:
    """Send Ctrl-C, SIGTERM and a closed terminal to the process, which ends where nothing is half written."""

    def forward(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)

    handled = [number for number in ENDED_BY if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, forward) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
