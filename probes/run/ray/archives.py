"""Sends files between the machines of a cluster as bytes: a study's files to a worker, and a probe's folder back.

The machines need no shared disk.
"""

import contextlib
import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from common.errors import BadInput
from probes.inputs.material import Material
from probes.model.load import locate
from probes.run.store import ADAPTER, MANIFEST, has_whole_adapter
from probes.scoring import scorer_class

MOST_SENT = 1 << 30
"""Most bytes of a study's files that are sent to each worker. A larger base must be on each machine at the same
path."""


@dataclass(frozen=True)
class StudyArchive:
    """A study's material with its files. ``identity``: the digest of the material, which must be equal on all
    machines."""

    material: Material
    files: bytes
    identity: str

    @classmethod
    def of(cls, material: Material) -> "StudyArchive":
        """BadInput if the files other than the base are too many to send."""
        named = _named_files(material)
        if _size(named) > MOST_SENT:
            base = Path(locate(material.model, material.folder))
            named = [path for path in named if path.resolve() != base]
        if (size := _size(named)) > MOST_SENT:
            raise BadInput(
                f"the files of a study that go to each worker have at most {MOST_SENT >> 20} MiB, these {size >> 20}; "
                "name large ones by absolute paths that each machine has, or as data sets of the hub"
            )
        with _tar() as (stream, tar):
            for path in named:
                tar.add(path.resolve(), _below_root(path))
        return cls(replace(material), stream.getvalue(), identity(material))  # a copy, without the rows it has read

    def unpacked(self, folder: Path) -> Material:
        """The material with its files under ``folder``. A base that was not sent is linked to its path here."""
        _unpack(self.files, folder)
        here = folder / _below_root(self.material.folder)
        here.mkdir(parents=True, exist_ok=True)
        base = self.material.folder / Path(self.material.model.path).expanduser()
        there = folder / _below_root(base)
        if not there.exists() and base.exists():
            there.parent.mkdir(parents=True, exist_ok=True)
            there.symlink_to(base)
        return replace(self.material, folder=here)


def identity(material: Material) -> str:
    """The digest of the parts of a probe key that no worker changes, as computed on this machine; they include the
    code."""
    return material.key("").digest


def pack_probe(folder: Path) -> bytes:
    """The complete folder of a probe."""
    with _tar() as (stream, tar):
        if folder.is_dir():
            tar.add(folder, ".")
    return stream.getvalue()


def unpack_probe(files: bytes, folder: Path) -> None:
    """Replace ``folder`` by what ``pack_probe`` packed. A kill leaves the folder complete, missing, or as it was."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    try:
        _unpack(files, partial)
        partial.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def pack_adapter(folder: Path) -> bytes:
    """The adapter in this probe's folder, for a probe that borrows it; b"" if it is damaged or incomplete."""
    if not has_whole_adapter(folder):
        return b""
    with _tar() as (stream, tar):
        for name in (MANIFEST, ADAPTER):
            tar.add(folder / name, name)
    return stream.getvalue()


def _named_files(material: Material) -> list[Path]:
    """The files and folders that a study names by relative paths, and those of its scorer."""
    model = material.model
    paths = [
        model.path,
        model.adapter,
        model.chat_template,
        str(material.prompts.file),
        *material.data.sources.values(),
    ]
    relative = [material.folder / path for path in paths if path and not Path(path).expanduser().is_absolute()]
    scorers = scorer_class(material.scorer.kind).files(material.scorer, material.folder)
    return list(dict.fromkeys(path for path in (*relative, *scorers) if path.exists()))


def _below_root(path: Path) -> str:
    """Where a path lies below the folder that stands for the root of the sender's disk."""
    return os.path.abspath(path).lstrip("/")


def _size(paths: list[Path]) -> int:
    return sum(one.stat().st_size for path in paths for one in (path, *path.rglob("*")) if one.is_file())


@contextlib.contextmanager
def _tar() -> Iterator[tuple[io.BytesIO, tarfile.TarFile]]:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", dereference=True) as tar:
        yield stream, tar


def _unpack(files: bytes, folder: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(files)) as tar:
        tar.extractall(folder, filter="data")
