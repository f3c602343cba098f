"""How the zygote is started under each back end.

Adding one: a function that gives a Launch, and an entry in BACKENDS.
"""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.kernel import landlock, system
from sandbox.outcomes import SandboxBroken
from sandbox.outside import interpreter

# Fixed, so that a program returns the same values each time: set order, time zone.
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "TZ": "UTC0", "LC_ALL": "C"}
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# Like -I without -E, which would ignore PYTHONHASHSEED; the environment is ours. utf8: text is UTF-8 also without a
# locale of that name.
_FLAGS = ("-s", "-S", "-P", "-B", "-X", "utf8")
_JAIL_UID = 65534
_FREE_UIDS = 0x70000000  # plus a process id: a uid that nobody else has


class CannotStart(SandboxBroken):
    """A back end does not work here; the message says why, in one line."""


@dataclass(frozen=True, slots=True)
class Launch:
    """The zygote's command line (the boot code is appended), environment and settings."""

    command: tuple[str, ...]
    environment: dict[str, str]
    settings: dict[str, Any]


def bubblewrap(packages: tuple[str, ...] = ()) -> Launch:
    """Its own namespaces, no /proc, no /dev, nothing writable. CannotStart without bwrap."""
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise CannotStart("bwrap is not installed")
    python = interpreter.find()
    extra = interpreter.find_packages(packages)
    _check_machine()
    jail = ["--die-with-parent", "--new-session", "--as-pid-1", "--clearenv", "--cap-drop", "ALL"]
    jail += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    become = None
    if os.geteuid() == 0:  # the zygote gives up root before it takes a program
        become = _FREE_UIDS + os.getpid()
        jail += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--hostname", "sandbox"]
    else:
        jail += ["--unshare-user", "--uid", str(_JAIL_UID), "--gid", str(_JAIL_UID), "--hostname", "sandbox"]
    places = [(tree, place) for tree in (*python.trees, *python.loaders, python.executable) for place in _names(tree)]
    added = [tree for package in extra for tree in package.trees]
    for folder in sorted({parent for place in [*(p for _, p in places), *added] for parent in place.parents[:-1]}):
        jail += ["--dir", str(folder)]  # bwrap would copy the mode of a host folder that only root may enter
    for tree, place in places:
        jail += ["--ro-bind", str(tree), str(place)]
    for hidden in python.hidden:
        jail += ["--tmpfs", str(hidden)]
    for tree in added:
        jail += ["--ro-bind", str(tree), str(tree)]
    for hidden in python.hidden:
        jail += ["--remount-ro", str(hidden)]
    jail += ["--remount-ro", "/", "--chdir", "/"]
    for name, value in (_ENVIRONMENT | (_ONE_THREAD if extra else {})).items():
        jail += ["--setenv", name, value]
    command = (bwrap, *jail, "--", str(python.executable), *_FLAGS, "-c")
    settings = {"parent": None, "become": become, "landlock": None, "keep_read_search": False}
    return Launch(command, {}, settings | _imports(extra))


def _imports(packages: tuple[interpreter.Package, ...]) -> dict[str, Any]:
    return {"path": sorted({str(one.folder) for one in packages}), "packages": [one.name for one in packages]}


def _names(path: Path) -> list[Path]:
    """A path, and its second name if /lib is a link to /usr/lib."""
    other = Path("/") / path.relative_to("/usr") if path.is_relative_to("/usr/lib") else path
    return [path, other] if other != path and Path("/lib").is_symlink() else [path]


def landlock_and_seccomp(packages: tuple[str, ...] = ()) -> Launch:
    """No namespaces: Landlock forbids files and TCP, and seccomp all access to other processes. CannotStart without
    it."""
    _check_machine()
    try:
        landlock.abi()
    except OSError as trouble:
        raise CannotStart(f"this kernel offers no Landlock ({trouble.strerror})") from None
    python = interpreter.find()
    files, listings = python.rules()
    extra = interpreter.find_packages(packages)
    files += [str(tree) for package in extra for tree in package.trees]
    listings += [str(package.folder) for package in extra]
    settings = {
        "parent": os.getpid(),
        "become": _FREE_UIDS + os.getpid() if os.geteuid() == 0 else None,
        "landlock": {"files": files, "listings": listings},
        "keep_read_search": os.geteuid() == 0 and not python.readable_by_others,
    }
    environment = _ENVIRONMENT | (_ONE_THREAD if extra else {})
    return Launch((str(python.executable), *_FLAGS, "-c"), environment, settings | _imports(extra))


def _check_machine() -> None:
    if not sys.platform.startswith("linux"):
        raise CannotStart(f"the sandbox needs Linux, this is {sys.platform}")
    try:
        system.machine()
    except NotImplementedError as trouble:
        raise CannotStart(str(trouble)) from None


BACKENDS: tuple[tuple[str, Callable[[tuple[str, ...]], Launch]], ...] = (
    ("bubblewrap", bubblewrap),
    ("landlock", landlock_and_seccomp),
)
