"""The optional dependencies of nightlane, with the experiment trackers, and the message where they are needed and not
installed."""

import os
from collections.abc import Sequence
from importlib.util import find_spec

from common.errors import BadInput, MissingRequirement

EXTRAS = {
    "gate": {
        "coverage": "coverage",
        "hypothesis": "hypothesis",
        "py3langid": "py3langid",
        "pyflakes": "pyflakes",
        "sklearn": "scikit-learn",
    },
    "gguf": {"gguf": "gguf"},
    "llama-cpp": {"gguf": "gguf", "sentencepiece": "sentencepiece"},
    "inspect": {"inspect_ai": "inspect-ai"},
    "lm-eval": {"lm_eval": "lm-eval"},
    "notify": {"apprise": "apprise"},
    "ray": {"ray": "ray"},
    "bench": {"matplotlib": "matplotlib"},
}
"""Extra of pyproject.toml -> module -> the package that installs it."""
TRACKERS = ("trackio", "wandb", "mlflow", "tensorboard")
"""What ``--report-to`` accepts, for full-length runs and sessions. Each tracker reads its own environment variables."""
BRIEF = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "WANDB_INIT_TIMEOUT": "60"}
"""Limits on the wait for an unreachable tracker; a variable that is already set wins."""


def require_extra(extra: str, what: str) -> None:
    """MissingRequirement with the command to run where a package that ``what`` needs is not installed."""
    missing = [package for module, package in EXTRAS[extra].items() if find_spec(module) is None]
    if missing:
        raise MissingRequirement(
            f"{what} needs packages that are not installed ({', '.join(missing)}); "
            f"run: pip install 'nightlane[{extra}]'"
        )


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
