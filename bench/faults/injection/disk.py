"""A model of what a kill or a power cut leaves of a folder: recorded changes on a disk that may lose what was not
synced.

A kill leaves all changes that were made before it. After a power cut, two things survive for sure: the data of a file
that was synced after the write, and a name if its folder or its file was synced after the change of the name. The seed
decides about all else. Names follow one of two disks:

ordered     changes of names survive in their order, as in a journal, up to a random one
unordered   each unsynced change of a name survives or is lost by itself

Unsynced data is lost either from some write on, or for each write independently, and the last write that survives may
be torn within a sector. A file may also keep its length but lose its data; then it holds zeros.
"""

import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

SECTOR = 512
NEVER_KEPT = "-shm"  # the shared memory of SQLite, which is created again after a restart


class FileChange(NamedTuple):
    """A change of a file or a name.

    kind: create, size, grow, write, sync, rename, link, symlink, unlink, mkdir, rmdir. ``offset`` is the new length of
    the kinds size and grow. ``stderr_bytes``: how much the process had written to stderr before.
    """

    kind: str
    path: str
    other: str = ""
    offset: int = 0
    data: bytes = b""
    stderr_bytes: int = 0


@dataclass
class _File:
    """A file's content on the disk, and the changes since its last sync."""

    synced: bytearray = field(default_factory=bytearray)
    pending: list[FileChange] = field(default_factory=list)


@dataclass
class _Folder:
    """A folder."""


@dataclass
class _Link:
    target: str


_Node = _File | _Folder | _Link
Files = dict[str, bytes | str | None]
"""By path: the content of a file, the target of a link, None for a folder."""


@dataclass
class _NameChange:
    """A name that gets a file, a folder or a link (or is removed), and the name that it had before."""

    kind: str
    path: str
    node: _Node | None
    old_path: str = ""


class Disk:
    """A disk that begins with the synced content of ``start``, while the changes name paths under ``root``."""

    def __init__(self, start: Path, root: str) -> None:
        self.root = root
        self.names: dict[str, _Node] = {}
        self.synced_names: dict[str, _Node] = {}
        self.unsynced: list[_NameChange] = []
        for path in start.rglob("*"):
            name = os.path.join(root, path.relative_to(start))
            if path.is_symlink():
                self.names[name] = _Link(os.readlink(path))
            elif path.is_dir():
                self.names[name] = _Folder()
            elif not name.endswith(NEVER_KEPT):
                self.names[name] = _File(bytearray(path.read_bytes()))
        self.synced_names = dict(self.names)

    def apply(self, change: FileChange) -> None:
        """Make the change as processes see it; only a sync makes it certain."""
        path, kind = change.path, change.kind
        if path.endswith(NEVER_KEPT) or (path == self.root and kind != "sync"):
            return
        node = self.names.get(path)
        if kind == "sync":
            self._sync(path, node)
        elif kind in ("write", "size", "grow"):
            if isinstance(node, _File):
                node.pending.append(change)
        elif kind == "create":
            if node is None:
                self._change_name(_NameChange(kind, path, _File()))
        elif kind == "mkdir":
            if node is None:
                self._change_name(_NameChange(kind, path, _Folder()))
        elif kind == "symlink":
            if node is None:
                self._change_name(_NameChange(kind, path, _Link(change.other)))
        elif kind in ("unlink", "rmdir"):
            if node is not None:
                self._change_name(_NameChange(kind, path, None))
        elif node is not None:  # rename, link
            if kind == "rename" and isinstance(node, _Folder):
                for name in [name for name in self.names if name.startswith(path + "/")]:
                    self._change_name(_NameChange(kind, change.other + name[len(path) :], self.names[name], name))
            self._change_name(_NameChange(kind, change.other, node, path if kind == "rename" else ""))

    def _change_name(self, change: _NameChange) -> None:
        _rename(self.names, change)
        self.unsynced.append(change)

    def _sync(self, path: str, node: _Node | None) -> None:
        """Sync a file's data, its name and the names of the folders above it, or the names in a folder."""
        if isinstance(node, _File):
            node.synced, node.pending = _content(node.synced, node.pending), []
            certain = {path}
        else:
            certain = {
                name
                for change in self.unsynced
                for name in (change.path, change.old_path)
                if os.path.dirname(name) == path
            }
            certain.add(path)
        while (path := os.path.dirname(path)) not in ("/", self.root, ""):
            certain.add(path)
        kept, done = list[_NameChange](), list[_NameChange]()
        for change in reversed(self.unsynced):  # a certain change makes earlier changes of its name certain
            if change.path in certain or change.old_path in certain:
                certain |= {change.path, change.old_path or change.path}
                done.append(change)
            else:
                kept.append(change)
        for change in reversed(done):
            _rename(self.synced_names, change)
        self.unsynced = kept[::-1]

    def seen(self) -> Files:
        """What a process sees, and what a kill leaves."""
        contents: dict[int, bytes] = {}
        seen: Files = {}
        for path, node in self.names.items():
            if isinstance(node, _File):
                if id(node) not in contents:
                    contents[id(node)] = bytes(_content(node.synced, node.pending))
                seen[path] = contents[id(node)]
            else:
                seen[path] = node.target if isinstance(node, _Link) else None
        return seen

    def cut(self, seed: str) -> Files:
        """What a power cut leaves."""
        chance = random.Random(seed)
        names = dict(self.synced_names)
        share = chance.choice((0.0, 0.5, 1.0, chance.random()))
        if chance.random() < 0.5:
            surviving = self.unsynced[: round(share * len(self.unsynced))]
        else:
            surviving = [change for change in self.unsynced if chance.random() < share]
        for change in surviving:
            _rename(names, change)
        contents: dict[int, bytes] = {}
        left: Files = {}
        for path, node in sorted(names.items(), key=lambda item: item[0]):
            if os.path.dirname(path) != self.root and left.get(os.path.dirname(path), b"") is not None:
                continue  # its folder is lost
            if isinstance(node, _File):
                if id(node) not in contents:
                    contents[id(node)] = _after_cut(node, chance)
                left[path] = contents[id(node)]
            else:
                left[path] = node.target if isinstance(node, _Link) else None
        return left


