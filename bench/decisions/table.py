"""The figures as text: the targets, a table for each kind of noise, and the curves."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bench.decisions.figures import CURVE, NO_EFFECT, POOLED, EstimatedFigure, PolicyFigures
from bench.decisions.play import CHANGED, MAIN, OURS, SMOOTH, TWICE, Cell

REFERENCE = ("oracle",)
MOST_HARMFUL, MOST_NULL, MOST_VIOLATIONS, MOST_WORSE, MOST_FALSE_NIGHTS = 0.02, 0.10, 0.01, 0.01, 0.05
LEAST_WON = {24: 0.32, 48: 0.60, 96: 0.75, 200: 0.85}
"""The target share of the headroom, by the budget of a night in probes."""
LEAST_SMOOTH = 0.65
NOTE = (
    "KEEPs are those that hold at the end of a night; made: counted before retractions. null: kept rows without a "
    "true gain, one row per member of a stack; harmful: kept rows that truly lose more than 0.05 points; "
    "guards/night: KEEPs per night whose worst category truly loses more than 0.3; missed: true improvements of 0.2 "
    "or more by one knob that were measured and never kept, per night; won: share of the headroom at the end of the "
    "night (the headroom is what can be won without breaking a guard; a policy that breaks guards can win more); "
    "area: the same, averaged over the night; worse: nights that end below their start; any: nights with a KEEP. "
    "nightlane_single confirms one change at a time; no_waves, no_model, no_pruning and no_replanning are nightlane "
    "without that part. Rivals play fewer nights than nightlane. gp_sampler is Optuna's Gaussian process with a "
    "cheaper search of its acquisition function, and plays only nights of up to 48 probes. Intervals: 95 %."
)


@dataclass(frozen=True, slots=True)
class Results:
    """The figures of one cell."""

    cell: Cell
    figures: tuple[PolicyFigures, ...]

    def of(self, policy: str, family: str = POOLED) -> PolicyFigures | None:
        return next((f for f in self.figures if (f.policy, f.family) == (policy, family)), None)


@dataclass(frozen=True, slots=True)
class TargetFigure:
    """One target; ``met`` compares the figure itself, not a bound of its interval."""

    name: str
    wanted: str
    figure: EstimatedFigure
    met: bool


def same(cell: Cell, other: Cell) -> bool:
    return (cell.factor, cell.correlation, cell.samples) == (other.factor, other.correlation, other.samples)


def targets(results: Sequence[Results], policy: str = OURS) -> list[TargetFigure]:
    """The targets for a policy in the cells that were played."""
    found: list[TargetFigure] = []
    for result in results:
        for cell, noise in ((MAIN, ""), (TWICE, ", twice the noise")):
            if same(result.cell, cell):
                where = f", {result.cell.budget} probes{noise}"
                found += [replace(target, name=target.name + where) for target in safe(result, policy)]
                if cell is MAIN:
                    found += _won(result, policy, where)
    smooth = next((r for r in results if same(r.cell, SMOOTH)), None)
    own = smooth.of(policy, "smooth") if smooth else None
    if own is not None:
        name = "headroom won, smooth, correlation 0.8, 8 answers"
        found.append(TargetFigure(name, f">= {LEAST_SMOOTH}", own.won, own.won.value >= LEAST_SMOOTH))
    return found


def safe(result: Results, policy: str) -> list[TargetFigure]:
    """The safety targets of a policy."""
    found = []
    whole, null = result.of(policy), result.of(policy, NO_EFFECT)
    if whole is not None:
        found += [
            _at_most("harmful KEEP rows", whole.harmful, MOST_HARMFUL, f"{MOST_HARMFUL:.0%}"),
            _at_most("KEEP rows without a true gain", whole.null, MOST_NULL, f"{MOST_NULL:.0%}"),
            _at_most("guard violations per night", whole.violations, MOST_VIOLATIONS, f"{MOST_VIOLATIONS}"),
            _at_most("nights that end below their start", whole.ends_worse, MOST_WORSE, f"{MOST_WORSE:.0%}"),
        ]
    if null is not None:
        found.append(_at_most("null nights with a KEEP", null.any_keep, MOST_FALSE_NIGHTS, f"{MOST_FALSE_NIGHTS:.0%}"))
    return found


def _at_most(name: str, figure: EstimatedFigure, most: float, shown: str) -> TargetFigure:
    return TargetFigure(name, f"<= {shown}", figure, not figure.n or figure.value <= most)


def _won(result: Results, policy: str, where: str) -> list[TargetFigure]:
    """The targets for the headroom won: a fixed share, and more than every rival that is as safe."""
    own = result.of(policy)
    if own is None:
        return []
    found = []
    least = LEAST_WON.get(result.cell.budget)
    if least is not None:
        found.append(TargetFigure("headroom won, pooled" + where, f">= {least:.2f}", own.won, own.won.value >= least))
    names = dict.fromkeys(f.policy for f in result.figures if f.policy not in (policy, *CHANGED, *REFERENCE))
    rivals = [(f.won.value, name) for name in names if (f := result.of(name)) and _as_safe(result, name)]
    best, name = max(rivals, default=(-math.inf, "none"))
    wanted = f"> {best:.2f} ({name})" if rivals else "no rival is as safe"
    return [*found, TargetFigure("more than every rival as safe" + where, wanted, own.won, own.won.value > best)]


def _as_safe(result: Results, policy: str) -> bool:
    return all(target.met for target in safe(result, policy))


def markdown(results: Sequence[Results]) -> Iterator[str]:
    yield "# Decisions on planted nights"
    yield ""
    yield NOTE
    reached = targets(results)
    if reached:
        yield from ("", "## Targets", "", "| figure | target | measured | interval | met |", "|---|---|--:|---|---|")
        for target in reached:
            figure = target.figure
            met = "yes" if target.met else "NO"
            yield f"| {target.name} | {target.wanted} | {_number(figure.value)} | {_interval(figure)} | {met} |"
    for result in results:
        yield from ("", f"## {result.cell.name}")
        for family in dict.fromkeys([POOLED, *(f.family for f in result.figures)]):
            rows = [f for f in result.figures if f.family == family]
            yield from ("", f"### {family}", "")
            yield from _table(rows)
    if results:
        yield from ("", f"## Headroom won by tenths of the night, {results[0].cell.name}, pooled", "")
        yield from _curves([f for f in results[0].figures if f.family == POOLED and f.curve])


COLUMNS = (
    ("KEEPs", "keeps"),
    ("made", "made"),
    ("null", "null"),
    ("harmful", "harmful"),
    ("guards/night", "violations"),
    ("missed", "missed"),
    ("won", "won"),
    ("area", "area"),
    ("worse", "ends_worse"),
    ("any", "any_keep"),
    ("claim error", "claim_error"),
)


def _table(rows: Sequence[PolicyFigures]) -> Iterator[str]:
    yield "| policy | nights | " + " | ".join(title for title, _ in COLUMNS) + " | s/night |"
    yield "|---" + "|--:" * (len(COLUMNS) + 2) + "|"
    for row in rows:
        cells = [_cell(getattr(row, name)) for _, name in COLUMNS]
        yield f"| {row.policy} | {row.nights} | " + " | ".join(cells) + f" | {row.seconds:.2f} |"


def _curves(rows: Sequence[PolicyFigures]) -> Iterator[str]:
    yield "| policy | " + " | ".join(f"{share:.0%}" for share in CURVE) + " |"
    yield "|---" + "|--:" * len(CURVE) + "|"
    for row in rows:
        yield f"| {row.policy} | " + " | ".join(f"{value:.2f}" for value in row.curve) + " |"


def _cell(figure: EstimatedFigure) -> str:
    return f"{_number(figure.value)} {_interval(figure)}".strip()


def _interval(figure: EstimatedFigure) -> str:
    return "" if math.isnan(figure.low) else f"[{_number(figure.low)}, {_number(figure.high)}]"


def _number(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.3f}" if 0 < abs(value) < 0.095 else f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
