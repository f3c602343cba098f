"""One case: a kind and a number select a scenario and a fault in it, and playing the case gives an outcome.

A case can be repeated: `nightlane bench faults --kind kill --case 17` plays the same kill each time.
"""

import random
import shutil
from collections.abc import Sequence
from functools import cache

from bench.faults.injection.supervisor import Supervisor
from bench.faults.outcome import Outcome
from bench.faults.scenarios.commands import COMMANDS
from bench.faults.scenarios.judged_night import JUDGED_NIGHTS
from bench.faults.scenarios.nights import NIGHTS, REAL
from bench.faults.scenarios.scenario import Scenario
from bench.faults.stage import Stage, TooSlow, scratch
from common.errors import MissingRequirement


def play(kind: str, number: int) -> Outcome:
    """Play a case in this process, which must have no other Python thread. Prepared scenarios are kept."""
    if kind == "damaged":
        from bench.faults.damaged_files import play_damaged

        return play_damaged(number)
    name = scenario_of(kind, number).name
    try:
        stage = _stage(name)
    except TooSlow as error:
        return Outcome(kind, number, name, "", faults=0, not_played=str(error))
    except RuntimeError as error:
        return Outcome(kind, number, name, "", traceback=[f"without a fault: {error}"], faults=0)
    return stage.play(kind, number)


@cache
def _slots() -> Sequence[Scenario]:
    """The scenarios, each as often as its weight, in a random order."""
    slots = [scenario for scenario in (*NIGHTS, *JUDGED_NIGHTS, *COMMANDS) for _ in range(scenario.weight)]
    random.Random("slots").shuffle(slots)
    return slots


def scenario_of(kind: str, number: int) -> Scenario:
    if kind == "real":
        return REAL
    return _slots()[number % len(_slots())]


_stages: dict[str, "Stage | RuntimeError | TooSlow"] = {}


def _stage(name: str) -> Stage:
    """The prepared scenario; RuntimeError if it fails without a fault, TooSlow if it does not end in time. It is
    prepared once."""
    if name not in _stages:
        try:
            _stages[name] = Stage(next(scenario for scenario in (*_slots(), REAL) if scenario.name == name))
        except (RuntimeError, TooSlow) as error:
            _stages[name] = error
    stage = _stages[name]
    if isinstance(stage, Exception):
        raise stage
    return stage


def require_possible() -> None:
    """MissingRequirement unless the kernel lets one process answer the system calls of another."""
    folder = scratch()
    try:
        Supervisor(folder, folder, timeout=10).run(lambda: 0)
    except (OSError, ValueError) as error:
        raise MissingRequirement(
            f"faults at system calls need a kernel that lets a process ask another about them (seccomp user "
            f"notification, Linux 5.5 or later, not blocked by a container), and here it does not: {error}"
        ) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
