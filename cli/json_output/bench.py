"""What nightlane bench prints with --json."""

from typing import Any

from typing_extensions import TypedDict


class BenchSandbox(TypedDict):
    holds: bool
    suites: list[dict[str, Any]]
    not_run: list[str]
    judged: dict[str, Any] | None
    costs: list[dict[str, Any]]
    groups: dict[str, dict[str, int]]


class BenchDecisions(TypedDict):
    seconds: float
    cores: int
    targets: list[dict[str, Any]]
    cells: list[dict[str, Any]]


class BenchFaults(TypedDict):
    clean: bool
    seconds: float
    processor_seconds: float
    wanted: dict[str, int]
    kinds: dict[str, dict[str, int]]
    as_recorded: list[int]
    scenarios: dict[str, dict[str, int]]
    wrong: list[dict[str, Any]]
    not_played: dict[str, dict[str, Any]]


class SoakFigure(TypedDict):
    name: str
    value: float
    unit: str
    limit: float | None
    missed: bool
