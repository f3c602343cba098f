"""Every hostile program of testing/attacks on every back end, and a third of them as a user without rights; and the
suite itself, which must find what a sandbox that does not hold lets through."""

import builtins
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace

import pytest
from jailed import BACKENDS
from long_cases import all_but, long_case

from bench.sandbox import ProgramCost, Report, text
from sandbox import Execution, Limits, Program, Raised, Returned, SandboxBroken, decode, encode
from testing.attacks import ATTACKS, Attack
from testing.hostile_answers import Judged
from testing.hostile_answers import text as judged_text
from testing.hostile_suite import AttackResult, Runs, Suite, SuiteResult, as_ordinary_user, one_in, run_suite


@pytest.fixture(scope="session", params=BACKENDS)
def suite(request: pytest.FixtureRequest) -> Iterator[Suite]:
    with Suite(request.param) as opened:
        yield opened


@pytest.mark.parametrize(
    ("suite", "attack"),
    [
        (backend, attack) if place % 4 == 2 * shift else long_case((backend, attack))
        for shift, backend in enumerate(BACKENDS)
        for place, attack in enumerate(ATTACKS)
    ],
    indirect=["suite"],
    ids=lambda given: given if isinstance(given, str) else f"{given.group}: {given.name}",
)
def test_a_hostile_program_gets_nothing_and_the_next_one_is_served(suite: Suite, attack: Attack) -> None:
    result = suite.attempt(attack)
    assert result.harmless, str(result)


@pytest.mark.slow
@pytest.mark.parametrize("backend", all_but(BACKENDS[:1], BACKENDS))
@pytest.mark.parametrize("every", all_but([9], [9, 3]))
def test_the_sandbox_holds_for_a_user_without_rights(backend: str, every: int) -> None:
    """``nightlane bench sandbox`` runs all of them as one."""
    found = as_ordinary_user(backend, every)
    if isinstance(found, str):
        pytest.skip(found)
    assert found.user != "root"
    assert [result.name for result in found.results] == [attack.name for attack in one_in(every)]
    assert {result.group for result in found.results} == {attack.group for attack in ATTACKS}
    assert len(found.results) >= len(ATTACKS) // every
    assert found.holds, "\n".join(map(str, found.harmful))


def test_names_are_unique_and_there_are_enough_of_them() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) >= 60


class InThisProcess:
    """No sandbox at all: objects come out as they are."""

    def run(self, program: Program) -> Execution:
        names: dict[str, Callable[..., object]] = {}
        exec(program.source, names)
        outcomes: list[Returned | Raised] = []
        for call in program.calls:
            try:
                outcomes.append(Returned(names[program.entry_point](*call)))
            except Exception as raised:
                outcomes.append(Raised(type(raised).__name__, str(raised)))
        return Execution(None, tuple(outcomes), 0.0)

    def close(self) -> None:
        """What the ordinary program planted must not stay with pytest."""
        for holder in (builtins, json):
            vars(holder).pop("planted", None)
        sys.modules.pop("planted", None)
        os.environ.pop("planted", None)
        sys.path[:] = [path for path in sys.path if path != "planted"]


class InAnotherProcess:
    """Plain values come out, but nothing is forbidden inside."""

    SCRIPT = """
import json, sys
from sandbox import decode, encode
source, calls = json.load(sys.stdin)
names, values = {}, []
exec(source, names)
for call in calls:
    try: values.append(encode(names["f"](*decode(call))))
    except Exception as error: values.append(None)
print(json.dumps(values))
"""

    def run(self, program: Program) -> Execution:
        with tempfile.TemporaryFile("w+") as output:  # not a pipe, which would stay open as long as a daemon
            subprocess.run(
                [sys.executable, "-c", self.SCRIPT],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                input=json.dumps([program.source, [encode(list(call)) for call in program.calls]]),
                stdout=output,
                text=True,
                check=True,
            )
            output.seek(0)
            forms = json.load(output)
        return Execution(None, tuple(Returned(decode(form)) for form in forms), 0.0)

    def close(self) -> None:
        pass


def attempted(opening: type[InThisProcess | InAnotherProcess], name: str) -> AttackResult:
    """Only for attacks that do no harm without a sandbox."""

    def opened(limits: Limits, backend: str) -> Runs:
        return opening()

    suite = run_suite("none", tuple(attack for attack in ATTACKS if attack.name == name), opened)
    assert not suite.holds
    (result,) = suite.results
    assert suite.harmful == (result,)
    return result


