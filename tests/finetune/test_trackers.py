"""A tracker that fails ends no run."""

from typing import TYPE_CHECKING, Any

import pytest
from lazily import Lazily

if TYPE_CHECKING:
    from finetune.watch import trackers as tracking
else:
    tracking = Lazily("finetune.watch.trackers")


def test_an_error_is_told_once_and_ends_nothing() -> None:
    from transformers import TrainerCallback

    class Scripted(TrainerCallback):  # type: ignore[misc]
        """A callback that logs three lines, and cannot send the third."""

        def __init__(self) -> None:
            self.lines: list[Any] = []

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            self.lines.append(logs)
            if len(self.lines) == 3:
                raise ConnectionError("localhost:5000 refused\nthe connection")

    told: list[str] = []
    made = Scripted()
    tracker = tracking.Tracker("mlflow", lambda: made, told.append)
    tracker.on_train_begin(None, None, None, model=None)
    for step in range(5):
        tracker.on_log(None, None, None, logs=step)
    assert made.lines == [0, 1, 2]
    assert told == [
        "the tracker mlflow failed (localhost:5000 refused the connection), and the run goes on without it; "
        "train.jsonl has all figures"
    ]


def test_one_that_cannot_begin_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def unusable() -> None:
        raise RuntimeError("requires wandb to be installed")

    told: list[str] = []
    monkeypatch.setattr("finetune.watch.trackers.get_reporting_integration_callbacks", lambda name: [unusable])
    (tracker,) = tracking.trackers(("wandb",), told.append)
    tracker.on_log(None, None, None, logs={})
    assert len(told) == 1
    assert told[0].startswith("the tracker wandb failed (requires wandb to be installed)")
