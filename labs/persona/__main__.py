"""python -m labs.persona [--measure] [--seeds 42 123 7] [--rows TEXT]"""

import argparse
from pathlib import Path

from labs.microcoder.__main__ import _Progress
from labs.persona.material import MANIFEST, build

DIRECTORY = Path(__file__).with_name("build")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m labs.persona", description="Make the material of persona.")
    parser.add_argument("--measure", action="store_true", help="then train and score the recipes of the README")
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 123, 7], help="training seeds for --measure")
    parser.add_argument("--rows", default="", help="measure only the recipes whose name contains this")
    arguments = parser.parse_args()
    build(DIRECTORY, _Progress())
    if not arguments.measure:
        print((DIRECTORY / MANIFEST).read_text(encoding="utf-8"))
        return
    from labs.persona import measure

    measure.main(arguments.seeds, arguments.rows)


if __name__ == "__main__":
    main()
