"""The curriculum lane: the order of the training rows. probes/inputs/training_rows.py implements each order."""

from collections.abc import Mapping

from lanes.knobs import Knob, KnobDefault, KnobSettings, LaneContext, build_from_defaults
from lanes.recipe import Order

LANE = "curriculum"
KNOBS: tuple[KnobDefault, ...] = (KnobDefault("curriculum", KnobSettings(choices=Order.__args__)),)  # type: ignore[attr-defined]
KNOB_NAMES = tuple(default.name for default in KNOBS)


def build(settings: Mapping[str, KnobSettings], context: LaneContext) -> list[Knob]:
    return build_from_defaults(LANE, KNOBS, settings, context.start)
