"""Real sessions of microcoder over all lanes, and the true effects of their KEEPs, measured again with fresh seeds.

    python -m bench.real_nights [--probes 24,48] [--seeds 12] [--folder DIR]

Runs a session of the bundled study for each number of probes. Then the last incumbent and the starting recipe are
trained with fresh seeds and answer the holdout prompts, which no decision used. Writes bench/results/real_nights.md in
about half an hour on two cores. ``--folder`` keeps all files, and a repeated call reuses those that exist.
"""

import argparse
import contextlib
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.study.load import load_study
from bench.closed_loop import STUDY, nightlane
from bench.held_out import compared
from lanes import Recipe
from probes.result.comparison import OVERALL, Comparison, Difference
from view.data.results import read_results
from view.markdown import table

RESULT = Path(__file__).parent / "results" / "real_nights.md"
FIRST_SEED = 9_000_000
"""The first of the fresh seeds; no session of the bundled study uses one of them."""


@dataclass(frozen=True)
class RealNight:
    """``stacks``: the effects that results.tsv claims for the kept stacks. ``truth``: the last incumbent compared with
    the start on the holdout prompts, None if nothing was kept."""

    probes: int
    decided: int
    stacks: Sequence[tuple[float, float, float]]
    changes: Sequence[str]
    truth: Comparison | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--probes", default="24,48", help="budget of each session, in probes, separated by commas")
    parser.add_argument("--seeds", type=int, default=12, help="number of fresh seeds for the true effects")
    parser.add_argument("--folder", type=Path, help="where to keep all files; without it, they are deleted")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        nights = [
            played(folder.resolve() / f"night-{probes}", int(probes), options.seeds)
            for probes in options.probes.split(",")
        ]
    text = markdown(nights, options.seeds)
    RESULT.write_text(text, encoding="utf-8")
    print(text)


def played(folder: Path, probes: int, seeds: int) -> RealNight:
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob("runs/session-*/report.md")):
        nightlane("run", STUDY, "--workspace", folder, "--probes", probes)
    (standing,) = folder.glob("runs/session-*/recipe.toml")
    study, rows = load_study(STUDY), read_results(folder / "results.tsv")
    recipe = Recipe.model_validate(tomllib.loads(standing.read_text(encoding="utf-8")))
    kept = rows[rows["status"] == "KEEP"]
    stacks = kept.drop_duplicates("stack")[["stack_delta", "stack_ci_low", "stack_ci_high"]]
    truth = None
    if recipe.digest != study.start.digest:
        both = {"start": study.start, "stands": recipe}
        fresh = range(FIRST_SEED, FIRST_SEED + seeds)
        truth = compared(study, folder / "truth", both, "start", fresh, study.file.probe.samples)["stands"]
    return RealNight(
        probes,
        int((rows["status"] != "BASELINE").sum()),
        [(float(delta), float(low), float(high)) for delta, low, high in stacks.itertuples(index=False)],
        [f"{row.knob} {row.before} -> {row.after}" for row in kept.itertuples()],
        truth,
    )


def markdown(nights: Sequence[RealNight], seeds: int) -> str:
    rows = [
        (
            str(night.probes),
            str(night.decided),
            "; ".join(night.changes) or "none",
            "; ".join(_interval(*claim) for claim in night.stacks),
            _truth(night.truth, "imports"),
            _worst(night.truth),
        )
        for night in nights
    ]
    heads = ("probes", "changes decided on", "kept", "claimed by stack", f"true, {seeds} seeds", "worst guard, true")
    return "\n".join(
        [
            "# Real nights: what was kept, and its true effect",
            "",
            "`python -m bench.real_nights`: sessions of microcoder over all lanes. true: the last incumbent minus "
            f"the starting recipe on the holdout prompts, with {seeds} seeds that no session used, on the scale "
            "of 0 to 10, with 95 % intervals.",
            "",
            *table(heads, rows, right=(0, 1)),
            "",
        ]
    )


def _truth(truth: Comparison | None, category: str) -> str:
    return "" if truth is None else _of(truth.differences[category])


def _worst(truth: Comparison | None) -> str:
    if truth is None:
        return ""
    guards = [one for name, one in truth.differences.items() if name not in (OVERALL, "imports")]
    worst = min(guards, key=lambda one: one.delta)
    return f"{worst.category} {_of(worst)}"


def _of(one: Difference) -> str:
    return _interval(one.delta, one.low, one.high)


def _interval(delta: float, low: float, high: float) -> str:
    return f"{delta:+.2f} [{low:+.2f}, {high:+.2f}]"


if __name__ == "__main__":
    main()
