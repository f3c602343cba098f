"""Finds the files that Python needs inside the jail: the base interpreter, its standard library, the C library."""

import importlib.util
import os
import re
import stat
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

_FOREIGN = ("site-packages", "dist-packages")  # installed packages are not the interpreter's
_C_LIBRARY = re.compile(r"libc\.so\.6|libc-[\d.]+\.so|ld-(linux|musl)[\w.-]*")


@dataclass(frozen=True, slots=True)
class Interpreter:
    """Absolute real paths. `trees` are readable except `hidden`; `loaders` are the paths of ld.so."""

    executable: Path
    trees: tuple[Path, ...]
    hidden: tuple[Path, ...]
    loaders: tuple[Path, ...]

    @property
    def readable_by_others(self) -> bool:
        """Whether any uid may enter the standard library's directory; false for a pyenv under /root."""
        library = self.trees[0]
        modes = [path.stat().st_mode for path in (library, *library.parents)]
        return all(mode & stat.S_IXOTH for mode in modes) and bool(modes[0] & stat.S_IROTH)

    def rules(self) -> tuple[list[str], list[str]]:
        """Files and trees to read, and directories to list, for Landlock, which can only allow."""
        files: list[str] = [str(self.executable), *map(str, self.loaders)]
        listings: list[str] = []
        for tree in self.trees:
            inside = [path for path in self.hidden if path.is_relative_to(tree)]
            _allow_around(tree, inside, files, listings)
        return files, listings


def _allow_around(tree: Path, hidden: list[Path], files: list[str], listings: list[str]) -> None:
    """Allow `tree` except `hidden`: as a whole if nothing below is hidden, else entry by entry."""
    if not hidden:
        files.append(str(tree))
        return
    listings.append(str(tree))
    for entry in tree.iterdir():
        if entry not in hidden and not entry.is_symlink():
            below = [path for path in hidden if path.is_relative_to(entry)]
            _allow_around(entry, below, files, listings)


def find() -> Interpreter:
    """The interpreter of this process; in a virtual environment, its base."""
    base = Path(getattr(sys, "_base_executable", "") or sys.executable).resolve()
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix})).resolve()
    platform_library = Path(sysconfig.get_path("platstdlib", vars={"platbase": sys.base_prefix})).resolve()
    c_libraries = _c_library_directories()
    shared = _shared_libraries(Path(sys.base_prefix).resolve(), c_libraries)
    trees = _without_nested([library, *shared, *c_libraries, platform_library / "lib-dynload"])
    hidden = {root / name for root in (library, platform_library) for name in _FOREIGN}
    loaders = [path for root in ("/lib", "/lib64") for path in Path(root).glob("ld*.so*") if path.is_file()]
    return Interpreter(base, trees, tuple(sorted(path for path in hidden if path.is_dir())), tuple(loaders))


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package: its name, the folder it is imported from, and the trees it needs."""

    name: str
    folder: Path
    trees: tuple[Path, ...]


def find_packages(names: tuple[str, ...]) -> tuple[Package, ...]:
    """Those of the packages that are installed as folders, with the shared libraries of their wheels."""
    found = []
    for name in names:
        spec = importlib.util.find_spec(name)
        for place in (spec and spec.submodule_search_locations) or ():
            tree = Path(place).resolve()
            libraries = tree.with_name(f"{name}.libs")
            found.append(Package(name, tree.parent, (tree, libraries) if libraries.is_dir() else (tree,)))
    return tuple(found)


def _c_library_directories() -> list[Path]:
    """The folders of the C library, from our own memory map; the base interpreter loads the same."""
    found: set[Path] = set()
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        for line in maps:
            path = line.rstrip("\n").split(maxsplit=5)[5:]
            if path and path[0].startswith("/") and _C_LIBRARY.fullmatch(os.path.basename(path[0])):
                found.add(Path(path[0]).parent.resolve())
    return sorted(found)


def _shared_libraries(prefix: Path, system: list[Path]) -> list[Path]:
    """libpython and other libraries of an interpreter outside of the system's directories."""
    return [path for path in sorted((prefix / "lib").glob("*.so*")) if path.parent not in system and path.is_file()]


def _without_nested(paths: list[Path]) -> tuple[Path, ...]:
    kept: list[Path] = []
    for path in paths:
        if path.exists() and not any(path.is_relative_to(other) for other in kept):
            kept.append(path)
    return tuple(kept)
