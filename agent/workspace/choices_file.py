"""The file of one pairwise comparison: what a judge chose between the answers of two probes.

runs/session-ID/choices-CANDIDATE-BASELINE.json   {"choices": [...], "failure": null, "sha256": "..."}

It ends with its own digest. Files of older versions have none and are read without that check.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from common.digests import require_own_digest, with_own_digest
from common.files import set_aside, write_durably
from probes.result.comparison import Choice
from probes.run.store import DAMAGED

PREFIX, SUFFIX = "choices-", ".json"
KEYS = ({"choices", "failure"}, {"choices", "failure", "sha256"})
"""The keys of a file of an older version, and of this one."""


def comparison_name(candidate: str, baseline: str) -> str:
    """The name of the comparison of two probes, by their ids."""
    return f"{candidate}-{baseline}"


def choices_path(session: Path, comparison: str) -> Path:
    """``session``: its folder."""
    return session / f"{PREFIX}{comparison}{SUFFIX}"


def stored_comparisons(session: Path) -> list[str]:
    """The names of the comparisons that have a file, whole or damaged."""
    paths = sorted(session.glob(f"{PREFIX}*{SUFFIX}"))
    return [path.name.removeprefix(PREFIX).removesuffix(SUFFIX) for path in paths]


def write_choices(path: Path, choices: Sequence[Choice], failure: str | None) -> None:
    if path.is_dir():
        set_aside(path)
    data = {"choices": [asdict(choice) for choice in choices], "failure": failure}
    write_durably(path, with_own_digest(json.dumps(data)))


def read_choices(path: Path) -> tuple[list[Choice], str | None]:
    """The choices, and why there are too few (None if there are enough). Raises one of ``DAMAGED`` if the file is
    missing or was changed."""
    text = path.read_text(encoding="utf-8")
    require_own_digest(text)
    data = json.loads(text)
    if data.keys() not in KEYS:
        raise ValueError("it is not as it was written")
    return [Choice(**choice) for choice in data["choices"]], data["failure"]


def has_choices(path: Path) -> bool:
    """Whether the file exists and is as it was written."""
    try:
        read_choices(path)
    except DAMAGED:
        return False
    return True
