"""What a power cut leaves of a folder: recorded changes, replayed onto a disk that forgets what was not synced.

Certain is: the data of a file that was synced after it was written, and a name whose folder, or whose file itself, was
synced after it was made. Of everything else a seeded coin decides. Two disks, by the seed:

ordered     names change in the order in which they were changed, as in a journal; how far it got is drawn
unordered   each unsynced change of a name is kept or lost by itself

Data that was not synced is lost from some write on, or write by write (out of order), and the last one kept may be torn
in the middle of a sector; a file's length may be kept where its data is not: then it is zeros.
"""

import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

SECTOR = 512
NEVER_KEPT = "-shm"  # SQLite's shared memory: made anew after a restart


class Change(NamedTuple):
    """kind: create, size, grow, write, sync, rename, link, symlink, unlink, mkdir, rmdir. ``offset``: a length where
    the kind is size or grow. ``said``: bytes of stderr written before it."""

    kind: str
    path: str
    other: str = ""
    offset: int = 0
    data: bytes = b""
    said: int = 0


@dataclass
class _File:
    """Its content on the disk, and what was done to it since: (place, change)."""

    synced: bytearray = field(default_factory=bytearray)
    pending: list[Change] = field(default_factory=list)


@dataclass
class _Folder:
    """A folder's names."""


@dataclass
class _Link:
    target: str


_Node = _File | _Folder | _Link


@dataclass
class _Named:
    """A change of names: which appear as what, and which go."""

    kind: str
    path: str
    node: _Node | None
    gone: str = ""


class Disk:
    """Begins as the folder ``start`` is, which counts as synced; the changes are to a copy of it at ``root``."""

    def __init__(self, start: Path, root: str) -> None:
        self.root = root
        self.names: dict[str, _Node] = {}
        self.kept: dict[str, _Node] = {}
        self.waiting: list[_Named] = []
        for path in start.rglob("*"):
            name = os.path.join(root, path.relative_to(start))
            if path.is_symlink():
                self.names[name] = _Link(os.readlink(path))
            elif path.is_dir():
                self.names[name] = _Folder()
            elif not name.endswith(NEVER_KEPT):
                self.names[name] = _File(bytearray(path.read_bytes()))
        self.kept = dict(self.names)

    def apply(self, change: Change) -> None:
        """As the processes see it; what the disk has of it is a matter of syncs."""
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
                self._name(_Named(kind, path, _File()))
        elif kind == "mkdir":
            if node is None:
                self._name(_Named(kind, path, _Folder()))
        elif kind == "symlink":
            if node is None:
                self._name(_Named(kind, path, _Link(change.other)))
        elif kind in ("unlink", "rmdir"):
            if node is not None:
                self._name(_Named(kind, path, None))
        elif node is not None:  # rename, link
            if kind == "rename" and isinstance(node, _Folder):
                for name in [name for name in self.names if name.startswith(path + "/")]:
                    self._name(_Named(kind, change.other + name[len(path) :], self.names[name], name))
            self._name(_Named(kind, change.other, node, path if kind == "rename" else ""))

    def _name(self, named: _Named) -> None:
        _rename(self.names, named)
        self.waiting.append(named)

    def _sync(self, path: str, node: _Node | None) -> None:
        """A file's data with its name and those of the folders above it; a folder's names."""
        if isinstance(node, _File):
            node.synced, node.pending = _content(node.synced, node.pending), []
            certain = {path}
        else:
            certain = {name for one in self.waiting for name in (one.path, one.gone) if os.path.dirname(name) == path}
            certain.add(path)
        while (path := os.path.dirname(path)) not in ("/", self.root, ""):
            certain.add(path)
        left = []
        for named in self.waiting:
            if named.path in certain or named.gone in certain:
                _rename(self.kept, named)
            else:
                left.append(named)
        self.waiting = left

    def seen(self) -> dict[str, bytes | None]:
        """Files as a process sees them; folders are None."""
        return {
            path: bytes(_content(node.synced, node.pending)) if isinstance(node, _File) else None
            for path, node in self.names.items()
            if not isinstance(node, _Link)
        }

    def cut(self, seed: str, target: Path) -> None:
        """Write what is left after a power cut into a new folder."""
        chance = random.Random(seed)
        names = dict(self.kept)
        share = chance.choice((0.0, 0.5, 1.0, chance.random()))
        if chance.random() < 0.5:
            kept = self.waiting[: round(share * len(self.waiting))]
        else:
            kept = [named for named in self.waiting if chance.random() < share]
        for named in kept:
            _rename(names, named)
        target.mkdir(parents=True, exist_ok=True)
        folders = {path for path, node in names.items() if isinstance(node, _Folder)}
        content: dict[int, bytes] = {}
        for path in sorted(folders):
            if os.path.dirname(path) in folders | {self.root}:
                (target / os.path.relpath(path, self.root)).mkdir(exist_ok=True)
        for path, node in sorted(names.items(), key=lambda item: item[0]):
            at = target / os.path.relpath(path, self.root)
            if isinstance(node, _Folder) or not at.parent.is_dir():
                continue
            if isinstance(node, _Link):
                at.symlink_to(node.target)
            else:
                if id(node) not in content:
                    content[id(node)] = _after_cut(node, chance)
                at.write_bytes(content[id(node)])


def _rename(names: dict[str, _Node], named: _Named) -> None:
    if named.gone:
        names.pop(named.gone, None)
    if named.node is None:
        names.pop(named.path, None)
    else:
        names[named.path] = named.node


def _content(start: bytearray, changes: list[Change]) -> bytearray:
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
    """One of the contents that the disk may have."""
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
        changes = [_torn(one, chance) if chance.random() < 0.2 else one for one in changes if chance.random() < 0.6]
    elif way == "length":
        changes = [one._replace(data=bytes(len(one.data))) if one.kind == "write" else one for one in changes]
    return bytes(_content(node.synced, changes))


def _torn(change: Change, chance: random.Random) -> Change:
    """A write of which the disk took some sectors, or a part of one."""
    if change.kind != "write" or not change.data:
        return change
    whole = len(change.data) // SECTOR
    end = chance.randint(0, whole) * SECTOR if whole else chance.randint(0, len(change.data))
    return change._replace(data=change.data[:end])
