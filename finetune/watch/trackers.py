"""The trackers of ``--report-to``: transformers' own callbacks, whose errors end no run. Imports transformers.

A tracker is a service that may be down, full or without a key, and a run takes hours. So every error of a tracker is
caught here, and logged once.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from transformers.integrations import get_reporting_integration_callbacks

from common.optional_dependencies import wait_briefly
from common.wording import one_line

WANDB = "wandb"


def trackers(names: Sequence[str], note: Callable[[str], None]) -> tuple["Tracker", ...]:
    wait_briefly()
    return tuple(Tracker(name, get_reporting_integration_callbacks(name)[0], note) for name in names)


class Tracker:
    """The callback of a tracker. After an error, which is logged, it is not called any more."""

    def __init__(self, name: str, callback: Callable[[], Any], note: Callable[[str], None]) -> None:
        self._name, self._note = name, note
        self._callback: Any = None
        self._guarded(lambda: setattr(self, "_callback", callback()))

    def __getattr__(self, event: str) -> Callable[..., None]:
        if not event.startswith("on_"):
            raise AttributeError(event)

        def call(*arguments: Any, **named: Any) -> None:
            if self._callback is not None:
                self._guarded(lambda: getattr(self._callback, event)(*arguments, **named))
            if self._callback is not None and event == "on_train_end" and self._name == WANDB:
                self._guarded(lambda: import_module(WANDB).finish())  # else it does so, and prints, at exit

        return call

    def _guarded(self, act: Callable[[], Any]) -> None:
        try:
            act()
        except Exception as error:
            self._callback = None
            self._note(
                f"the tracker {self._name} failed ({one_line(str(error) or type(error).__name__, 200)}), and the run "
                "goes on without it; train.jsonl has all figures"
            )
