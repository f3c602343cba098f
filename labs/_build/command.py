"""The command line of a lab: python -m labs.NAME [--measure] [--seeds 42 123 7] [--rows TEXT]"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from common.errors import NightlaneError
from labs._build.material import MANIFEST, Lab

HERE = Path(__file__).parents[1]
RecipeRow = tuple[str, Mapping[str, object]]
"""Name of a row of the table -> how its recipe differs from the starting recipe."""


@dataclass(frozen=True)
class RecipeTable:
    """The table that --measure prints for a lab. ``worth``: converts a score from 0 to 10 into the table's unit.
    ``digits``: decimal places."""

    study: Path
    categories: Sequence[str]
    recipes: Sequence[RecipeRow]
    worth: Callable[[float], float]
    digits: int


def main(lab: Lab, table: RecipeTable) -> None:
    """Make the material in `labs/NAME/build/`, then print its manifest or measure the recipes of the README."""
    parser = argparse.ArgumentParser(prog=f"python -m labs.{lab.name}", description=f"Make the material of {lab.name}.")
    parser.add_argument("--measure", action="store_true", help="then train and score the recipes of the README")
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 123, 7], help="training seeds for --measure")
    parser.add_argument("--rows", default="", help="measure only the recipes whose name contains this")
    arguments = parser.parse_args()
    directory = HERE / lab.name / "build"
    try:
        lab.build(directory, PrintedProgress())
    except NightlaneError as error:
        print(f"labs.{lab.name}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    if not arguments.measure:
        print((directory / MANIFEST).read_text(encoding="utf-8"))
        return
    from labs._build.measure import print_table

    print_table(table, arguments.seeds, arguments.rows)


class PrintedProgress:
    """A line on standard error for every ten percent of a stage."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.printed = ""

    def __call__(self, stage: str, share: float) -> None:
        line = f"{stage}: {int(share * 10) * 10} %"
        if line != self.printed:
            print(f"{time.perf_counter() - self.started:5.0f} s  {line}", file=sys.stderr, flush=True)
            self.printed = line
