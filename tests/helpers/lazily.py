"""A module that is imported where something of it is first used.

Every process of pytest-xdist reads every file of tests, and torch with all that stands on it takes ten seconds.
"""

import importlib
from typing import Any


class Lazily:
    def __init__(self, name: str) -> None:
        self._module = name

    def __getattr__(self, name: str) -> Any:
        if name == "_mock_name" or name.startswith("__"):  # pytest asks every object in a file of tests for these
            raise AttributeError(name)
        return getattr(importlib.import_module(self._module), name)
