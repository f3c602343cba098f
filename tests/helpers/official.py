"""The method of the published evaluators of HumanEval and MBPP for ordinary programs: exec in one namespace. A program
passes if it raises nothing. There is no protection, so tests must give it only their own programs."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

_RUN = """
import contextlib, io, json, signal, sys, warnings

warnings.simplefilter("ignore")

def late(*_):
    raise TimeoutError("timed out")

signal.signal(signal.SIGALRM, late)
found = []
for program in json.load(sys.stdin):
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(program, {})
        found.append("passed")
    except BaseException as error:
        found.append(type(error).__name__)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
json.dump(found, sys.stdout)
"""


def verdicts(programs: Sequence[str]) -> list[str]:
    """ "passed", or the name of what was raised, for each program with its test."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", _RUN], input=json.dumps(programs), capture_output=True, text=True, check=True
    )
    found: list[str] = json.loads(done.stdout)
    return found


def humaneval(row: Mapping[str, Any], completion: str) -> str:
    return f"{row['prompt']}{completion}\n{row['test']}\ncheck({row['entry_point']})"


def mbpp(row: Mapping[str, Any], code: str) -> str:
    return "\n".join([code, *row.get("test_imports", []), row.get("test_setup_code") or "", *row["test_list"]])
