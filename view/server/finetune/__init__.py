"""Fine-tune: the full-length runs (TRAINING) and the preference pairs (RL DATA)."""

from view.server.finetune import rl_data, training, votes
from view.server.page import Area

AREAS = (
    Area("training", "Fine-tune: TRAINING", "/training"),
    Area("rl-data", "Fine-tune: RL DATA", "/rl-data"),
)
routes = (*training.routes, *votes.routes, *rl_data.routes)
