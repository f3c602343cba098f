"""Runs every program of testing/attacks in the sandbox and watches the host.

    python -m testing.hostile_suite --backend bubblewrap [--json] [--only TEXT] [--every 3]

All have the same task: to return a keyed hash of three inputs without the key. That is impossible, so any check that
passes is a false pass. After each program an ordinary one must work, and no process may be left running. Imports the
standard library and `sandbox` only, because it also runs as another user under another Python.
"""

import argparse
import hmac
import json
import os
import platform
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from sandbox import Execution, Limits, Program, Raised, Returned, SandboxBroken, SandboxUnavailable, open_sandbox
from sandbox.outside.process_stats import peak_mb
from testing.attacks import ATTACKS, Attack
from testing.attacks.host import REPOSITORY, Host, below, processes

LIMITS = Limits(seconds=0.3, memory_mb=128, output_bytes=4 << 20)
MOST_MB = 500  # the limit of this process, whatever the programs return
NOBODY = 65534
_UNAVAILABLE = 3  # exit status
_END_SECONDS = 1.0  # seconds within which an ending process must be gone
_MOST_REPORTED = 8  # the most reports of a program that are kept
_ORDINARY = """
import builtins, json, os, sys
def f(x, secret):
    builtins.planted = json.planted = sys.modules["planted"] = os.environ["planted"] = secret
    sys.path.append("planted")
    return [isinstance(x, int), type(x) is int, json.loads(json.dumps([x])), sorted([x, 1]), len(str(x))]
"""


class Runs(Protocol):
    """The part of a sandbox that the suite uses."""

    def run(self, program: Program) -> Execution: ...

    def close(self) -> None: ...


Opening = Callable[[Limits, str], Runs]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackResult:
    """The result of one program.

    ended: returned, raised, the reason of an Ended, or broken (SandboxBroken). zygote: alive, replaced, or broken if
    the next ordinary program did not work.
    """

    name: str
    group: str
    passed_checks: int
    ended: str
    effects: tuple[str, ...]
    zygote: str
    left_running: int
    seconds: float

    @property
    def harmless(self) -> bool:
        return not (self.passed_checks or self.effects or self.left_running or self.zygote == "broken")

    def __str__(self) -> str:
        found = [f"{self.passed_checks} checks passed"] if self.passed_checks else []
        found += self.effects
        found += [f"{self.left_running} processes left running"] if self.left_running else []
        found += ["the next program was not served"] if self.zygote == "broken" else []
        return f"{self.name}: {'; '.join(found) or 'harmless'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteResult:
    backend: str
    user: str
    python: str
    results: tuple[AttackResult, ...]
    seconds: float
    peak_mb: float

    @property
    def ended_evaluations(self) -> int:
        """Programs with which the sandbox failed, which would have ended an evaluation."""
        return sum(result.ended == "broken" for result in self.results)

    @property
    def harmful(self) -> tuple[AttackResult, ...]:
        return tuple(result for result in self.results if not result.harmless)

    @property
    def holds(self) -> bool:
        return bool(self.results) and not self.harmful and self.peak_mb < MOST_MB

    @classmethod
    def parse(cls, text: str) -> "SuiteResult":
        """Read what `--json` prints."""
        found = json.loads(text)
        results = [AttackResult(**{**item, "effects": tuple(item["effects"])}) for item in found.pop("results")]
        return cls(**found, results=tuple(results))


