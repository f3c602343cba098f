"""Fixtures that several folders use."""

import gc
import importlib
import os
import re
import shutil
import signal
import sys
from collections.abc import Generator, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# No deadline: a loaded machine is no failure. pytest --hypothesis-profile thorough tries twenty times as many examples.
settings.register_profile("nightlane", deadline=None, max_examples=25)
settings.register_profile("thorough", deadline=None, max_examples=500)
settings.load_profile("nightlane")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # a model this small is several times faster on one thread
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
if (
    signal.getsignal(signal.SIGINT) == signal.SIG_IGN
):  # ignored if pytest runs in the background or under nohup; children inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
for _name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_MODEL", "OPENAI_ANSWERS_BASE_URL", "OPENAI_ANSWERS_API_KEY"):
    os.environ.pop(_name, None)


MEMORY = Path("/dev/shm")
"""Where pytest makes the folders of tmp_path if there is room, because no write waits for a disk there."""
ROOM = 4 * 2**30
"""Bytes that must be free in memory: more than the tests write, and more than a session asks of its disk."""
if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


ON_REQUEST = frozenset({"architectures", "long", "make_run", "real", "serving"})
"""Markers of tests that run only where -m names them."""


IMPORTS_TORCH = re.compile(
    r"\b(torch|trl|tiny_folder|one_thread|write_model|architectures|taught_folder|exporting|tokenizers_of_all_kinds|gp_sampler)\b"
)
"""A test file that mentions one of these imports torch, and mostly TRL too, which takes ten seconds in each process."""


@cache
def with_torch() -> list[str]:
    """The files whose tests import torch. Two processes share them: each runs every other file. Slow files come first,
    so that both processes get equally many of them."""
    root = Path(__file__).parents[1]
    texts = {path: path.read_text(encoding="utf-8") for path in (root / "tests").rglob("test_*.py")}
    found = [path for path, text in texts.items() if IMPORTS_TORCH.search(text)]
    found.sort(key=lambda path: ("mark.slow" not in texts[path], path.name))
    return [str(path.relative_to(root)) for path in found]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Distribute tests by file, as --dist loadfile does, except that files with torch go to two processes only."""
    if config.option.dist != "loadfile":
        return None
    scheduler = importlib.import_module("xdist.scheduler").LoadFileScheduling(config, log)

    def scope(nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return f"torch {with_torch().index(file) % 2}" if file in with_torch() else file

    scheduler._split_scope = scope
    return scheduler


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process of pytest-xdist, before it starts, the address of the one server of ``commands``."""
    import commands

    node.workerinput["commands"] = commands.lend()


def pytest_configure(config: pytest.Config) -> None:
    import commands

    if address := getattr(config, "workerinput", {}).get("commands"):
        commands.borrow(address)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run files with torch first, then those with slow tests or a browser, then the rest, so that all processes end at
    about the same time."""
    unasked = [name for name in ON_REQUEST if name not in config.option.markexpr]
    left_out = [item for item in items if any(item.get_closest_marker(name) for name in unasked)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
    slow = {item.path for item in items if item.get_closest_marker("slow") or "browser" in _fixtures(item)}
    first = tuple(with_torch())
    items.sort(key=lambda item: (not item.nodeid.startswith(first), item.path not in slow))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Freeze the objects that exist after collection: they are never garbage, so the garbage collector can skip them.
    Collection must not import torch, because only two processes need it, when they come to their tests."""
    gc.disable()
    try:
        found = yield
        if "torch" in sys.modules:
            raise pytest.UsageError("a file of tests imports torch when it is read; import it lazily (lazily.py)")
        return found
    finally:
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        gc.enable()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Freeze what earlier tests imported and created, because each training collects garbage twice and would search
    it."""
    if "one_thread" in _fixtures(item):
        gc.freeze()


def _fixtures(item: pytest.Item) -> Sequence[str]:
    """The names of the fixtures that a test uses."""
    names: Sequence[str] = getattr(item, "fixturenames", ())
    return names


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Train the models of a test module in this process as a worker does: with one thread and frozen imports."""
    import remembered
    import torch

    remembered.remember()
    for name in ("probes.train.trl", "probes.train.orpo", "probes.generate.sampler", "probes.run.execute"):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def forked_workers() -> Iterator[None]:
    """Fork the workers that a test module starts from the server of ``commands``, which has imported the libraries."""
    import commands

    with pytest.MonkeyPatch.context() as patch:
        commands.fork_workers(patch)
        yield


WITH_PAGES = ("test_settings.py", "test_session_report.py")
"""Test files whose sessions also draw the charts of their report. Other tests use the fixture ``drawn`` for that."""


@pytest.fixture(autouse=True, scope="module")
def without_page(request: pytest.FixtureRequest) -> Iterator[None]:
    """Sessions that a test plays in its own process write report.md and a page without charts. Charts take half of the
    time of a short session, and the tests of pages cover them."""
    with pytest.MonkeyPatch.context() as patch:
        plays = request.path.relative_to(Path(__file__).parent).parts[0] in ("agent", "integrations", "view")
        if plays and request.path.name not in WITH_PAGES:
            patch.setattr("view.report.report.report_page", lambda figures: "<!doctype html>\n")
        yield


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions of this test draw the charts of their page."""
    from view.pages.session_report import report_page

    monkeypatch.setattr("view.report.report.report_page", report_page)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny model, pairs and prompts. Read-only: probes write elsewhere."""
    import tiny

    from testing import simulated_study

    folder = tmp_path_factory.mktemp("tiny")
    simulated_study.write_data(folder)
    tiny.write_model(folder / "model")
    return folder