def write_files(files: Files, root: str, target: Path) -> None:
    """Write the files, whose names are paths under ``root``, into a new folder."""
    target.mkdir(parents=True)
    for path, content in sorted(files.items(), key=lambda item: item[0]):
        at = os.path.join(target, os.path.relpath(path, root))
        if content is None:
            os.mkdir(at)
        elif isinstance(content, str):
            os.symlink(content, at)
        else:
            with open(at, "wb") as stream:
                stream.write(content)


def _rename(names: dict[str, _Node], change: _NameChange) -> None:
    if change.old_path:
        names.pop(change.old_path, None)
    if change.node is None:
        names.pop(change.path, None)
    else:
        names[change.path] = change.node


def _content(start: bytearray, changes: list[FileChange]) -> bytearray:
    content = bytearray(start)
    for change in changes:
        if change.kind == "write":
            end = change.offset + len(change.data)
            content.extend(bytes(max(0, end - len(content))))
            content[change.offset : end] = change.data
        elif change.kind == "grow":
            content.extend(bytes(max(0, change.offset - len(content))))
        else:
            del content[change.offset :]
            content.extend(bytes(change.offset - len(content)))
    return content


def _after_cut(node: _File, chance: random.Random) -> bytes:
    """One of the contents that the file may have after a power cut."""
    if not node.pending:
        return bytes(node.synced)
    way = chance.choice(("all", "none", "first", "some", "length"))
    changes = node.pending
    if way == "none":
        changes = []
    elif way == "first":
        changes = changes[: chance.randint(0, len(changes))]
        if changes and changes[-1].kind == "write":
            changes = [*changes[:-1], _torn(changes[-1], chance)]
    elif way == "some":
        changes = [
            _torn(change, chance) if chance.random() < 0.2 else change for change in changes if chance.random() < 0.6
        ]
    elif way == "length":
        changes = [
            change._replace(data=bytes(len(change.data))) if change.kind == "write" else change for change in changes
        ]
    return bytes(_content(node.synced, changes))


def _torn(change: FileChange, chance: random.Random) -> FileChange:
    """A write of which only some sectors, or a part of one, reached the disk."""
    if change.kind != "write" or not change.data:
        return change
    whole = len(change.data) // SECTOR
    end = chance.randint(0, whole) * SECTOR if whole else chance.randint(0, len(change.data))
    return change._replace(data=change.data[:end])