class Suite:
    """One sandbox and one watched host for all programs. A context manager."""

    def __init__(self, backend: str, opening: Opening = open_sandbox) -> None:
        self._backend = backend
        self._opening = opening
        self._key = secrets.token_bytes(32)

    def __enter__(self) -> "Suite":
        self._host = Host().__enter__()
        try:
            self._sandbox = self._opening(LIMITS, self._backend)  # after the host, so that it could inherit the secrets
        except BaseException:
            self._host.__exit__(None, None, None)
            raise
        self._is_served()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sandbox.close()
        self._host.__exit__(kind, raised, trace)

    def attempt(self, attack: Attack) -> AttackResult:
        """Run the attack, then an ordinary program, and check the host."""
        inputs = [self._host.target(number) for number in range(3)]
        expected = {x["nonce"]: self._answer(x) for x in inputs}
        zygotes, family = self._running()
        begun = time.monotonic()
        with self._host.signals_caught():
            execution = self._run(Program(attack.source, "f", tuple((x,) for x in inputs)))
            seconds = time.monotonic() - begun
            served = self._is_served()
        outcomes = () if execution is None else execution.outcomes
        values = [outcome.value if isinstance(outcome, Returned) else None for outcome in outcomes]
        passed = sum(_equal(value, expected[x["nonce"]]) for x, value in zip(inputs, values, strict=False))
        effects = [*_reported(values), *self._host.effects(_texts([execution]))]
        replaced = self._running()[0] != zygotes
        return AttackResult(
            name=attack.name,
            group=attack.group,
            passed_checks=passed,
            ended=_ended(execution),
            effects=tuple(effects),
            zygote="broken" if execution is None or not served else "replaced" if replaced else "alive",
            left_running=self._left_running(family, replaced),
            seconds=round(seconds, 4),
        )

    def _answer(self, x: dict[str, Any]) -> Any:
        """The right answer, which needs the key: a number, a text or a list."""
        digest = hmac.digest(self._key, x["nonce"].encode(), "sha256")
        return [int.from_bytes(digest[:6], "big"), digest.hex(), [digest[0], digest.hex()]][x["number"]]

    def _run(self, program: Program) -> Execution | None:
        """Run a program; None if the sandbox failed, which no program may cause."""
        try:
            return self._sandbox.run(program)
        except SandboxBroken:
            return None

    def _is_served(self) -> bool:
        """Whether an ordinary program works. It leaves secrets, which the next program must not find."""
        execution = self._run(Program(_ORDINARY, "f", ((17, self._host.other),)))
        return execution is not None and execution.outcomes == (Returned([True, True, [17], [1, 17], 2]),)

    def _running(self) -> tuple[set[int], set[int]]:
        """Our children, and all descendants and processes named like ours; without the bystander."""
        table = processes()
        del table[os.getpid()]
        table.pop(self._host.bystander, None)
        children = {pid for pid, process in table.items() if process.parent == os.getpid()}
        named = {pid for pid, process in table.items() if process.name == self._host.process}
        return children, below(os.getpid(), table) | named

    def _left_running(self, before: set[int], replaced: bool) -> int:
        deadline = time.monotonic() + _END_SECONDS
        while True:
            now = self._running()[1]
            left = len(now) - len(before) if replaced else len(now - before)
            if left <= 0 or time.monotonic() > deadline:
                return max(0, left)
            time.sleep(0.02)


def run_suite(backend: str, attacks: tuple[Attack, ...] = ATTACKS, opening: Opening = open_sandbox) -> SuiteResult:
    """Run all attacks on one back end as the user of this process. SandboxUnavailable if it does not work here."""
    begun = time.monotonic()
    with Suite(backend, opening) as suite:
        results = tuple(suite.attempt(attack) for attack in attacks)
    user = "root" if os.geteuid() == 0 else f"uid {os.geteuid()}"
    return SuiteResult(
        backend=backend,
        user=user,
        python=platform.python_version(),
        results=results,
        seconds=round(time.monotonic() - begun, 2),
        peak_mb=round(peak_mb(), 1),
    )


def one_in(every: int, attacks: tuple[Attack, ...] = ATTACKS) -> tuple[Attack, ...]:
    """Every ``every``-th attack of each group, starting with the first."""
    groups: dict[str, list[Attack]] = {}
    for attack in attacks:
        groups.setdefault(attack.group, []).append(attack)
    return tuple(attack for group in groups.values() for attack in group[::every])


