"""What nightlane init, check and prompts print with --json."""

from typing_extensions import TypedDict


class NewStudy(TypedDict):
    study: str
    files: list[str]


class EndpointAsked(TypedDict):
    """One question to an endpoint. ``failure``: "" if it answered; ``required``: the study cannot do without it."""

    role: str
    model: str
    url: str
    seconds: float
    said: str
    problem: str
    schema_refused: str
    failure: str
    dollars: float | None
    repeated: str
    required: bool


class StudyCheck(TypedDict):
    """``rows``: the number of rows that are trained on, by source. ``legal_moves``: the number of moves from the
    starting recipe, by lane. ``rendered``: whether the tokenizer was there; ``cut_rows``, ``longest_rows`` (tokens):
    the number of rows that are cut and the longest row, by source, if it was. ``says``: the cost and what the night can
    show, as text for people."""

    study: str
    file: str
    target: str
    guards: dict[str, float]
    probe_prompts: dict[str, int]
    rows: dict[str, int]
    left_out: list[str]
    legal_moves: dict[str, int]
    rendered: bool
    cut_rows: dict[str, int]
    longest_rows: dict[str, int]
    memory: str | None
    seconds_per_probe: float | None
    says: str
    endpoints: list[EndpointAsked]


class WrittenPrompts(TypedDict):
    file: str
    prompts: int
    splits: dict[str, int]
