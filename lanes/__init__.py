"""What may change: the recipe, its knobs, and the three lanes they are grouped in.

Adding a knob is one line in a lane's file; adding a lane is one file here and one entry in ``build_lanes``.
"""

from lanes.knobs import Knob, KnobSettings, Mutation, Value, show
from lanes.recipe import Recipe, SourceFilter
from lanes.rules import check_recipe, inert
from lanes.search_space import LANE_NAMES, LaneSettings, SearchSpace, build_lanes

__all__ = [
    "LANE_NAMES",
    "Knob",
    "KnobSettings",
    "LaneSettings",
    "Mutation",
    "Recipe",
    "SearchSpace",
    "SourceFilter",
    "Value",
    "build_lanes",
    "check_recipe",
    "inert",
    "show",
]
