"""Measures the time of judging: concurrent calls, single calls, and cached judgements.

    python -m bench.speed.judge [--answers 500] [--kept 100000] [--json]

The judge is the scripted endpoint in a process of its own, with a delay of 50 ms before each reply; the scorer, the
openai client and the cache are those of a session. Answers have 100 words. Exit status 0: both limits hold.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from probes.endpoint.spending import Allowance, SpendingMeter
from probes.inputs.prompts import Prompt
from probes.scoring import Answer, Context, Mark
from probes.scoring.judge.requests.cache import JudgeCache, cache_key
from probes.scoring.judge.scorer import JudgeScorer
from probes.scoring.judge.settings import JudgeSettings

DELAY, CONCURRENCY, ONE_BY_ONE, REPEATS = 0.05, 16, 40, 3
INPUT_PRICE, OUTPUT_PRICE = 3.0, 15.0
"""Dollars per million tokens."""
SECONDS_LIMIT, HIT_MS_LIMIT = 4.0, 2.0
RUBRIC = "\n".join(
    f'[[component]]\nname = "{name}"\nweight = {weight}\ndefinition = "{" ".join(["what is wanted"] * 12)}"'
    for name, weight in {"voice": 25, "rhetorical": 20, "historical": 20, "position": 20, "integrity": 15}.items()
)


@dataclass(frozen=True, kw_only=True)
class JudgeTimes:
    """Seconds of ``answers`` concurrent judgements; milliseconds of one judgement, concurrent and one by one, and of a
    hit in a cache of ``kept`` judgements."""

    answers: int
    seconds: float
    ms_each: float
    ms_one_by_one: float
    kept: int
    hit_ms: float
    hit_ms_slowest: float

    @property
    def holds(self) -> bool:
        return self.seconds <= SECONDS_LIMIT and self.hit_ms_slowest < HIT_MS_LIMIT


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=500)
    parser.add_argument("--kept", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "rubric.toml").write_text(RUBRIC, encoding="utf-8")
        figures = measure(Path(folder), given.answers, given.kept)
    print(json.dumps(asdict(figures)) if given.json else table(figures))
    return 0 if figures.holds else 1


def measure(folder: Path, count: int, kept: int) -> JudgeTimes:
    some, many = answers(ONE_BY_ONE, "one by one"), answers(count, "at once")
    with judge_on_loopback(folder) as environment:
        alone = seconds(folder, environment, some, 1)
        together = seconds(folder, environment, many, CONCURRENCY)
        fill(folder / "judge-cache", kept)
        hits = hit_times(folder, environment, many)
    at_once, one = 1000 * together / count, 1000 * alone / len(some)
    return JudgeTimes(
        answers=count,
        seconds=together,
        ms_each=at_once,
        ms_one_by_one=one,
        kept=kept,
        hit_ms=1000 * statistics.median(hits),
        hit_ms_slowest=1000 * max(hits),
    )


def seconds(folder: Path, environment: Mapping[str, str], asked: Sequence[Answer], concurrency: int) -> float:
    """The time to score new answers over new connections, as at the start of a probe."""
    settings = JudgeSettings(
        model="scripted",
        concurrency=concurrency,
        dollars_per_million_input=INPUT_PRICE,
        dollars_per_million_output=OUTPUT_PRICE,
    )
    with closing(JudgeScorer(settings, folder, environment)) as scorer, meter_of(folder) as meter:
        began = time.perf_counter()
        marks = scorer.score(asked, Context(meter=meter))
        took = time.perf_counter() - began
        if meter.spent.calls != len(asked) or not all(isinstance(mark, Mark) for mark in marks):
            raise SystemExit(f"{meter.spent.calls} of {len(asked)} answers were judged")
    return took


def hit_times(folder: Path, environment: Mapping[str, str], asked: Sequence[Answer]) -> list[float]:
    """Seconds of each cached answer, scored by itself; the best of three, because another process on the core costs
    4 ms."""
    settings = JudgeSettings(model="scripted")
    with closing(JudgeScorer(settings, folder, environment)) as scorer, meter_of(folder) as meter:
        score = partial(scorer.score, context=Context(meter=meter))
        took = [min(timeit.repeat(partial(score, [answer]), number=1, repeat=REPEATS)) for answer in asked]
        if meter.spent.calls or meter.spent.cache_hits != REPEATS * len(asked):
            raise SystemExit(f"{meter.spent.cache_hits} of {REPEATS * len(asked)} answers were had from the cache")
    return took


def meter_of(folder: Path) -> SpendingMeter:
    """A spending meter with a limit, as in a session: each call reserves its price in advance."""
    return SpendingMeter(Allowance(file=folder / "judging.sqlite", session="bench", dollars=1000.0))


def fill(folder: Path, count: int) -> None:
    """Fill the cache with judgements of other answers, as after months of use."""
    row = json.dumps(
        {"components": dict.fromkeys("abcde", 7.5), "overall": 7.5, "note": "a short sentence", "dollars": 0.0}
    )
    with closing(JudgeCache(folder)) as cache:
        rows = ((cache_key("filler", number), row) for number in range(count))
        cache._database.execute("BEGIN")
        cache._database.executemany("INSERT INTO judgements VALUES (?, ?)", rows)
        cache._database.execute("COMMIT")


def answers(count: int, name: str) -> list[Answer]:
    chance = random.Random(name)
    words = [f"word{number}" for number in range(500)]
    prompts = [Prompt(f"{name} {number}", "probe", "c", 1, f"What of {number}?", {}) for number in range(count)]
    return [Answer(prompt, " ".join(chance.choices(words, k=100))) for prompt in prompts]


@contextmanager
def judge_on_loopback(folder: Path) -> Iterator[Mapping[str, str]]:
    """Start the judge; yields the environment variables for it."""
    script = folder / "replies.jsonl"
    script.write_text(json.dumps({"judge": "hash", "delay": DELAY}) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "testing.scripted_endpoint.server", str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        try:
            words = process.stdout.readline().split() if process.stdout else []
            yield dict(word.split("=", 1) for word in words[1:])
        finally:
            process.terminate()


def table(figures: JudgeTimes) -> str:
    ratio = figures.ms_one_by_one / figures.ms_each
    return "\n".join(
        [
            f"{figures.answers} judgements, {1000 * DELAY:.0f} ms each, {CONCURRENCY} at once: {figures.seconds:.2f} s "
            f"(limit {SECONDS_LIMIT:g} s)",
            "",
            f"{'ms per judgement':<44}{'':>8}  x one by one",
            f"{f'one by one ({ONE_BY_ONE} judgements)':<44}{figures.ms_one_by_one:>8.1f}{1:>14.2f}",
            f"{f'{CONCURRENCY} at once':<44}{figures.ms_each:>8.1f}{1 / ratio:>14.2f}",
            f"{f'judged before, among {figures.kept} (median)':<44}{figures.hit_ms:>8.2f}"
            f"{figures.hit_ms / figures.ms_one_by_one:>14.4f}",
            f"{f'the slowest of them, best of {REPEATS} (limit {HIT_MS_LIMIT:g})':<44}{figures.hit_ms_slowest:>8.2f}",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
