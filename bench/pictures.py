"""Draws the pictures of docs/decisions.md from the decision rule: python -m bench.pictures (with the extra "bench")."""

import gzip
import json
from pathlib import Path

import numpy

try:
    import matplotlib
except ModuleNotFoundError:
    raise SystemExit(
        "the pictures need matplotlib, which is not installed; run: pip install 'nightlane[bench]'"
    ) from None

matplotlib.use("svg")
from matplotlib import pyplot
from matplotlib.axes import Axes

from agent.policy.alpha_spending import levels
from agent.policy.decision_rule import FIRST_LOOK, Terms, screen
from agent.policy.session_statistics import Knowledge
from agent.policy.settings import Policy
from bench.decisions.figures import CURVE
from bench.decisions.play import BUDGET
from probes.result.comparison import Comparison, Difference, quantile
from probes.result.variance_pooling import Spread

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
RECORDED = Path(__file__).parent / "results"
POLICY = Policy()
TERMS = Terms(POLICY, "target", {}, POLICY.confirming_seeds)
KNOWN = Knowledge({}, 0.09, POLICY.night_error)
NOISE = 0.38
"""The standard deviation of a pair's difference: bench/decisions' default noise, correlation 0.5, 4 answers."""
KEPT, DROPPED, QUIET = "#0f766e", "#b91c1c", "#64748b"


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    matplotlib.rcParams.update({"svg.hashsalt": "nightlane", "font.size": 9, "axes.spines.top": False})
    for name, draw in (("screening", screening), ("confirmation", confirmation), ("error", error), ("won", won)):
        draw()
        pyplot.tight_layout()
        pyplot.savefig(FOLDER / f"{name}.svg", metadata={"Date": None})
        pyplot.close()


def course(effect: float, seed: int, pairs: int) -> list[Difference]:
    """The estimates of a candidate after 1, 2, ... pairs, with a variance of 16 degrees of freedom."""
    draws = numpy.random.default_rng(seed).normal(effect, NOISE, pairs)
    found = []
    for count in range(1, pairs + 1):
        own = float(draws[:count].var(ddof=1)) if count > 1 else 0.0
        spread = Spread(NOISE**2, 16).with_own(own, count - 1)
        delta, width = float(draws[:count].mean()), (spread.variance / count) ** 0.5
        half = quantile(0.025, spread.freedom) * width
        found.append(
            Difference(
                category="target",
                n=36,
                candidate=6 + delta,
                baseline=6.0,
                delta=delta,
                standard_error=width,
                low=delta - half,
                high=delta + half,
                variance=own,
                freedom=spread.freedom,
            )
        )
    return found


def screening() -> None:
    """Draw three candidates: one is hopeless after two pairs, one stays open, one becomes promising."""
    _, (left, right) = pyplot.subplots(1, 2, figsize=(8, 3))
    for effect, looks, colour, name in (
        (-0.2, 1, DROPPED, "hopeless"),
        (0.15, 3, QUIET, "open"),
        (0.5, 2, KEPT, "promising"),
    ):
        seen, hopes = next(found for seed in range(10_000) if len((found := screened(effect, seed))[1]) == looks)
        pairs = range(POLICY.first_seeds, POLICY.first_seeds + looks)
        estimates, widths = [one.delta for one in seen], [1.96 * one.standard_error for one in seen]
        left.errorbar(pairs, estimates, yerr=widths, color=colour, marker="o", capsize=3, label=name)
        right.plot(pairs, hopes, color=colour, marker="o")
    left.axhline(0, color="black", linewidth=0.5)
    right.axhspan(0, POLICY.hopeless, color=DROPPED, alpha=0.08)
    right.axhspan(POLICY.promising, 1, color=KEPT, alpha=0.08)
    right.text(1.6, POLICY.hopeless - 0.08, "ends: hopeless", color=DROPPED)
    right.text(1.6, 0.93, "is confirmed: promising", color=KEPT)
    left.set_xlim(1.5, POLICY.screening_seeds + 0.5)
    right.set_xlim(1.5, POLICY.screening_seeds + 0.5)
    _labelled(left, "difference, points")
    _labelled(right, "chance to be kept")
    right.set_ylim(0, 1)
    left.legend(frameon=False)