@pytest.mark.parametrize(
    "name",
    [
        "int that equals everything",
        "set that equals everything",
        "an object that says its class is int",
        "a walk up the frames for the expected value",
        "a hunt through all objects for the expected value",
    ],
)
def test_the_suite_finds_a_check_that_passed(name: str) -> None:
    assert attempted(InThisProcess, name).passed_checks > 0


@pytest.mark.parametrize(
    ("opening", "name", "effect"),
    [
        (InThisProcess, "what another program left: globals, modules, environment, hooks", "found what another"),
        (InAnotherProcess, "the caller's environment, also where it lay on the stack", "read the environment"),
        (InAnotherProcess, "the canary and its folder", "read "),
        (InAnotherProcess, "writing into the canary and its folder", "changed the canary's folder"),
        (InAnotherProcess, "the host's TCP and UDP listeners", "connected to TCP"),
        (InAnotherProcess, "the host's Unix sockets, abstract ones too", "connected to an abstract socket"),
        (InAnotherProcess, "SIGSTOP to a bystander", "changed the bystander"),
    ],
)
def test_the_suite_finds_what_happened_to_the_host(
    opening: type[InThisProcess | InAnotherProcess], name: str, effect: str
) -> None:
    found = attempted(opening, name).effects
    assert any(what.startswith(effect) for what in found), found


@pytest.mark.parametrize("where", ["all objects", "raw memory"])
def test_a_hunt_finds_what_is_there(suite: Suite, where: str) -> None:
    (hunt,) = (
        attack for attack in ATTACKS if attack.name == f"a hunt through {where} for the values of another program"
    )
    there = hunt.source.replace(
        "def f(x): return", "def f(x):\n    held = [x['other'][::-1] for _ in range(9)]\n    return"
    )
    assert suite.attempt(replace(hunt, source=there)).effects == ("found the argument of another program",)


def test_the_suite_finds_a_daemon() -> None:
    assert attempted(InAnotherProcess, "daemon").left_running > 0


def test_the_suite_finds_a_secret_that_comes_out() -> None:
    source = "import os\ndef f(x): return [os.environ[x['variable']], open(x['canary']).read()]"
    suite = run_suite("none", (Attack("teller", "files", source),), lambda limits, backend: InAnotherProcess())
    assert suite.results[0].effects == (
        "got at the secret of the environment",
        "got at the secret of the canary",
    )


def test_the_suite_finds_machinery_that_a_program_broke() -> None:
    class Breaks(InThisProcess):
        def run(self, program: Program) -> Execution:
            if "KeyboardInterrupt" in program.source:
                raise SandboxBroken("twice")
            return super().run(program)

    attacks = tuple(attack for attack in ATTACKS if attack.name == "KeyboardInterrupt")
    suite = run_suite("none", attacks, lambda limits, backend: Breaks())
    assert not suite.holds
    assert suite.results[0].zygote == "broken"


def test_the_report_says_plainly_whether_the_sandbox_holds() -> None:
    harmless = AttackResult(
        name="fork",
        group="processes",
        passed_checks=0,
        ended="raised",
        effects=(),
        zygote="alive",
        left_running=0,
        seconds=0.1,
    )
    for result, said in ((harmless, "The sandbox holds"), (replace(harmless, left_running=2), "2 processes left")):
        suite = SuiteResult(
            backend="landlock", user="root", python="3.11.7", results=(result,), seconds=1.0, peak_mb=30.0
        )
        report = Report((suite,), (), None, (ProgramCost("landlock", 1, 1.0, 1.0),))
        assert report.holds == result.harmless
        assert said in "\n".join(text(report))
        assert SuiteResult.parse(json.dumps(asdict(suite))) == suite
    assert not Report((), ("bubblewrap: not here",), None, ()).holds
    assert not replace(suite, results=(harmless,), peak_mb=600.0).holds
    ended = Judged(
        answers=1,
        false_passes=(),
        wrongly_failed=0,
        ended_evaluation=("fork",),
        classes={},
        peak_mb=30.0,
        cpu=1.0,
        seconds=1.0,
    )
    assert not Report((replace(suite, results=(harmless,)),), (), ended, ()).holds
    assert "1 evaluations ended" in judged_text(ended)


def test_a_suite_of_nothing_proves_nothing() -> None:
    assert not run_suite("none", (), lambda limits, backend: InThisProcess()).holds
