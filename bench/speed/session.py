"""Measures a session of the bundled study: seconds, memory, and the overhead of a probe.

    python -m bench.speed.session [--decisions N] [--rebuild] [--workspace DIR]

``--rebuild`` builds the base model again, to time the first run. ``--workspace`` keeps the session's files.
"""

import argparse
import contextlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from view.data.results import read_results

ROOT = Path(__file__).parents[2]
STUDY = ROOT / "labs" / "microcoder" / "study.toml"
COMMAND = [sys.executable, "-m", "cli.main"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, help="decisions; default: the study's budget, as in make run")
    parser.add_argument("--rebuild", action="store_true")
    parser.add_argument("--workspace", type=Path, help="keeps the session's files; default: delete them")
    arguments = parser.parse_args()
    rows = [("nightlane --help, median of 5", f"{help_seconds():.2f} s", "0.5 s")]
    if arguments.rebuild:
        shutil.rmtree(STUDY.parent / "build", ignore_errors=True)
        seconds, memory = watched([sys.executable, "-m", "labs.microcoder"])
        rows += [("base model and data, first time", f"{seconds:.0f} s", "180 s")]
        rows += [("  peak memory, all processes", f"{memory:.2f} GB", "3 GB")]
    with tempfile.TemporaryDirectory() as passing:
        folder = str(arguments.workspace or passing)
        options = ["--workspace", folder]
        options += ["--decisions", str(arguments.decisions)] if arguments.decisions else []
        seconds, memory = watched([*COMMAND, "run", str(STUDY), *options])
        report = subprocess.run(
            [*COMMAND, "report", "--json", "--workspace", folder], cwd=ROOT, capture_output=True, text=True, check=True
        )
        cost = json.loads(report.stdout)["cost"]
        decided = read_results(Path(folder) / "results.tsv").query("status != 'BASELINE'")
    rows += [
        (f"session of {len(decided)} decisions over {decided['lane'].nunique()} lanes", f"{seconds:.0f} s", "600 s"),
        ("  peak memory, all processes", f"{memory:.2f} GB", "3 GB"),
        ("  probes", f"{cost['probes']}, {cost['seconds_per_probe']:.1f} s each", ""),
        ("  outside training, generation, scoring", f"{cost['other_share']:.1%} of probe time", "10 %"),
    ]
    print(f"{'what':<44}{'measured':<26}limit")
    for name, value, limit in rows:
        print(f"{name:<44}{value:<26}{limit}")


def help_seconds() -> float:
    """Median wall-clock time of five calls of ``nightlane --help``, after one that fills the disk cache."""
    times = []
    for _ in range(6):
        started = time.perf_counter()
        subprocess.run([*COMMAND, "--help"], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def watched(command: list[str]) -> tuple[float, float]:
    """Seconds and peak GB of a command with all its descendants; the proportional set size is sampled every 250 ms."""
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT)
    peak, stop = [0.0], threading.Event()

    def sample() -> None:
        while not stop.wait(0.25):
            peak[0] = max(peak[0], sum(map(proportional_kb, family(process.pid))) / 2**20)

    watcher = threading.Thread(target=sample)
    watcher.start()
    code = process.wait()
    stop.set()
    watcher.join()
    if code:
        sys.exit(code)
    return time.perf_counter() - started, peak[0]


def family(pid: int) -> list[int]:
    members = [pid]
    for member in members:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{member}/task").iterdir():
                members += [int(child) for child in (task / "children").read_text().split()]
    return members


def proportional_kb(pid: int) -> int:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("Pss:")).split()[1])
    return 0


if __name__ == "__main__":
    main()