def screened(effect: float, seed: int) -> tuple[list[Difference], list[float]]:
    """The estimates at each look of the screening, and the chance of a KEEP at each."""
    seen, hopes = course(effect, seed, POLICY.screening_seeds)[POLICY.first_seeds - 1 :], list[float]()
    for pairs, one in enumerate(seen, start=POLICY.first_seeds):
        look, step = screen(
            Comparison(
                differences={"target": one},
                seeds=tuple(range(pairs)),
                confidence=0.95,
                critical_candidate=0,
                critical_baseline=0,
            ),
            TERMS,
            KNOWN,
        )
        hopes.append(look.chance)
        if step != "more":
            break
    return seen[: len(hopes)], hopes


def confirmation() -> None:
    """Draw the lower bound at each look, for a change with an effect of 0.4 and for one without an effect."""
    _, axes = pyplot.subplots(figsize=(8, 3))
    cuts = levels(POLICY.night_error * POLICY.spend, POLICY.confirming_seeds, FIRST_LOOK)
    for effect, seed, colour, name in ((0.4, 4, KEPT, "helps by 0.4"), (0.0, 12, DROPPED, "does nothing")):
        seen = course(effect, seed, POLICY.confirming_seeds)[FIRST_LOOK - 1 :]
        pairs = range(FIRST_LOOK, FIRST_LOOK + len(seen))
        bounds = [one.bound(level) for one, level in zip(seen, cuts, strict=True)]
        stop = next((i + 1 for i, bound in enumerate(bounds) if bound > 0), len(bounds))
        axes.plot(pairs[:stop], [one.delta for one in seen][:stop], color=colour, marker="o", label=f"{name}: estimate")
        axes.plot(pairs[:stop], bounds[:stop], color=colour, marker="v", linestyle=":", label="its lower bound")
    axes.axhline(POLICY.smallest_effect, color="black", linewidth=0.8)
    axes.text(12.3, 0.14, "KEEP when the lower bound passes this line")
    _labelled(axes, "difference, points")
    axes.legend(frameon=False, ncols=2, fontsize=8)


def error() -> None:
    """Draw the remaining error after each confirmation of a night without a KEEP, and of one that keeps its fourth."""
    _, axes = pyplot.subplots(figsize=(8, 2.6))
    for kept, colour, name in ((None, QUIET, "nothing is kept"), (4, KEPT, "the fourth is kept")):
        left, purse = [POLICY.night_error], POLICY.night_error
        for number in range(1, 9):
            purse = POLICY.later_error if number == kept else purse * (1 - POLICY.spend)
            left.append(purse)
        axes.step(range(9), left, where="post", color=colour, label=name)
    axes.set_xlabel("confirmations")
    axes.set_ylabel("error left")
    axes.legend(frameon=False)


def won() -> None:
    """Draw the gains of the recorded nights of bench/decisions, and their false KEEPs."""
    data = json.loads(gzip.decompress((RECORDED / "decisions.json.gz").read_bytes()))
    figures = data["cells"][0]["figures"]
    pooled = [row for row in figures if row["family"] == "pooled" and row["policy"] != "oracle"]
    null = {row["policy"]: row["any_keep"]["value"] for row in figures if row["family"] == "null"}
    _, (left, right) = pyplot.subplots(1, 2, figsize=(8, 3.4))
    labelled: list[tuple[float, float]] = []
    for row in sorted(pooled, key=lambda row: -row["curve"][-1]):
        ours = row["policy"] == "nightlane"
        colour, width = (KEPT, 2.5) if ours else (QUIET, 0.8)
        x, y = null[row["policy"]], row["curve"][-1]
        left.plot([0, *(BUDGET * share for share in CURVE)], [0, *row["curve"]], color=colour, linewidth=width)
        right.plot(x, y, "o", color=colour, markersize=7 if ours else 4)
        lower = 9 * sum(abs(x - other) < 0.1 and abs(y - height) < 0.03 for other, height in labelled)
        right.annotate(
            row["policy"],
            (x, y),
            textcoords="offset points",
            xytext=(6 if x < 0.5 else -6, -3 - lower),
            fontsize=7,
            color=colour,
            ha="left" if x < 0.5 else "right",
        )
        labelled.append((x, y))
    left.set(xlabel="probes spent", ylabel="share of the headroom won")
    left.annotate("nightlane", (95, 0.06), color=KEPT, fontsize=8)
    right.set(xlabel="null nights that end with a KEEP", xlim=(-0.05, 1.1))


def _labelled(axes: Axes, what: str) -> None:
    axes.set_xlabel("pairs")
    axes.set_ylabel(what)
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))


if __name__ == "__main__":
    main()
