"""Makes the material of the study, once: the base model and two preference sources. The manifest is written last.

    build/base/  plain.jsonl  ornate.jsonl  manifest.json

Prompts, rubric and rules are files beside this one. A folder without a manifest, or whose files or makers have changed
since, is made anew. One process builds at a time.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from labs.microcoder.files import digest_of_file, write_atomically
from labs.microcoder.material import MANIFEST, Progress, _alone
from labs.persona.size import Size

__all__ = ["MADE", "MANIFEST", "build", "digest_of_makers", "is_complete"]

MADE = ("base", "plain.jsonl", "ornate.jsonl")
HERE = Path(__file__).parent
MAKERS = (
    *(HERE / f"{name}.py" for name in ("corpus", "nearness", "sources", "stages", "texts")),
    HERE / "texts.toml",
    HERE / "prompts.jsonl",
    *(HERE.parent / "microcoder" / f"{name}.py" for name in ("base", "sources")),
)


def build(directory: Path, progress: Progress, size: Size | None = None) -> None:
    """Makes what is missing in `directory`. `progress` hears the name of the stage and its share done, 0 to 1."""
    size = size or Size()
    if is_complete(directory, size):
        return
    directory.mkdir(parents=True, exist_ok=True)
    with _alone(directory):
        if is_complete(directory, size):  # another process made it while this one waited
            return
        (directory / MANIFEST).unlink(missing_ok=True)
        makers = digest_of_makers(size)
        from labs.persona.stages import make  # imports torch

        figures, seconds = make(directory, size, progress)
        manifest = {"makers": makers, "files": _digests(directory), "figures": figures, "seconds": seconds}
        write_atomically(directory / MANIFEST, json.dumps(manifest, indent=2) + "\n")


def is_complete(directory: Path, size: Size | None = None) -> bool:
    """Whether the manifest is there, its makers are today's, and every file is as it was written."""
    try:
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if not isinstance(manifest, dict) or manifest.get("makers") != digest_of_makers(size or Size()):
        return False
    return bool(manifest.get("files") == _digests(directory))


def digest_of_makers(size: Size) -> str:
    """Names the code, the sentences, the prompts kept clear of, and the size that a build came from."""
    digest = hashlib.sha256(json.dumps(asdict(size), sort_keys=True).encode())
    for path in MAKERS:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _digests(directory: Path) -> dict[str, str]:
    paths = [path for name in MADE for path in (directory / name, *sorted((directory / name).glob("*")))]
    return {str(path.relative_to(directory)): digest_of_file(path) for path in paths if path.is_file()}
