"""The trackers of ``--report-to``, of full-length runs and of sessions: which there are, and how long one that is away
is waited for. Each reads its own variables of the environment."""

import os
from collections.abc import Sequence
from importlib.util import find_spec

from common.errors import BadInput, MissingRequirement

TRACKERS = ("trackio", "wandb", "mlflow", "tensorboard")
BRIEF = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "WANDB_INIT_TIMEOUT": "60"}
"""How long an unreachable server is waited for, unless the environment says otherwise."""


def require_trackers(names: Sequence[str]) -> None:
    """BadInput for an unknown tracker, MissingRequirement if its package is not installed."""
    for name in names:
        if name not in TRACKERS:
            raise BadInput(f"{name!r} of --report-to is an unknown tracker; give one of {', '.join(TRACKERS)}")
        if find_spec(name) is None:
            raise MissingRequirement(
                f"--report-to {name} needs the package {name}, which is not installed; run: pip install {name}"
            )


def wait_briefly() -> None:
    for name, value in BRIEF.items():
        os.environ.setdefault(name, value)
