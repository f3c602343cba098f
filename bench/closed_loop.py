"""Tests whether a session can use the pairs of an earlier one: a session of microcoder harvests pairs, the code gate
certifies them, and they are a training source of the next session.

    python -m bench.closed_loop [--folder DIR] [--decisions N]

The certified pairs are exported for ORPO. The second study starts from the last incumbent, has the export as a source,
and searches only over manifests. Then the holdout prompts are answered by models that were trained with and without the
new source, with three seeds. Writes bench/results/loop.md in about 25 minutes on two cores. ``--folder`` keeps all
files, and a repeated call reuses those that exist.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from agent.study.load import Study, load_study
from bench.held_out import compared
from lanes import Recipe
from probes.result.comparison import OVERALL, Comparison
from view.data.results import read_results
from view.markdown import table

HERE = Path(__file__).parent
STUDY = HERE.parent / "labs" / "microcoder" / "study.toml"
CONTRACTS = STUDY.parent / "build" / "contracts.jsonl"
RESULT = HERE / "results" / "loop.md"
SEEDS = (42, 123, 7)
SOURCE = "harvested"
SAMPLES = 8
MANIFESTS = {
    "even": {"honest": 1.0, "broken": 1.0},
    "with_harvest": {"honest": 1.0, "broken": 1.0, SOURCE: 1.0},
    "mostly_harvest": {"honest": 1.0, "broken": 1.0, SOURCE: 3.0},
    "harvest_only": {SOURCE: 1.0},
}
COMMAND = [sys.executable, "-m", "cli.main"]


@dataclass(frozen=True)
class LoopResult:
    """``certified``: the JSON of each gate run. ``decided``: rows of the second session's results.tsv. ``on_holdout``:
    by name of a mixture that has the new source, its comparison on the holdout with the mixture without it."""

    harvested: dict[str, int]
    certified: Sequence[dict[str, Any]]
    rows: int
    decided: Sequence[dict[str, str]]
    on_holdout: dict[str, Comparison]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where to keep all files; without it, they are deleted")
    parser.add_argument("--decisions", type=int, default=8, help="number of decisions of the second session")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        text = markdown(close(folder.resolve(), options.decisions))
    RESULT.write_text(text, encoding="utf-8")
    print(text)


def close(folder: Path, decisions: int) -> LoopResult:
    first, second, export = folder / "first", folder / "second", folder / "harvest"
    if not (first / "results.tsv").exists():
        nightlane("run", STUDY, "--workspace", first)
    there = ("--workspace", first, "--json")
    certified = [
        json.loads(nightlane("pairs", "certify", "--kind", kind, "--contracts", CONTRACTS, *there))
        for kind in ("dpo", "preference")
    ]
    if not export.exists():
        nightlane("pairs", "export", export, "--kind", "orpo", "--workspace", first)
    path = second_study(folder, first, export / "train.jsonl")
    if not (second / "results.tsv").exists():
        nightlane("run", path, "--workspace", second, "--decisions", decisions)
    rows = read_results(second / "results.tsv")
    audits = json.loads(nightlane("pairs", "audit", *there))
    return LoopResult(
        {one["kind"]: one["used"] for one in audits},
        certified,
        len((export / "train.jsonl").read_text(encoding="utf-8").splitlines()),
        [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")],
        held_out(load_study(path), folder),
    )


def second_study(folder: Path, first: Path, harvest: Path) -> Path:
    """The bundled study, starting from the last incumbent, with one more source; it searches only over manifests."""
    study = tomllib.loads(STUDY.read_text(encoding="utf-8"))
    (standing,) = first.glob("runs/session-*/recipe.toml")
    study["name"] = "microcoder-harvested"
    study["model"]["path"] = str(STUDY.parent / study["model"]["path"])
    study["prompts"]["file"] = str(STUDY.parent / study["prompts"]["file"])
    study["data"]["sources"] = {name: str(STUDY.parent / file) for name, file in study["data"]["sources"].items()}
    study["data"]["sources"][SOURCE] = str(harvest)
    study["data"]["manifests"] = MANIFESTS
    study["recipe"] = tomllib.loads(standing.read_text(encoding="utf-8")) | {"mixture": "even"}
    study["lanes"] = {"mixture": {"manifest": {}}}
    study["harvest"] = {"prompts": 0}
    for key in ("lab", "proposer"):
        study.pop(key)
    path = folder / "study.toml"
    path.write_text(tomli_w.dumps(study), encoding="utf-8")
    return path


def held_out(study: Study, folder: Path) -> dict[str, Comparison]:
    """By name of a new mixture, its comparison with the starting one on the holdout prompts."""
    recipes = {name: _mixed(study.start, weights) for name, weights in MANIFESTS.items()}
    return compared(study, folder / "holdout", recipes, "even", SEEDS, SAMPLES)


def _mixed(recipe: Recipe, weights: dict[str, float]) -> Recipe:
    return Recipe.model_validate({**recipe.model_dump(), "mixture": weights})


def markdown(result: LoopResult) -> str:
    kept = ", ".join(f"{number} {kind}" for kind, number in result.harvested.items() if number)
    return "\n".join(
        [
            "# Training on the pairs of an earlier session",
            "",
            "`python -m bench.closed_loop`: a session of microcoder, the code gate on its harvest, and a second "
            "session that starts from the last incumbent with an even mixture of both sources, and may mix in the "
            "certified pairs.",
            "",
            f"Harvested: {kept}. Certified pairs without duplicates: {result.rows}; they are the source `{SOURCE}`.",
            "",
            "## The gate",
            "",
            *_gate(result.certified),
            "",
            "## What the search decided",
            "",
            *_decided(result.decided),
            "",
            "## The holdout",
            "",
            f"Seeds {', '.join(map(str, SEEDS))}, {SAMPLES} answers per prompt, scores of 0 to 10. with: the "
            "last incumbent with the named mixture; without: the last incumbent. These figures decided nothing.",
            "",
            *_held(result.on_holdout),
            "",
        ]
    )


def _gate(certified: Sequence[dict[str, Any]]) -> list[str]:
    layers = [one["layer"] for one in certified[0]["layers"]]
    rows = [
        (name, *(f"{one['layers'][place]['caught']} ({one['layers'][place]['alone']})" for one in certified))
        for place, name in enumerate(layers)
    ]
    rows.append(("certified", *(f"{one['certified']} of {one['rows']}" for one in certified)))
    heads = ("refused by (alone)", *(one["kind"] for one in certified))
    return table(heads, rows, right=range(1, len(heads)))


def _decided(rows: Sequence[dict[str, str]]) -> list[str]:
    names = ("status", "knob", "before", "after", "baseline", "delta", "ci_low", "ci_high", "reason")
    cells = [tuple(_cell(row[name]) for name in names) for row in rows]
    return table(names, cells, right=(4, 5, 6, 7))


def _held(comparisons: dict[str, Comparison]) -> list[str]:
    categories = sorted(next(iter(comparisons.values())).differences, key=lambda name: (name == OVERALL, name))
    rows = []
    for name, comparison in comparisons.items():
        for category in categories:
            one = comparison.differences[category]
            rows.append(
                (
                    name,
                    category,
                    f"{one.baseline:.2f}",
                    f"{one.candidate:.2f}",
                    f"{one.delta:+.2f}",
                    f"{one.low:+.2f} to {one.high:+.2f}",
                )
            )
    return table(("mixture", "category", "without", "with", "difference", "95 %"), rows, right=(2, 3, 4, 5))


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.3g}"
    return str(value)


def nightlane(*words: object) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    done = subprocess.run(
        [*COMMAND, *map(str, words)], env=environment, check=True, stdout=subprocess.PIPE, text=True, cwd=HERE.parent
    )
    return done.stdout


if __name__ == "__main__":
    main()
