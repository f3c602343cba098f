"""The curriculum lane: the order in which the training rows are seen. What each order does is in probes/data.py."""

from lanes.knobs import KnobDefault, KnobSettings
from lanes.recipe import Order

LANE = "curriculum"
KNOBS: tuple[KnobDefault, ...] = (KnobDefault("curriculum", KnobSettings(choices=Order.__args__)),)  # type: ignore[attr-defined]
