"""Finds a back end that works on this machine. Each is attacked before it is used."""

import os
import shutil
from pathlib import Path

from sandbox.outcomes import Diagnosis, Limits, Program, Returned, SandboxBroken, SandboxUnavailable
from sandbox.outside.backends import BACKENDS, CannotStart
from sandbox.outside.sandbox import Sandbox

# Returns a list of the attacks that worked: empty if the sandbox holds.
_SELF_TEST = """
import os, signal, socket, threading

def attack(files, folders):
    done = []
    def attempt(name, action):
        try:
            action()
            done.append(name)
        except (OSError, RuntimeError):
            pass
    for path in files:
        attempt("read " + path, lambda: open(path).close())
    for path in folders:
        attempt("wrote in " + path, lambda: open(path + "/sandbox-self-test", "w").close())
        attempt("made a directory in " + path, lambda: os.mkdir(path + "/sandbox-self-test"))
    attempt("opened a TCP socket", lambda: socket.socket(socket.AF_INET))
    attempt("opened a Unix socket", lambda: socket.socket(socket.AF_UNIX))
    attempt("signalled its parent", lambda: os.kill(os.getppid(), 0))
    attempt("signalled everybody", lambda: os.kill(-1, 0))
    attempt("executed a program", lambda: os.execv("/bin/true", ["true"]))
    attempt("started a thread", threading.Thread(target=int).start)
    attempt("forked", lambda: os.fork() or os._exit(0))
    if os.environ:
        done.append("saw the environment")
    if os.geteuid() == 0:
        done.append("stayed root")
    return done
"""


def open_sandbox(limits: Limits | None = None, backend: str | None = None, packages: tuple[str, ...] = ()) -> Sandbox:
    """Open a sandbox on the first back end that works here, or only on `backend` ("bubblewrap", "landlock").

    packages: installed packages that programs may import, for code that is trusted more than most; missing ones are
    left out. SandboxUnavailable if no back end works: then nothing may be run. Takes about a tenth of a second, and the
    time to import the packages.
    """
    names = [name for name, _ in BACKENDS]
    if backend is not None and backend not in names:
        raise ValueError(f"backend={backend!r} is none of {', '.join(names)}; name one of them, or None for the first")
    failures: list[Diagnosis] = []
    for name in names if backend is None else [backend]:
        opened = _open(name, limits or Limits(), packages)
        if isinstance(opened, Sandbox):
            return opened
        failures.append(opened)
    found = "; ".join(f"{failure.backend}: {failure.why}" for failure in failures)
    raise SandboxUnavailable(
        f"Untrusted code runs in the sandbox or not at all, and none holds here ({found}). {remedy()}"
    )


def diagnose() -> list[Diagnosis]:
    """Try each back end: open a sandbox on it and close it."""
    result = []
    for name, _ in BACKENDS:
        opened = _open(name, Limits(), ())
        if isinstance(opened, Sandbox):
            opened.close()
            opened = Diagnosis(name, True, opened.why)
        result.append(opened)
    return result


def _open(name: str, limits: Limits, packages: tuple[str, ...]) -> Sandbox | Diagnosis:
    try:
        launch = dict(BACKENDS)[name](packages)
        sandbox = Sandbox(name, launch, limits)
    except CannotStart as trouble:
        return Diagnosis(name, False, str(trouble))
    try:
        wrong = _self_test(sandbox)
    except SandboxBroken as broken:
        wrong = str(broken)
    if wrong is None:
        return sandbox
    sandbox.close()
    return Diagnosis(name, False, wrong)


def _self_test(sandbox: Sandbox) -> str | None:
    """What is wrong with this sandbox; None if all attacks ran and failed."""
    files = ["/etc/passwd", "/etc/hosts", "/proc/self/environ", "/proc/1/environ", str(Path(__file__).resolve())]
    folders = sorted({"/", "/tmp", "/dev/shm", "/var/tmp", os.getcwd(), str(Path.home())})
    execution = sandbox.run(Program(_SELF_TEST, "attack", ((files, folders),)))
    match execution.outcomes:
        case (Returned(value=[]),):
            return None
        case (Returned(value=list(done)),):
            return f"it does not hold: a program {', '.join(map(str, done))}"
    return f"its self-test did not run: {execution.loaded or execution.outcomes}"


def remedy() -> str:
    """A sentence with the command that would most likely make a back end work here."""
    root = "" if os.geteuid() == 0 else "sudo "
    if shutil.which("bwrap") is None:
        for tool, command in _INSTALLERS:
            if shutil.which(tool) is not None:
                return f"Install bubblewrap: {root}{command}"
        return "Install bubblewrap with your package manager: the package is called bubblewrap."
    for setting, bad, good in _SYSCTLS:
        path = Path("/proc/sys", *setting.split("."))
        if path.is_file() and path.read_text(encoding="ascii").strip() == bad:
            return f"Let ordinary users make user namespaces: {root}sysctl -w {setting}={good}"
    return (
        "A container that forbids both user namespaces and Landlock is the usual reason; start it with: "
        "docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined ..."
    )


_INSTALLERS = (
    ("apt-get", "apt-get install -y bubblewrap"),
    ("dnf", "dnf install -y bubblewrap"),
    ("apk", "apk add bubblewrap"),
    ("pacman", "pacman -S --noconfirm bubblewrap"),
    ("zypper", "zypper install -y bubblewrap"),
)
_SYSCTLS = (
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("user.max_user_namespaces", "0", "15000"),
)
