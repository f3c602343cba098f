"""The colours of pages and charts, each for a light and a dark screen; text has a contrast of 4.5 or more."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Colour:
    """``name``: of the CSS variable. Charts are made with ``light``; the page's script puts ``dark`` in its place."""

    name: str
    light: str
    dark: str


PAGE = Colour("page", "#ffffff", "#14171a")
INK = Colour("ink", "#1c2127", "#e7e9eb")
QUIET = Colour("quiet", "#5c6570", "#a5adb6")
RULE = Colour("rule", "#dce0e5", "#32383f")
EDGE = Colour("edge", "#868f99", "#6d7680")
SURFACE = Colour("surface", "#f6f7f9", "#1c2024")
ACCENT = Colour("accent", "#0b6e69", "#5fd0c5")
BAND = Colour("band", "rgba(11,110,105,0.14)", "rgba(95,208,197,0.20)")
ALARM = Colour("alarm", "#b3261e", "#ff8f85")
ADDED = Colour("added", "#d3ece8", "#1d4a47")
REMOVED = Colour("removed", "#f9dedb", "#582924")
ORANGE = Colour("orange", "#b45309", "#f59e42")
GREEN = Colour("green", "#15803d", "#5ed88a")
PURPLE = Colour("purple", "#7c3aed", "#b794f6")
BLUE = Colour("blue", "#1d64c8", "#74aef5")
PINK = Colour("pink", "#be185d", "#f58bb8")
BROWN = Colour("brown", "#78600c", "#d6bd5b")

COLOURS = (
    PAGE,
    INK,
    QUIET,
    RULE,
    EDGE,
    SURFACE,
    ACCENT,
    BAND,
    ALARM,
    ADDED,
    REMOVED,
    ORANGE,
    GREEN,
    PURPLE,
    BLUE,
    PINK,
    BROWN,
)
RUNS = (ORANGE, BLUE, GREEN, PURPLE, PINK, BROWN)
"""The colours of several runs in one chart."""
STATUS = {"KEEP": ACCENT, "DISCARD": QUIET, "CRASH": ALARM, "RETRACT": ALARM}
SYMBOLS = {"KEEP": "square", "DISCARD": "circle-open", "CRASH": "x", "RETRACT": "x-open"}
"""A symbol for each status, so that colour is never the only sign."""
