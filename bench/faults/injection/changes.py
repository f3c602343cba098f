"""What a call of another process would change of the files under a folder."""

import os
import struct

from bench.faults.injection.calls import SystemCall
from bench.faults.injection.disk import FileChange
from bench.faults.injection.process import memory_at, position_of, signed, text_at

_CURRENT_FOLDER, _REMOVE_FOLDER = -100, 0x200


class ChangesBelow:
    """The changes of files under ``root``, a path without links."""

    def __init__(self, root: str) -> None:
        self.root = root

    def of_call(self, thread: int, call: SystemCall, arguments: tuple[int, ...], record: bool) -> FileChange | None:
        """The change that the call would make to a file under the root; None if it makes none."""
        try:
            if call.form in ("path", "paths", "open", "creat", "truncate", "symlink"):
                return self._change_by_path(thread, call, arguments)
            return self._change_by_descriptor(thread, call, arguments, record)
        except (FileNotFoundError, ProcessLookupError):  # the descriptor or the process does not exist any more
            return None

    def _change_by_path(self, thread: int, call: SystemCall, arguments: tuple[int, ...]) -> FileChange | None:
        form, first = call.form, call.first

        def path_at(place: int) -> str:
            """The path whose folder's descriptor, if the call has one, is at this place."""
            if first < 0:
                return self._path(thread, _CURRENT_FOLDER, arguments[place])
            return self._path(thread, arguments[place], arguments[place + 1])

        if form == "paths":
            old, new = (path_at(0), path_at(1)) if first < 0 else (path_at(first), path_at(first + 2))
            return FileChange("link" if "link" in call.name else "rename", old, new) if self._is_inside(new) else None
        if form == "symlink":
            path = path_at(1)
            return FileChange("symlink", path, text_at(thread, arguments[0])) if self._is_inside(path) else None
        path = path_at(max(first, 0))
        if not self._is_inside(path):
            return None
        if form in ("open", "creat"):
            flags = arguments[first + 2] if form == "open" else os.O_CREAT | os.O_TRUNC
            exists = os.path.exists(path)
            if exists and flags & os.O_TRUNC and not flags & os.O_EXCL:
                return FileChange("size", path, offset=0)
            return FileChange("create", path) if flags & os.O_CREAT and not exists else None
        if form == "truncate":
            return FileChange("size", path, offset=arguments[1])
        if call.name.startswith("mkdir"):
            return None if os.path.isdir(path) else FileChange("mkdir", path)
        flags = arguments[2] if call.name == "unlinkat" else 0
        kind = "rmdir" if call.name == "rmdir" or flags & _REMOVE_FOLDER else "unlink"
        return FileChange(kind, path) if os.path.lexists(path) else None

    def _change_by_descriptor(
        self, thread: int, call: SystemCall, arguments: tuple[int, ...], record: bool
    ) -> FileChange | None:
        form, descriptor = call.form, signed(arguments[0])
        path = os.readlink(f"/proc/{thread}/fd/{descriptor}")
        if not self._is_inside(path) or path.endswith(" (deleted)"):
            return None
        if form == "sync":
            return FileChange("sync", path)
        if form == "size":
            return FileChange("size", path, offset=arguments[1])
        if form == "grow":
            return FileChange("grow", path, offset=arguments[2] + arguments[3]) if not arguments[1] else None
        offset = arguments[3] if form.startswith("p") else position_of(thread, descriptor, path)
        data = written_data(thread, call, arguments) if record else b""
        return FileChange("write", path, offset=offset, data=data)

    def _is_inside(self, path: str) -> bool:
        return path == self.root or path.startswith(self.root + "/")

    def _path(self, thread: int, folder: int, address: int) -> str:
        text = text_at(thread, address)
        if not text.startswith("/"):
            folder = signed(folder)
            at = f"/proc/{thread}/cwd" if folder == _CURRENT_FOLDER else f"/proc/{thread}/fd/{folder}"
            text = f"{os.readlink(at)}/{text}"
        head, tail = os.path.split(os.path.normpath(text))
        return os.path.join(os.path.realpath(head), tail)


def needs_space(change: FileChange) -> bool:
    """Whether the change fails on a full disk."""
    if change.kind == "size":
        return os.path.exists(change.path) and change.offset > os.path.getsize(change.path)
    return change.kind in ("write", "create", "mkdir", "grow", "link", "symlink")


def written_data(thread: int, call: SystemCall, arguments: tuple[int, ...]) -> bytes:
    """The data of a write."""
    if call.form in ("write", "pwrite"):
        return memory_at(thread, arguments[1], arguments[2])
    vectors = memory_at(thread, arguments[1], 16 * arguments[2])
    return b"".join(memory_at(thread, *struct.unpack_from("=QQ", vectors, at)) for at in range(0, len(vectors), 16))
