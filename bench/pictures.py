"""Draws the pictures of docs/decisions.md with the policy's own functions: python -m bench.pictures (with the extra
"bench")."""

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy

from common.errors import MissingRequirement
from common.optional_dependencies import require_extra

try:
    require_extra("bench", "python -m bench.pictures")
except MissingRequirement as missing:
    raise SystemExit(str(missing)) from None

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot
from matplotlib.axes import Axes

from agent.policy.confirmation import (
    FIRST_LOOK,
    ConfirmationInputs,
    ErrorSpending,
    Look,
    RuleTerms,
    Verdict,
    error_budget,
    look,
)
from agent.policy.knob_effects import Axis, Effects, Observed, Place, Places
from agent.policy.knob_model import KnobModel
from agent.policy.night import TARGET_FREEDOM
from agent.policy.settings import PolicySettings
from agent.policy.wave_design import drawn_wave, spread_wave
from bench.decisions.figures import POOLED
from probes.result.comparison import Comparison, Difference, quantile, standard_error
from probes.result.variance_pooling import Spread

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
RECORDED = Path(__file__).parent / "results"
POLICY = PolicySettings()
TERMS = RuleTerms(POLICY, "target", {})
NOISE = 0.27
"""The standard deviation of a reading with the default noise of bench/decisions: correlation 0.5, 4 answers."""
PAIR = NOISE * 2**0.5
KEPT, DROPPED, QUIET = "#0f766e", "#b91c1c", "#64748b"


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    matplotlib.rcParams.update(
        {"svg.hashsalt": "nightlane", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    )
    for name, draw in (("wave", wave), ("confirmation", confirmation), ("error", error), ("won", won)):
        draw()
        pyplot.tight_layout()
        pyplot.savefig(FOLDER / f"{name}.svg", metadata={"Date": None})
        pyplot.close()


# a wave

PLACES = tuple(float(place) for place in range(-4, 5))
BEST: Mapping[str, tuple[float, float]] = {
    "learning_rate": (2.0, 0.4),
    "beta": (2.0, 0.3),
    "warmup": (-1.0, 0.1),
    "lora_rank": (1.0, 0.1),
    "lora_dropout": (-1.0, 0.05),
}
"""The invented true effects of the picture: each knob's best place, and its gain there."""
AXES = tuple(Axis(knob, 0.0, PLACES) for knob in BEST)
START: Places = dict.fromkeys(BEST, 0.0)
SHOWN = "beta"


def wave() -> None:
    """Draw the recipes of a first wave, and the model of one knob after it and after two more waves."""
    _, (left, right) = pyplot.subplots(1, 2, figsize=(8, 3.2), width_ratios=(1, 1.2))
    random = numpy.random.default_rng(5)
    recipes = spread_wave(AXES, len(AXES) + 3, START, lambda places: True, random)
    readings = [_reading(START, seed, random) for seed in range(3)]
    readings += [_reading(recipe, 0, random) for recipe in recipes]
    first = KnobModel(AXES, readings).effects(START)
    told = first
    for seed in (1, 2):
        drawn = drawn_wave(told, POLICY.wave, START, lambda places: True, random, len(readings))
        readings += [_reading(recipe, seed, random) for recipe in drawn]
        told = KnobModel(AXES, readings).effects(START)
    _design(left, recipes)
    _curve(right, first, QUIET, f"after {len(recipes)} recipes")
    _curve(right, told, KEPT, f"after {len(readings) - 3} recipes")
    right.plot(PLACES, [_truth(SHOWN, place) for place in PLACES], color="black", linestyle=":", label="truth")
    right.axhline(0, color="black", linewidth=0.5)
    right.set(xlabel=f"steps of {SHOWN} from the incumbent", ylabel="effect, points", ylim=(-2.6, 1.1))
    right.legend(frameon=False, fontsize=8, loc="lower center")


def _truth(knob: str, place: float) -> float:
    best, gain = BEST[knob]
    return gain * (1 - (1 - place / best) ** 2) if abs(best) > 1 else gain * (1 - (place - best) ** 2 / best**2)


def _reading(recipe: Places, seed: int, random: numpy.random.Generator) -> Observed:
    worth = sum(_truth(knob, float(place)) for knob, place in recipe.items())
    return Observed(recipe, seed, (6 + worth + float(random.normal(0, NOISE)),))


def _design(axes: Axes, recipes: Sequence[Places]) -> None:
    """A square per recipe and knob: moved up, moved down, or where the incumbent has it."""
    moved = numpy.array([[float(recipe[knob]) for knob in BEST] for recipe in recipes])
    axes.imshow(moved, cmap="BrBG", vmin=-4, vmax=4, aspect="auto")
    for row, column in zip(*numpy.nonzero(moved), strict=True):
        axes.text(column, row, f"{moved[row, column]:+.0f}", ha="center", va="center", fontsize=8)
    axes.set_xticks(range(len(BEST)), list(BEST), rotation=30, ha="right", rotation_mode="anchor", fontsize=8)
    axes.set_yticks(range(len(recipes)), [str(number + 1) for number in range(len(recipes))], fontsize=8)
    axes.set(ylabel="recipe of the wave")


def _curve(axes: Axes, effects: Effects, colour: str, name: str) -> None:
    """The model's estimate for a knob, with its 95 % band; the effect is 0 at the incumbent's own place."""
    own: dict[Place, tuple[float, float]] = {0.0: (0.0, 0.0)}
    half = quantile((1 - POLICY.confidence) / 2, float("inf"))
    for (knob, place), mean, spread in zip(effects.moves, effects.likely, effects.spread, strict=True):
        if knob == SHOWN:
            own[place] = (float(mean), half * float(spread) ** 0.5)
    means, widths = numpy.array([own[place] for place in PLACES]).T
    axes.plot(PLACES, means, color=colour, marker="o", markersize=3, label=name)
    axes.fill_between(PLACES, means - widths, means + widths, color=colour, alpha=0.15, linewidth=0)


# a confirmation


def confirmation() -> None:
    """Draw the estimate and its lower bound at each look, for a stack with a true effect of 0.5 and for one with
    none."""
    _, axes = pyplot.subplots(figsize=(8, 3))
    for effect, seed, colour, name, away in ((0.5, 7, KEPT, "worth 0.5", 6), (0.0, 29, DROPPED, "worth nothing", -10)):
        looks, verdict = confirmed(effect, seed)
        pairs = [one.pairs for one in looks]
        estimates, bounds = [one.delta for one in looks], [one.bound for one in looks]
        axes.plot(pairs, estimates, color=colour, marker="o", label=f"{name}: estimate")
        axes.plot(pairs, bounds, color=colour, marker="v", linestyle=":", label="its lower bound")
        axes.annotate(
            f"{verdict.status} {verdict.reason}",
            (pairs[-1], bounds[-1]),
            textcoords="offset points",
            xytext=(8, away),
            color=colour,
        )
    axes.axhline(POLICY.smallest_effect, color="black", linewidth=0.8)
    axes.text(POLICY.confirming_seeds, 0.06, "KEEP when the lower bound passes this line", ha="right")
    axes.set(xlabel="pairs", ylabel="difference, points", xlim=(1.5, POLICY.confirming_seeds + 0.5))
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    axes.legend(frameon=False, ncols=2, fontsize=8, loc="lower right")


def confirmed(effect: float, seed: int) -> tuple[list[Look], Verdict]:
    """The looks of a confirmation of a stack with this true effect, when 0.5 was expected."""
    spread = Spread(PAIR**2, TARGET_FREEDOM)
    error = POLICY.night_error * POLICY.spend
    given = ConfirmationInputs(
        pairs=POLICY.confirming_seeds,
        error=error,
        error_left=POLICY.night_error,
        expected=(0.5, 0.2),
        guards={},
        cumulative={},
        spreads={"target": spread},
    )
    draws = numpy.random.default_rng(seed).normal(effect, PAIR, given.pairs)
    looks: list[Look] = []
    for pairs in range(FIRST_LOOK, given.pairs + 1):
        one, verdict = look(_comparison(draws[:pairs], spread), given, TERMS)
        looks.append(one)
        if verdict is not None:
            return looks, verdict
    raise RuntimeError("the last look of a confirmation decides")


def _comparison(differences: numpy.ndarray, known: Spread) -> Comparison:
    """A comparison whose pairs have these differences."""
    width, freedom = standard_error(differences[:, None], known)
    delta, half = float(differences.mean()), quantile((1 - POLICY.confidence) / 2, freedom) * width
    found = Difference(
        category="target",
        n=1,
        candidate=6 + delta,
        baseline=6.0,
        delta=delta,
        standard_error=width,
        low=delta - half,
        high=delta + half,
        variance=float(differences.var(ddof=1)),
        freedom=freedom,
    )
    return Comparison(
        differences={"target": found},
        seeds=tuple(range(len(differences))),
        confidence=POLICY.confidence,
        critical_candidate=0,
        critical_baseline=0,
    )


# the night


def error() -> None:
    """Draw the error budget that is left after each confirmation, for a night without a KEEP and one that keeps its
    fourth stack."""
    _, axes = pyplot.subplots(figsize=(8, 2.6))
    for kept, colour, name in ((None, QUIET, "nothing is kept"), (4, KEPT, "the fourth is kept")):
        accounts = list[ErrorSpending]()
        left = [POLICY.night_error]
        for number in range(1, 9):
            accounts.append(ErrorSpending(left[-1] * POLICY.spend, number == kept, {}))
            left.append(error_budget(accounts, POLICY).error_left)
        axes.step(range(9), left, where="post", color=colour, label=name)
    axes.set_xlabel("confirmations")
    axes.set_ylabel("error left")
    axes.legend(frameon=False)


COMPARED = ("nightlane", "nightlane_single", "gp", "gp_confirmed", "gp_sampler", "tpe_confirmed", "race")
MIDDLE = 48
"""Probes of the nights whose safety is drawn."""


def won() -> None:
    """Draw the gains of the recorded nights of bench/decisions by budget, and for MIDDLE probes the gain of each policy
    against its share of kept rows without a true gain."""
    cells = json.loads(gzip.decompress((RECORDED / "decisions.json.gz").read_bytes()))["cells"]
    by_budget = {found["cell"]["budget"]: found["figures"] for found in reversed(cells) if _is_main(found["cell"])}
    pooled = {
        budget: {row["policy"]: row for row in figures if row["family"] == POOLED}
        for budget, figures in sorted(by_budget.items())
    }
    _, (left, right) = pyplot.subplots(1, 2, figsize=(8, 3.4))
    for policy in COMPARED:
        colour, width = _style(policy)
        points = [(budget, rows[policy]["won"]["value"]) for budget, rows in pooled.items() if policy in rows]
        left.plot(*zip(*points, strict=True), "o-", color=colour, linewidth=width, markersize=width + 1.5)
        left.annotate(policy, points[-1], textcoords="offset points", xytext=(6, -3), fontsize=7, color=colour)
    for policy, row in pooled[MIDDLE].items():
        if policy in COMPARED:
            colour, width = _style(policy)
            point = row["null"]["value"], row["won"]["value"]
            right.plot(*point, "o", color=colour, markersize=2 * width + 2)
            right.annotate(policy, point, textcoords="offset points", xytext=(6, -3), fontsize=7, color=colour)
    left.set_xscale("log", base=2)
    left.set_xticks([*pooled], [str(budget) for budget in pooled])
    left.set(xlabel="probes of a night", ylabel="share of the headroom won", xlim=(22, 420), ylim=(-0.1, 1))
    right.set(xlabel=f"rows kept without a true gain, nights of {MIDDLE} probes", xlim=(-0.02, 0.85), ylim=(-0.1, 1))


def _is_main(cell: Mapping[str, Any]) -> bool:
    return (cell["factor"], cell["correlation"], cell["samples"], cell["only"]) == (1.0, 0.5, 4, [])


def _style(policy: str) -> tuple[str, float]:
    return (KEPT, 2.5) if policy == "nightlane" else (QUIET, 0.8)


if __name__ == "__main__":
    main()
