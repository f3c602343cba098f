"""The files of a probe, one directory each. ``outcome.json`` is written last: where it exists, the probe is complete.

runs/probe-ID/   recipe.toml  probe.json (key, seed)  train.jsonl  adapter/  answers.jsonl  levels.json  outcome.json

outcome.json holds the size and digest of answers.jsonl and of each file of the adapter, which are flushed to disk
first, and ends with its own digest. Directories of older versions have no digests and are read without a check.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common.digests import require_own_digest, with_own_digest
from common.errors import UnlikeReadings
from common.files import sync, write_durably, write_flushed
from probes.result.reading import Outcome, Probe, ProbeKey, Reading, outcome_from_json, outcome_to_json

IDENTITY, MANIFEST, ANSWERS, ADAPTER = "probe.json", "outcome.json", "answers.jsonl", "adapter"
DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""Raised when a file is missing, cut off or damaged."""


class ProbeStore:
    """Outcomes by probe id under ``runs``. A probe whose outcome is stored under an equal key is never run again."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs

    def directory(self, probe_id: str) -> Path:
        return self.runs / f"probe-{probe_id}"

    def get(self, probe: Probe) -> Outcome | None:
        """The recorded outcome of this recipe, key and seed, or None. None also if a file has changed its size. Files
        that a person removed to save room may be missing."""
        directory = self.directory(probe.id)
        try:
            recorded = json.loads((directory / IDENTITY).read_text(encoding="utf-8"))
            manifest = read_manifest(directory)
            torn = any(_size(directory / path) not in (None, size) for path, (size, _) in _files(manifest).items())
            return outcome_from_json(manifest) if recorded == self._identity(probe) and not torn else None
        except DAMAGED:
            return None

    def read(self, probe_id: str) -> Outcome | None:
        """The outcome of a complete probe by its id; None if it is missing or damaged. PermissionError if this user may
        not read it."""
        try:
            return outcome_from_json(read_manifest(self.directory(probe_id)))
        except PermissionError:
            raise
        except DAMAGED:
            return None

    def key(self, digest: str) -> ProbeKey | None:
        """The probe key with this digest, from the first probe that was measured under it; None if there is none."""
        for path in sorted(self.runs.glob(f"probe-*/{IDENTITY}")):
            try:
                key = ProbeKey(**json.loads(path.read_text(encoding="utf-8"))["key"])
            except DAMAGED:
                continue
            if key.digest == digest:
                return key
        return None

    def answers(self, probe_id: str) -> list[dict[str, Any]]:
        """The rows of answers.jsonl, in the order of the reading's scores; none if the file is missing or damaged."""
        directory = self.directory(probe_id)
        try:
            if not is_whole(directory, ANSWERS):
                return []
            rows = [json.loads(line) for line in (directory / ANSWERS).read_text(encoding="utf-8").splitlines()]
        except DAMAGED:
            return []
        sound = all(isinstance(row, dict) and {"prompt", "sample", "text"} <= row.keys() for row in rows)
        return rows if sound else []

    def has_answers(self, outcome: Outcome | None) -> bool:
        """Whether all answers of a reading are stored; true for a failure, which has none."""
        if not isinstance(outcome, Reading):
            return True
        return len(self.answers(outcome.probe)) == outcome.answers

    def put(self, probe: Probe, outcome: Outcome) -> None:
        """Write the record durably; again changes nothing. UnlikeReadings for the outcome of another probe."""
        require_own(probe, outcome)
        directory = self.directory(probe.id)
        directory.mkdir(parents=True, exist_ok=True)
        write_flushed(directory / "recipe.toml", probe.recipe.to_toml())
        write_flushed(directory / IDENTITY, json.dumps(self._identity(probe), indent=1) + "\n")
        files = [path for path in (directory / ANSWERS, *sorted((directory / ADAPTER).glob("*"))) if path.is_file()]
        for path in (*files, directory / "levels.json", directory / ADAPTER, directory, self.runs):
            sync(path)
        digests = {str(path.relative_to(directory)): _size_and_digest(path) for path in files}
        text = json.dumps({**outcome_to_json(outcome), "files": digests})
        write_durably(directory / MANIFEST, with_own_digest(text))

    @staticmethod
    def _identity(probe: Probe) -> dict[str, Any]:
        return {"id": probe.id, "recipe": probe.recipe.digest, "seed": probe.seed, "key": asdict(probe.key)}


def require_own(probe: Probe, outcome: Outcome) -> None:
    """UnlikeReadings unless the outcome is this probe's."""
    theirs: list[object] = [outcome.probe, outcome.seed]
    mine: list[object] = [probe.id, probe.seed]
    if isinstance(outcome, Reading):
        theirs += [outcome.recipe, outcome.key.digest]
        mine += [probe.recipe.digest, probe.key.digest]
    for name, own, other in zip(("id", "seed", "recipe", "key"), mine, theirs, strict=False):
        if own != other:
            raise UnlikeReadings(
                f"an outcome is stored only for its own probe and its {name} is {other} where probe {probe.id} has "
                f"{own}; the runner mixed them up, so go on with nightlane resume, which runs the probe again"
            )


def read_manifest(directory: Path) -> dict[str, Any]:
    """The content of outcome.json. Raises one of ``DAMAGED`` if it is missing or damaged."""
    text = (directory / MANIFEST).read_text(encoding="utf-8")
    require_own_digest(text)
    found: dict[str, Any] = json.loads(text)
    if not isinstance(found, dict):
        raise TypeError(f"{directory / MANIFEST} holds no object")
    return found


def is_whole(directory: Path, name: str) -> bool:
    """Whether a file or folder exists and its files have the digests of the manifest. Raises one of ``DAMAGED`` without
    a manifest."""
    files = _files(read_manifest(directory))
    own = {directory / path: mark for path, mark in files.items() if path == name or path.startswith(f"{name}/")}
    return (directory / name).exists() and all(
        path.is_file() and _size_and_digest(path) == mark for path, mark in own.items()
    )


def has_whole_adapter(directory: Path) -> bool:
    """Whether a complete probe's adapter is stored undamaged. Without digests: whether no file is empty."""
    adapter = directory / ADAPTER
    try:
        complete = (adapter / "adapter_config.json").exists() and all(path.stat().st_size for path in adapter.iterdir())
        return complete and is_whole(directory, ADAPTER)
    except DAMAGED:
        return False


def _files(manifest: Mapping[str, Any]) -> dict[str, tuple[int, str]]:
    """Size and digest by path below the directory; empty for an older manifest."""
    return {path: (int(size), str(digest)) for path, (size, digest) in manifest.get("files", {}).items()}


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.exists() else None


def _size_and_digest(path: Path) -> tuple[int, str]:
    """Size and digest of a file."""
    with path.open("rb") as stream:
        return path.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest()
