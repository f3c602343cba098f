"""The charts of the report: what each value of each knob is expected to do to the target, with a band around it."""

from collections.abc import Sequence

from view.data.changes import reach
from view.data.search.knobs import KnobCurve, KnobPlace
from view.markdown import bar, fenced, plain, signed

BAR_WIDTH = 41
LONGEST_VALUE = 28


def knob_chart(curves: Sequence[KnobCurve]) -> list[str]:
    """Lines of a code block: a chart for each knob, a line for each value."""
    places = [place for curve in curves for place in curve.places]
    scale = reach(place.effect for place in places if not place.is_incumbent)
    wide = max(len(_value(place)) for place in places)
    edges = f"{-scale:+.1f}{'0':^{BAR_WIDTH - 8}}{scale:+.1f}"
    lines = [f"{'':<{wide}}  {'effect':>7}  {'readings':>8}  {edges}"]
    for curve in curves:
        lines += ["", plain(curve.knob), *(_row(place, scale, wide) for place in curve.places)]
    return fenced(lines)


def _value(place: KnobPlace) -> str:
    return f"  {plain(place.value, LONGEST_VALUE)}"


def _row(place: KnobPlace, scale: float, wide: int) -> str:
    effect, notes = place.effect, []
    picture = bar(effect.delta, effect.low, effect.high, scale, BAR_WIDTH, "●" if place.readings else "○")
    if place.is_incumbent:
        notes.append("stands now")
    if place.is_start:
        notes.append("start")
    if place.breaks:
        notes.append(f"may break {plain(place.breaks, 40)}")
    figure = "" if place.is_incumbent else signed(effect.delta)
    readings = str(place.readings or "none")
    return f"{_value(place):<{wide}}  {figure:>7}  {readings:>8}  {picture}  {', '.join(notes)}".rstrip()
