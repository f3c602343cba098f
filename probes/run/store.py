"""One directory per probe. ``outcome.json`` is written last, so its presence means the probe is complete.

runs/probe-ID/   recipe.toml  probe.json (key, seed)  train.jsonl  adapter/  answers.jsonl  levels.json  outcome.json

What outcome.json vouches for is on the disk before it: it has the size and digest of answers.jsonl and of each file of
the adapter, and its own digest at its end. Directories of older versions have none of these and are read as they are.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common.errors import UnlikeReadings
from common.files import sync, write_durably, write_flushed
from probes.result.reading import Outcome, Probe, Reading, outcome_from_json, outcome_to_json

MANIFEST, ANSWERS, ADAPTER = "outcome.json", "answers.jsonl", "adapter"
OWN_DIGEST = ', "sha256": "'
DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What reading a file that is gone, torn or garbled may raise."""


class ProbeStore:
    """Outcomes by probe id under ``runs``. A probe that is here under an equal key is never run again."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs

    def directory(self, probe_id: str) -> Path:
        return self.runs / f"probe-{probe_id}"

    def get(self, probe: Probe) -> Outcome | None:
        """The recorded outcome, or None; a record of another recipe, key or seed is none of this probe's, nor is one
        beside which a file has another size than it had. What a person removed to save room is not missed here."""
        directory = self.directory(probe.id)
        try:
            recorded = json.loads((directory / "probe.json").read_text(encoding="utf-8"))
            manifest = read_manifest(directory)
            torn = any(_size(directory / path) not in (None, size) for path, (size, _) in _files(manifest).items())
            return outcome_from_json(manifest) if recorded == self._identity(probe) and not torn else None
        except DAMAGED:
            return None

    def read(self, probe_id: str) -> Outcome | None:
        """The outcome of a complete probe, by its id alone; None where there is none that is whole. PermissionError
        where there is one that whoever asks may not read."""
        try:
            return outcome_from_json(read_manifest(self.directory(probe_id)))
        except PermissionError:
            raise
        except DAMAGED:
            return None

    def answers(self, probe_id: str) -> list[dict[str, Any]]:
        """The rows of answers.jsonl, one per score of the reading and in its order; none where the file is gone or
        damaged."""
        directory = self.directory(probe_id)
        try:
            if not whole(directory, ANSWERS):
                return []
            rows = [json.loads(line) for line in (directory / ANSWERS).read_text(encoding="utf-8").splitlines()]
        except DAMAGED:
            return []
        sound = all(isinstance(row, dict) and {"prompt", "sample", "text"} <= row.keys() for row in rows)
        return rows if sound else []

    def has_answers(self, outcome: Outcome | None) -> bool:
        """Whether each answer of a reading is there; what is no reading has none."""
        if not isinstance(outcome, Reading):
            return True
        return len(self.answers(outcome.probe)) == len(outcome.scores) + len(outcome.missing)

    def put(self, probe: Probe, outcome: Outcome) -> None:
        """Write the record durably. Doing it twice changes nothing. UnlikeReadings for another probe's outcome."""
        require_own(probe, outcome)
        directory = self.directory(probe.id)
        directory.mkdir(parents=True, exist_ok=True)
        write_flushed(directory / "recipe.toml", probe.recipe.to_toml())
        write_flushed(directory / "probe.json", json.dumps(self._identity(probe), indent=1) + "\n")
        files = [path for path in (directory / ANSWERS, *sorted((directory / ADAPTER).glob("*"))) if path.is_file()]
        for path in (*files, directory / "levels.json", directory / ADAPTER, directory, self.runs):
            sync(path)
        marks = {str(path.relative_to(directory)): _mark(path) for path in files}
        text = json.dumps({**outcome_to_json(outcome), "files": marks})
        digest = hashlib.sha256(text.encode()).hexdigest()
        write_durably(directory / MANIFEST, f'{text[:-1]}{OWN_DIGEST}{digest}"}}\n')

    @staticmethod
    def _identity(probe: Probe) -> dict[str, Any]:
        return {"id": probe.id, "recipe": probe.recipe.digest, "seed": probe.seed, "key": asdict(probe.key)}


def require_own(probe: Probe, outcome: Outcome) -> None:
    """UnlikeReadings where an outcome is not the probe's."""
    theirs: list[object] = [outcome.probe, outcome.seed]
    mine: list[object] = [probe.id, probe.seed]
    if isinstance(outcome, Reading):
        theirs += [outcome.recipe, outcome.key.digest]
        mine += [probe.recipe.digest, probe.key.digest]
    for name, own, other in zip(("id", "seed", "recipe", "key"), mine, theirs, strict=False):
        if own != other:
            raise UnlikeReadings(
                f"an outcome is kept only as that of its own probe, and the {name} of this one is {other} where probe "
                f"{probe.id} has {own}; the runner mixed them up, so go on with nightlane resume, which runs it again"
            )


def read_manifest(directory: Path) -> dict[str, Any]:
    """outcome.json of a probe's directory. One of ``DAMAGED`` where there is none that is whole."""
    text = (directory / MANIFEST).read_text(encoding="utf-8")
    head, mark, tail = text.rpartition(OWN_DIGEST)
    if mark and tail.rstrip() != f'{hashlib.sha256((head + "}").encode()).hexdigest()}"}}':
        raise ValueError(f"{directory / MANIFEST} is damaged")
    found: dict[str, Any] = json.loads(text)
    if not isinstance(found, dict):
        raise TypeError(f"{directory / MANIFEST} holds no object")
    return found


def whole(directory: Path, name: str) -> bool:
    """Whether a file, or a folder, is there and as far as the manifest vouches for it what it was. One of ``DAMAGED``
    where there is no manifest."""
    files = _files(read_manifest(directory))
    own = {path: mark for path, mark in files.items() if path == name or path.startswith(f"{name}/")}
    return (directory / name).exists() and all(_mark(directory / path) == mark for path, mark in own.items())


def has_whole_adapter(directory: Path) -> bool:
    """Whether a complete probe's adapter is there as it was saved; an older one, as far as no file is empty."""
    adapter = directory / ADAPTER
    try:
        held = (adapter / "adapter_config.json").exists() and all(path.stat().st_size for path in adapter.iterdir())
        return held and whole(directory, ADAPTER)
    except DAMAGED:
        return False


def _files(manifest: Mapping[str, Any]) -> dict[str, tuple[int, str]]:
    """By path below the directory; none in an older manifest."""
    return {path: (int(size), str(digest)) for path, (size, digest) in manifest.get("files", {}).items()}


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.exists() else None


def _mark(path: Path) -> tuple[int, str]:
    """Size and digest, as a manifest has them."""
    with path.open("rb") as stream:
        return path.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest()
