"""Measures how long `nightlane check` takes to render and tokenise rows, against TRL's own tokenisation of such rows.

    python -m bench.speed.check_rows [MODEL] [--rows 60000] [--share 4000] [--json]

MODEL: a folder with a tokenizer and a chat template; labs/smollm/build/base by default, which `python -m labs.smollm`
builds. The rows are conversations of a system turn, a question and two answers of random common words (about 400 tokens
a side with the prompt). TRL gets only --share of the rows: DPOTrainer prepares them with datasets.map in one process.
The two run one after the other, each in a process of its own. Exit status 1: `nightlane check` exceeds the limit both
in wall-clock time and in processor time (wall-clock time alone may be due to other work on the cores).
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

MODEL = Path(__file__).parents[2] / "labs" / "smollm" / "build" / "base"
LIMIT = 60.0  # seconds
MAX_LENGTH = 2048
TEXT = (
    "the of and a to in is was he for it with as his on be at by had not are but from or have an they which one you "
    "were all her she there would their we him been has when who will no more if out so up said what its about than "
    "into them can only other time new some could these two may first then do any my now such like our over man me"
)


@dataclass(frozen=True)
class SideTimes:
    """Wall-clock and processor seconds of one side, for ``rows`` rows."""

    rows: int
    seconds: float
    processor: float

    @property
    def ms_each(self) -> float:
        return 1000 * self.processor / self.rows


@dataclass(frozen=True)
class RowCheckTimes:
    """``load``: the machine's load average before and after, of one minute."""

    ours: SideTimes
    trl: SideTimes
    cores: int
    load: tuple[float, float]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?", default=MODEL)
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--share", type=int, default=4000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--run", choices=("ours", "trl"), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        side = run_ours(given.model, given.file) if given.run == "ours" else run_trl(given.model, given.file)
        print(json.dumps(asdict(side)))
        return 0
    figures = measure(given.model, given.rows, given.share)
    print(json.dumps(asdict(figures)) if given.json else table(figures))
    return 0 if min(figures.ours.seconds, figures.ours.processor) <= LIMIT else 1


def measure(model: Path, rows: int, share: int) -> RowCheckTimes:
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        files = [write_rows(Path(folder) / f"{number}.jsonl", number) for number in (rows, min(share, rows))]
        ours, trl = (in_a_process(model, name, file) for name, file in zip(("ours", "trl"), files, strict=True))
    return RowCheckTimes(ours, trl, os.cpu_count() or 1, (load, os.getloadavg()[0]))


def in_a_process(model: Path, name: str, file: Path) -> SideTimes:
    command = [sys.executable, "-m", "bench.speed.check_rows", str(model), "--run", name, "--file", str(file)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return SideTimes(**json.loads(done.stdout.splitlines()[-1]))


def write_rows(path: Path, number: int) -> Path:
    chance, words = random.Random(1), TEXT.split()

    def text(low: int, high: int) -> str:
        return f"{' '.join(chance.choices(words, k=chance.randint(low, high))).capitalize()}."

    with path.open("w", encoding="utf-8") as stream:
        for place in range(number):
            question = [turn("system", "You are a helper."), turn("user", f"{place}: {text(20, 150)}")]
            chosen, rejected = ([turn("assistant", text(50, 400))] for _ in range(2))
            stream.write(json.dumps({"prompt": question, "chosen": chosen, "rejected": rejected}) + "\n")
    return path


def turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def run_ours(model: Path, file: Path) -> SideTimes:
    from probes.inputs.settings import ModelSettings
    from probes.inputs.sources import read_source
    from probes.model.load import load_renderer
    from probes.rendering.row_check import count

    renderer = load_renderer(ModelSettings(path=str(model)), Path())
    source = read_source("rows", file)
    _ = renderer.stop
    began, processor = time.perf_counter(), time.process_time()
    counts = count(renderer, {"rows": source.pairs}, MAX_LENGTH)["rows"]
    side = SideTimes(counts.rows, time.perf_counter() - began, time.process_time() - processor)
    if counts.refused:
        raise SystemExit(f"{len(counts.refused)} rows were refused: {counts.refused[0]}")
    return side


def run_trl(model: Path, file: Path) -> SideTimes:
    from datasets import Dataset, disable_progress_bars
    from transformers import AutoTokenizer
    from trl import DPOTrainer

    disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(model)
    with file.open(encoding="utf-8") as stream:
        dataset = Dataset.from_list([json.loads(line) for line in stream])
    trainer: Any = SimpleNamespace(_tokenizer=tokenizer)
    settings: Any = SimpleNamespace(dataset_num_proc=None, max_length=None, truncation_mode="keep_start")
    began, processor = time.perf_counter(), time.process_time()
    prepared = DPOTrainer._prepare_dataset(trainer, dataset, tokenizer, settings, "train")
    return SideTimes(len(prepared), time.perf_counter() - began, time.process_time() - processor)


def table(figures: RowCheckTimes) -> str:
    ours, trl = figures.ours, figures.trl
    heading = f"{'':<44}{'rows':>8}{'seconds':>10}{'processor s':>13}{'ms a row':>10}"
    lines = [
        f"{name:<44}{side.rows:>8}{side.seconds:>10.1f}{side.processor:>13.1f}{side.ms_each:>10.2f}"
        for name, side in (("nightlane check", ours), ("TRL's DPOTrainer, datasets.map, one process", trl))
    ]
    before, after = figures.load
    return "\n".join(
        [
            heading,
            *lines,
            f"processor time of a row: {ours.ms_each / trl.ms_each:.2f} times TRL's",
            f"limit: {LIMIT:g} s; {figures.cores} cores; load average {before:.1f} before and {after:.1f} after",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
