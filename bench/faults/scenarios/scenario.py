"""A scenario: a command in a folder, how a person recovers after a fault, and what must be in the folder at the end."""

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.faults.injection.supervisor import ProcessResult
from bench.faults.scenarios.observe import Observed

Command = Callable[[], int]
"""Returns its exit code."""
Run = Callable[..., ProcessResult]
"""Runs a command in a forked process: (command, fault=None, stdin="")."""
SENTENCE = re.compile(r"nightlane: .{10,}")


class Misbehaved(Exception):
    """A command did something that it must never do; raised by ``recover``."""


@dataclass(frozen=True)
class Scenario:
    """What is run under faults.

    ``prepare`` writes what the command needs. ``recover`` does what a person does after the command was interrupted,
    until it succeeds or is refused. ``reported`` returns what the command's stderr reports as done, and ``stored`` what
    the files have of it. ``weight`` is its share of the cases. ``power_cuts``: the writes are recorded, and power cuts
    are played. ``timeout``: a command that takes more seconds hangs; without a fault, the machine is too slow.
    """

    name: str
    prepare: Callable[[Path, Run], None]
    command: Callable[[Path], Command]
    recover: Callable[[Path, Run], Sequence[ProcessResult]]
    observe: Callable[[Path], Observed]
    reported: Callable[[str], set[str]] = lambda stderr: set()
    stored: Callable[[Path], set[str]] = lambda root: set()
    stdin: str = ""
    weight: int = 1
    power_cuts: bool = True
    timeout: float = 60.0


def nightlane(*arguments: object, before: Callable[[], None] | None = None) -> Command:
    """The nightlane command with these arguments. ``before`` replaces parts of the product first."""

    def command() -> int:
        from cli.main import main

        if before is not None:
            before()
        sys.argv = ["nightlane", *map(str, arguments)]
        main()
        return 0

    return command


def exit_code_of(command: Command) -> int:
    """Run a command as a part of another one."""
    try:
        return command()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0


def repeat(command: Callable[[Path], Command]) -> Callable[[Path, Run], Sequence[ProcessResult]]:
    """Recover by giving the same command again."""
    return lambda root, run: [run(command(root))]


def problem_of(result: ProcessResult) -> str:
    """How a command ended badly; "" if it succeeded or was refused in one sentence."""
    if result.hung:
        return "it hung"
    if "Traceback (most recent call last)" in result.stderr:
        lines = [line for line in result.stderr.splitlines() if line.strip()]
        return f"traceback: {lines[-1][:200]}"
    if result.code < 0:
        return f"it died by signal {-result.code}"
    if result.code == 1:
        return f"exit 1: {result.stderr[-200:]}"
    if result.code and not SENTENCE.search(result.stderr):
        return f"exit {result.code} without a sentence"
    return ""
