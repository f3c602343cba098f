"""python -m labs.microcoder [--measure] [--seeds 42 123 7] [--rows TEXT]"""

import argparse
import sys
import time
from pathlib import Path

from labs.microcoder.material import MANIFEST, build

DIRECTORY = Path(__file__).with_name("build")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m labs.microcoder", description="Make the material of microcoder.")
    parser.add_argument("--measure", action="store_true", help="then train and score the recipes of the README")
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 123, 7], help="training seeds for --measure")
    parser.add_argument("--rows", default="", help="measure only the recipes whose name contains this")
    arguments = parser.parse_args()
    build(DIRECTORY, _Progress())
    if not arguments.measure:
        print(f"{(DIRECTORY / MANIFEST).read_text(encoding='utf-8')}")
        return
    from labs.microcoder import measure

    measure.main(arguments.seeds, arguments.rows)


class _Progress:
    """A line on standard error for every ten percent of a stage."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.said = ""

    def __call__(self, stage: str, share: float) -> None:
        say = f"{stage}: {int(share * 10) * 10} %"
        if say != self.said:
            print(f"{time.perf_counter() - self.started:5.0f} s  {say}", file=sys.stderr, flush=True)
            self.said = say


if __name__ == "__main__":
    main()
