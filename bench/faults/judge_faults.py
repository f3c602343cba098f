"""Compares a night whose judge fails in every way with the same night without faults.

    python -m bench.faults.judge_faults [--decisions 8] [--faults 0.5] [--json]

Runs labs/persona/study.toml twice, in separate folders, with the scripted judge over HTTP: once without faults, and
once with faults in the given share of first replies (testing/scripted_endpoint/faults.py has the kinds). Every column
of results.tsv except times, memory and cost must be equal; otherwise the exit code is 1.
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import labs.persona
from bench.faults.scenarios.observe import VARYING_COLUMNS
from testing.scripted_endpoint.faults import FAULTS
from testing.scripted_endpoint.server import MODEL, ScriptedEndpoint

LAB = Path(labs.persona.__file__).parent


@dataclass(frozen=True)
class JudgedNight:
    """The rows without varying columns, the injected faults, requests and seconds."""

    rows: list[dict[str, str]]
    faults: Counter[str]
    requests: int
    seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=8)
    parser.add_argument("--faults", type=float, default=0.5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    labs.persona.build(LAB / "build", lambda what, share: None)
    clean, faulty = night(options.decisions, 0.0), night(options.decisions, options.faults)
    equal = clean.rows == faulty.rows and len(clean.rows) == options.decisions + 1
    if options.json:
        print(json.dumps({"equal": equal, "rows": len(clean.rows), "faults": faulty.faults}))
    else:
        print(f"{len(clean.rows)} rows of results.tsv, {'equal' if equal else 'NOT EQUAL'} with and without faults")
        print(f"without: {clean.requests} requests, {clean.seconds:.0f} s")
        print(f"with:    {faulty.requests} requests, {faulty.seconds:.0f} s, and these faults:")
        for name in FAULTS:
            print(f"{faulty.faults[name]:>5}  {name}")
    return 0 if equal and set(faulty.faults) == set(FAULTS) else 1


def night(decisions: int, faults: float) -> JudgedNight:
    """Run one session in a copy of the lab, so that it cannot use cached judgements of another session."""
    with tempfile.TemporaryDirectory() as folder:
        lab = Path(shutil.copytree(LAB, Path(folder) / "persona", ignore=shutil.ignore_patterns("judge-cache*")))
        script = {"judge": "words", "known": str(lab / "calibration.jsonl"), "faults": faults}
        with ScriptedEndpoint([script]) as endpoint:
            environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
            environment |= {"OPENAI_JUDGE_BASE_URL": endpoint.base_url, "OPENAI_JUDGE_MODEL": MODEL}
            command = [
                sys.executable,
                "-m",
                "cli.main",
                "run",
                str(lab / "study.toml"),
                "--workspace",
                folder,
                "--decisions",
                str(decisions),
            ]
            start = time.perf_counter()
            subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
            seconds = time.perf_counter() - start
            with (Path(folder) / "results.tsv").open(encoding="utf-8") as stream:
                table = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
            rows = [{name: value for name, value in row.items() if name not in VARYING_COLUMNS} for row in table]
            return JudgedNight(rows, endpoint.faults, len(endpoint.requests), seconds)


if __name__ == "__main__":
    sys.exit(main())
