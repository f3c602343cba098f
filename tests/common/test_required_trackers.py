"""Which trackers there are, and what is said of one that is not installed."""

import pytest

from common.errors import BadInput, MissingRequirement
from common.optional_dependencies import TRACKERS, require_trackers


def test_a_tracker_that_is_not_installed_is_told_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("common.optional_dependencies.find_spec", lambda name: None if name == "wandb" else object())
    require_trackers(["mlflow", "tensorboard"])
    with pytest.raises(MissingRequirement, match=r"needs the package wandb, .*; run: pip install wandb"):
        require_trackers(["mlflow", "wandb"])
    with pytest.raises(
        BadInput, match=f"'comet' of --report-to is an unknown tracker; give one of {', '.join(TRACKERS)}"
    ):
        require_trackers(["comet"])
