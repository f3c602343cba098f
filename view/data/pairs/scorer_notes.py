"""What the scorer of a session noted of an answer that became a side of a row, such as the checker's first error. It
stands in the folder of the probe that answered."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from preferences.store.provenance import TextOrigin
from probes.run.store import ProbeStore

MOST_KEPT = 32
"""Probes whose notes are remembered: the rows of a decision come from a few."""


class ScorerNotes:
    def __init__(self, runs: Path) -> None:
        self._store = ProbeStore(runs)
        self._of_probe = lru_cache(maxsize=MOST_KEPT)(self._read)

    def of(self, side: TextOrigin, prompt: str) -> Mapping[str, str]:
        """Outcome and note, as far as there are any. ``prompt``: the id of the harvest prompt."""
        if not side.probe or side.sample is None:
            return {}
        return self._of_probe(side.probe).get((prompt, side.sample), {})

    def _read(self, probe: str) -> Mapping[tuple[str, int], Mapping[str, str]]:
        found = {}
        for row in self._store.answers(probe):
            notes = {name: str(row[name]) for name in ("outcome", "note") if row.get(name)}
            if notes:
                found[row["prompt"], row["sample"]] = notes
        return found
