"""record: train what is missing, write the pool and the truth table. truth: print the table of the pool. repeat: play
sessions over the pool."""

import argparse
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "results"
POOL, TRUTH = RESULTS / "recorded.json.gz", RESULTS / "recorded.md"
FOLDER = Path("runs") / "recorded"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.recorded", description=__doc__)
    parser.add_argument("what", choices=["record", "truth", "repeat"])
    parser.add_argument("--folder", type=Path, default=FOLDER, help="keeps the study and the probe directories")
    parser.add_argument("--repetitions", type=int, default=20)
    given = parser.parse_args()
    from bench.recorded.pool import load
    from bench.recorded.truth import markdown

    if given.what == "repeat":
        from bench.recorded.repeat import markdown as outcome
        from bench.recorded.repeat import repeat

        text = outcome(repeat(load(POOL), given.repetitions))
        (RESULTS / "repeated.md").write_text(f"# Sessions over recorded training\n\n{text}\n", encoding="utf-8")
        print(text)
        return
    if given.what == "record":
        from bench.recorded.record import record, when, write

        study, key, recorded = record(given.folder)
        write(POOL, study, key, recorded, when(given.folder / "runs"))
        TRUTH.write_text(markdown(load(POOL)), encoding="utf-8")
    print(markdown(load(POOL)))


if __name__ == "__main__":
    main()
