"""The chart of the report: each tried value of each knob with the target's change, as intervals around 0."""

from collections.abc import Sequence
from statistics import median

from view.data.figures import DecisionFigures, shown
from view.markdown import bar, fenced, plain, signed

FIGURE_WIDTH = 22
BAR_WIDTH = 33


def interval_chart(decisions: Sequence[DecisionFigures]) -> list[str]:
    """Lines of a code block: the knob with the largest change first, each knob's values in order."""
    reaches = [max(abs(d.target.low), abs(d.target.high)) for d in decisions if d.target]
    scale = max(min(max(reaches), 3 * median(reaches)), 0.01) if reaches else 1.0
    wide = max(len(_move(decision)) for decision in decisions)
    edges = f"{-scale:+.2f}{'0':^{BAR_WIDTH - 10}}{scale:+.2f}"
    lines = [" " * (wide + FIGURE_WIDTH + 4) + edges] if reaches else []
    knobs = sorted({decision.knob for decision in decisions}, key=lambda knob: -_largest_change(decisions, knob))
    for number, knob in enumerate(knobs):
        tried = sorted((one for one in decisions if one.knob == knob), key=lambda one: (_order(one.after), one.turn))
        lines += [*([""] if number else []), plain(knob), *(_row(decision, scale, wide) for decision in tried)]
    return fenced(lines)


def _largest_change(decisions: Sequence[DecisionFigures], knob: str) -> float:
    return max((abs(one.target.delta) for one in decisions if one.knob == knob and one.target), default=0.0)


def _move(decision: DecisionFigures) -> str:
    return plain(f"{shown(decision.before)} -> {shown(decision.after)}", 44)


def _order(value: object) -> tuple[int, float, str]:
    """Numbers by size, then names by letter."""
    if isinstance(value, int | float):
        return 0, float(value), ""
    return 1, 0.0, shown(value)


def _row(decision: DecisionFigures, scale: float, wide: int) -> str:
    target = decision.target
    if target is None:
        return f"  {_move(decision):<{wide}}  no score ({plain(decision.reason)})"
    figure = f"{signed(target.delta)} [{signed(target.low)}, {signed(target.high)}]"
    picture = bar(target.delta, target.low, target.high, scale, BAR_WIDTH)
    return f"  {_move(decision):<{wide}}  {figure:<{FIGURE_WIDTH}}{picture}  {decision.status}"