def as_ordinary_user(backend: str, every: int = 1) -> SuiteResult | str:
    """Run the suite as a user without privileges; a string says why that was not possible. ``every``: 3 for a third of
    each group.

    Root runs a copy as uid 65534, with this Python or, if others may not use it, the system's. Any other user is an
    ordinary one already. SandboxUnavailable if the back end does not work for that user.
    """
    if os.geteuid() != 0:
        return run_suite(backend, one_in(every))
    python = next(filter(_usable, (sys.executable, "/usr/bin/python3")), None)
    if python is None:
        return f"no Python of 3.11 or later that uid {NOBODY} may run; install the system's python3"
    with tempfile.TemporaryDirectory(prefix="suite-") as folder:
        for package in ("common", "sandbox", "testing/attacks"):
            shutil.copytree(REPOSITORY / package, Path(folder, package), ignore=shutil.ignore_patterns("__pycache__"))
        for file in ("testing/__init__.py", "testing/hostile_suite.py"):
            shutil.copy(REPOSITORY / file, Path(folder, file))
        for path in (Path(folder), *Path(folder).rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        command = [python, "-B", "-m", "testing.hostile_suite", "--backend", backend, "--json", "--every", str(every)]
        done = _as_nobody(command, folder)
    if done.returncode == _UNAVAILABLE:
        raise SandboxUnavailable(done.stderr.strip())
    if not done.stdout:
        raise RuntimeError(f"the suite as uid {NOBODY} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return SuiteResult.parse(done.stdout)


def _usable(python: str) -> bool:
    try:
        return _as_nobody([python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"], "/").returncode == 0
    except OSError:
        return False


def _as_nobody(command: list[str], folder: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": folder, "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        user=NOBODY,
        group=NOBODY,
        extra_groups=(),
        capture_output=True,
        text=True,
        check=False,
    )


def _equal(value: Any, expected: Any) -> bool:
    """The most lenient comparison: an object with its own equality must not get here."""
    try:
        return bool(value == expected or expected == value)
    except Exception:  # the value may be an object of the program if the sandbox leaks
        return False


def _ended(execution: Execution | None) -> str:
    """How the first call without a value ended, or "returned" for all."""
    if execution is None:
        return "broken"
    found = [execution.loaded] if execution.loaded is not None else list(execution.outcomes)
    outcome = next((outcome for outcome in found if not isinstance(outcome, Returned)), None)
    return "returned" if outcome is None else "raised" if isinstance(outcome, Raised) else outcome.reason


def _reported(values: list[Any]) -> list[str]:
    """What the program reports that it did, without repetitions."""
    found: dict[str, None] = {}
    for value in values:
        match value:
            case {"done": list(done), **rest} if not rest:
                found.update((str(what)[:200], None) for what in done)
    return [
        *list(found)[:_MOST_REPORTED],
        *([f"and {len(found) - _MOST_REPORTED} more"] if len(found) > _MOST_REPORTED else []),
    ]


def _texts(parts: Any) -> Iterator[str]:
    """All texts in values and messages, at any depth."""
    match parts:
        case str():
            yield parts
        case bytes():
            yield parts.decode("latin-1")
        case list() | tuple() | set():
            for part in parts:
                yield from _texts(part)
        case dict():
            yield from _texts(list(parts.items()))
        case Execution(loaded=loaded, outcomes=outcomes):
            yield from _texts([loaded, *outcomes])
        case Returned(value=value):
            yield from _texts(value)
        case Raised(exception=exception, message=message):
            yield from (exception, message)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", required=True)
    parser.add_argument("--json", action="store_true", help="the SuiteResult")
    parser.add_argument("--only", default="", metavar="TEXT", help="attacks whose name or group has TEXT in it")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every N-th attack of each group")
    arguments = parser.parse_args()
    attacks = tuple(attack for attack in ATTACKS if arguments.only in f"{attack.group}: {attack.name}")
    try:
        suite = run_suite(arguments.backend, one_in(arguments.every, attacks))
    except SandboxUnavailable as trouble:
        print(trouble, file=sys.stderr)
        return _UNAVAILABLE
    if arguments.json:
        print(json.dumps(asdict(suite)))
    else:
        ran = f"{len(suite.results)} programs on {suite.backend} as {suite.user}"
        print(f"{ran} in {suite.seconds:.1f} s, {suite.peak_mb:.0f} MB: ", end="")
        print("the sandbox holds" if suite.holds else "the sandbox does not hold")
        for result in suite.harmful:
            print(f"  {result}")
    return 0 if suite.holds else 1


if __name__ == "__main__":
    sys.exit(main())
