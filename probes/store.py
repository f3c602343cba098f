"""One directory per probe. ``outcome.json`` is written last, so its presence means the probe is complete.

runs/probe-ID/   recipe.toml  probe.json (key, seed)  train.jsonl  adapter/  answers.jsonl  levels.json  outcome.json
"""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from probes.reading import Outcome, Probe, outcome_from_json, outcome_to_json


class ProbeStore:
    """Outcomes by probe id under ``runs``. A probe that is here under an equal key is never run again."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs

    def directory(self, probe_id: str) -> Path:
        return self.runs / f"probe-{probe_id}"

    def get(self, probe: Probe) -> Outcome | None:
        """The recorded outcome, or None; a record of another recipe, key or seed is none of this probe's."""
        try:
            recorded = json.loads((self.directory(probe.id) / "probe.json").read_text(encoding="utf-8"))
            outcome = self.read(probe.id)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return outcome if recorded == self._identity(probe) else None

    def read(self, probe_id: str) -> Outcome:
        """The outcome of a complete probe; OSError, ValueError, KeyError or TypeError when there is none."""
        return outcome_from_json(json.loads((self.directory(probe_id) / "outcome.json").read_text(encoding="utf-8")))

    def answers(self, probe_id: str) -> list[dict[str, Any]]:
        """The rows of answers.jsonl, one per score of the reading and in its order; none where the file is gone."""
        try:
            text = (self.directory(probe_id) / "answers.jsonl").read_text(encoding="utf-8")
            return [json.loads(line) for line in text.splitlines()]
        except (OSError, ValueError):
            return []

    def put(self, probe: Probe, outcome: Outcome) -> None:
        """Write the record durably. Doing it twice changes nothing."""
        directory = self.directory(probe.id)
        directory.mkdir(parents=True, exist_ok=True)
        write_durably(directory / "recipe.toml", probe.recipe.to_toml())
        write_durably(directory / "probe.json", json.dumps(self._identity(probe), indent=1) + "\n")
        write_durably(directory / "outcome.json", json.dumps(outcome_to_json(outcome)) + "\n")

    @staticmethod
    def _identity(probe: Probe) -> dict[str, Any]:
        return {"id": probe.id, "recipe": probe.recipe.digest, "seed": probe.seed, "key": asdict(probe.key)}


def write_durably(path: Path, text: str) -> None:
    """Replace a file as a whole: temporary file, fsync, rename, fsync of the folder."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
