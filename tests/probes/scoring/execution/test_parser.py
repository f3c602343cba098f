"""What parsing a text may cost, and that it costs another process."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.errors import MissingRequirement
from probes.scoring.execution import parser as module
from probes.scoring.execution.extraction import Extracted, extract
from probes.scoring.execution.parser import LONGEST, Parser, Unread
from probes.scoring.execution.parser_process import MEMORY_MB

WHOLE = "def f(x):\n    return x + 1\n"


def indented(code: str, depth: int = 1) -> str:
    return "".join(f"{' ' * depth}{line}\n" for line in code.splitlines())


def nested(levels: int, returns: int = 0) -> str:
    """try statements in each other's finally: the compiler writes each of them twice, once for every return more."""
    code = "pass\n"
    for _ in range(levels):
        code = "try:\n" + indented("if 0: return\n" * returns + "pass\n") + "finally:\n" + indented(code)
    return "def f(x):\n" + indented(code)


BOMBS = {
    "nested finally": nested(17),
    "more nested finally": nested(20),
    "returns in nested finally": nested(4, 30),
    "more returns in nested finally": nested(6, 30),
    "a dotted import": f"import {'.'.join('a' * 16_000)}",
    "brackets": "(" * 90_000,
    "nested finally in a fence": f"```python\n{nested(17)}```\n",
    "nested finally between prose": f"Sure:\n\n{nested(17)}\nDone.\n",
    "digits": "x = " + "9" * 30_000,
}


@pytest.fixture(scope="module")
def parser() -> Iterator[Parser]:
    opened = Parser()
    yield opened
    opened.close()


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_bomb_costs_this_process_nothing_and_ends_nothing(parser: Parser, bomb: str) -> None:
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.process_time()
    assert isinstance(parser.extract(bomb, "f"), Extracted)
    assert time.process_time() - began < 0.5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before.ru_maxrss < 50 << 10
    assert parser.extract(WHOLE, "f") == Extracted(WHOLE, "bare")


def test_no_such_process_takes_more_than_its_memory() -> None:
    code = (
        "import resource; from probes.scoring.execution.parser import Parser; import test_parser\n"
        "parser = Parser(); parser.extract(test_parser.nested(20), 'f'); parser.close()\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10)"
    )
    path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert int(done.stdout) <= MEMORY_MB


def test_a_process_that_died_is_replaced() -> None:
    parser = Parser()
    assert parser.extract(WHOLE, "f").form == "bare"
    assert parser._process is not None
    first = parser._process.pid
    os.kill(first, signal.SIGKILL)
    parser._process.wait()
    assert parser.extract(WHOLE, "f") == Extracted(WHOLE, "bare")
    assert parser._process.pid != first
    parser.close()
    assert parser._process is None


def test_the_process_is_kept_in_a_worker_that_is_large_itself() -> None:
    large = bytearray(b"x") * (200 << 20)
    parser = Parser()
    seen = []
    for _ in range(3):
        parser.extract("def double(x):\n    return 2 * x\n", "double")
        assert parser._process is not None
        seen.append(parser._process.pid)
    parser.close()
    assert len(large) == 200 << 20
    assert len(set(seen)) == 1


def test_a_question_that_computes_too_long_is_given_up() -> None:
    parser = Parser(seconds=0.3)
    with pytest.raises(Unread, match=r"more than 0\.3 s"):
        parser.ask(pow, 3, 10**8)
    parser.close()


def test_a_question_that_takes_too_long_on_the_clock_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    parser = Parser()
    parser.extract(WHOLE)
    monkeypatch.setattr(module, "DEADLINE", 0.2)
    began = time.monotonic()
    with pytest.raises(Unread, match="ended the process that parsed it, twice"):
        parser.ask(time.sleep, 30)
    assert time.monotonic() - began < 10
    parser.close()


def test_an_interrupted_question_leaves_no_answer_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    parser = Parser()
    with monkeypatch.context() as patch:
        patch.setattr(module, "_read", interrupted)
        with pytest.raises(KeyboardInterrupt):
            parser.extract("x = 1\n")
    assert parser.extract(WHOLE, "f") == Extracted(WHOLE, "bare")
    parser.close()


def test_a_text_that_is_too_long_is_not_looked_at(parser: Parser) -> None:
    text = "x" * (LONGEST + 1)
    with pytest.raises(Unread, match="longer than 1048576 characters"):
        parser.ask(extract, text)
    assert parser.extract(text) == Extracted(text, "bare")
    assert parser.salvage(text, text, "f", "") is None


def test_half_a_character_and_a_zero_byte_are_read(parser: Parser) -> None:
    for text in ("def f(x):\n    return '\ud800'\n", "def f(x):\n    return '\0'\n"):
        assert parser.extract(text, "f") == Extracted(text, "bare")


def test_it_finds_our_packages_where_an_editable_install_makes_them_known_by_a_finder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if not (Path(folder) / "probes").is_dir()])
    opened = Parser()
    assert opened.extract(f"Sure:\n```python\n{WHOLE}```\n", "f") == Extracted(WHOLE, "fenced")
    opened.close()


def test_a_process_that_does_not_start_is_told_and_no_answer_is_judged_as_it_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_BOOT", "import nothing_of_this_name")
    with pytest.raises(MissingRequirement, match=r"did not start \(exit code 1\); run .* to see why"):
        Parser().extract(WHOLE, "f")
