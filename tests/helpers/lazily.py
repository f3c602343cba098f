"""A module that is imported when one of its names is first used.

Every process of pytest-xdist imports every test file, and importing torch and the libraries on top takes ten seconds.
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
