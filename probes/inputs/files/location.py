"""The location of rows: a file, a folder, or a data set on the Hugging Face hub."""

import re
from dataclasses import dataclass
from pathlib import Path

_HUB = re.compile(r"(?P<id>\w[\w.-]*/\w[\w.-]*)(:(?P<split>\w[\w.-]*))?")
_DATA = re.compile(r"\.(jsonl?|ndjson|csv|tsv|parquet|arrow|txt|gz|zip|zst|bz2|xz|xlsx?)$", re.IGNORECASE)


@dataclass(frozen=True)
class Hub:
    """A data set on the hub. ``split``: "" is the split train."""

    id: str
    split: str = ""

    def __str__(self) -> str:
        return f"{self.id}:{self.split}" if self.split else self.id


Where = Path | Hub


def located(folder: Path, named: str) -> Where:
    """The location that a study in ``folder`` names: an existing path, else a hub id "org/name" or "org/name:split"."""
    path = folder / Path(named).expanduser()
    asked = _HUB.fullmatch(named)
    if asked is None or path.exists() or _DATA.search(named):
        return path
    return Hub(asked["id"], asked["split"] or "")
