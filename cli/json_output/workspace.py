"""What nightlane view, doctor and skill print with --json."""

from typing_extensions import TypedDict

from cli.json_output.study import EndpointAsked


class ServedPages(TypedDict):
    address: str


class FileSays(TypedDict):
    what: str
    whole: bool
    says: str


class DoctorReport(TypedDict):
    machine: list[str]
    healthy: bool
    files: list[FileSays]
    repaired: list[str]
    endpoints: list[EndpointAsked]


class SkillFile(TypedDict):
    file: str
