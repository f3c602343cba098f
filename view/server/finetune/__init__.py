"""Fine-tune: the full-length runs (TRAINING) and the preference pairs (RL DATA)."""

from contextlib import suppress

from view.server.finetune import rl_data, training
from view.server.page import Area
from view.server.site import Site

AREAS = (
    Area("training", "Fine-tune: TRAINING", "/training"),
    Area("rl-data", "Fine-tune: RL DATA", "/rl-data"),
)
routes = (*training.routes, *rl_data.routes)


def prepare(site: Site) -> None:
    """Index the stores. The page that needs a store reports it if it cannot be read."""
    with suppress(OSError):
        rl_data.selector(site)
