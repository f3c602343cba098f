"""Caches for what libraries read or compile again and again in one process."""

import importlib.metadata
from functools import cache, lru_cache

import jinja2

FEW = 64
"""Templates given as text whose code is kept."""


@cache
def remember() -> None:
    """Cache the list and metadata of installed packages, which accelerate looks up at each training step, and compiled
    templates: PEFT and TRL render a model card for each adapter."""
    from accelerate.utils import imports

    importlib.metadata.metadata = cache(importlib.metadata.metadata)
    imports._is_package_available = cache(imports._is_package_available)
    jinja2.Environment.compile = lru_cache(FEW)(jinja2.Environment.compile)  # type: ignore[assignment, method-assign]
