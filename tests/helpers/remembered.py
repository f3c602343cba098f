"""What libraries read or compile anew each time, though it is always the same: it is done once in a process."""

import importlib.metadata
from functools import cache, lru_cache

import jinja2

FEW = 64
"""Templates given as text whose code is kept."""


@cache
def remember() -> None:
    """Which packages there are and their metadata, which accelerate looks up at each step of a training, and the code
    of templates given as text: PEFT and TRL write a model card with each adapter."""
    from accelerate.utils import imports

    importlib.metadata.metadata = cache(importlib.metadata.metadata)
    imports._is_package_available = cache(imports._is_package_available)
    jinja2.Environment.compile = lru_cache(FEW)(jinja2.Environment.compile)  # type: ignore[assignment, method-assign]
