"""The terminal: plain lines for a pipe, a table that fits for a person."""

import io
from pathlib import Path

import nights
import pytest
from rich.console import Console

from agent.ledger.store import Ledger
from agent.ledger.tables import DecisionRow
from lanes import Recipe
from probes.result.reading import Probe, ProbeKey
from probes.run.protocol import Progress
from view.terminal.live import LiveWatcher, PlainWatcher, building, watching

KEY = ProbeKey(steps=60, base="base", data="data", prompts="prompts", scorer="scorer", samples=4, environment="here")
PROBES = [Probe(Recipe(mixture={"good": 1.0}), KEY, seed) for seed in (42, 123, 7)]


@pytest.fixture(scope="module")
def decisions(tmp_path_factory: pytest.TempPathFactory) -> list[DecisionRow]:
    text, folder = nights.governed(nights.TWO_KNOBS), tmp_path_factory.mktemp("night")
    workspace = nights.night(folder, text, world=nights.FRAGILE, probes=40, step=nights.hasty())
    with Ledger(workspace.ledger, read_only=True) as ledger:
        return ledger.decisions()


def shown(watcher: LiveWatcher, width: int, height: int) -> list[str]:
    console = Console(record=True, width=width, height=height, file=io.StringIO(), force_terminal=True)
    watcher.console = console
    console.print(watcher.render())
    return console.export_text().splitlines()


def test_a_pipe_gets_one_line_per_decision_and_none_per_step(decisions: list[DecisionRow]) -> None:
    stream = io.StringIO()
    watcher = PlainWatcher(Console(file=stream, width=10_000, highlight=False))
    watcher.measuring("baseline", PROBES)
    for step in range(60):
        watcher.progress(Progress(PROBES[0].id, "training", step, 60, 1.0))
    for decision in decisions:
        watcher.decided(decision)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1 + len(decisions)
    for line, decision in zip(lines[1:], decisions, strict=True):
        assert line.startswith(f"{decision.turn:03d} {decision.status} {decision.reason}")
        assert ("[" in line) == (decision.row.get("delta") is not None)


def test_without_a_terminal_the_lines_go_to_stderr_and_stdout_stays_empty(capsys: pytest.CaptureFixture[str]) -> None:
    with watching() as watcher:
        watcher.note("starting [the] workers")
    with building("lab") as progress:
        for share in (0.1, 0.2):
            progress("tasks", share)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["starting [the] workers", "lab: tasks"]


@pytest.mark.parametrize("width", [80, 120])
def test_every_decision_takes_one_line_with_its_decision_and_interval(decisions: list[DecisionRow], width: int) -> None:
    watcher = LiveWatcher(Console(file=io.StringIO()))
    for decision in decisions:
        watcher.decided(decision)
    watcher.measuring("stack 1, 2 changes, pairs 1 to 2 of at most 8", PROBES)
    watcher.progress(Progress(PROBES[0].id, "training", 30, 60, 1.234))
    lines = shown(watcher, width, 24)
    for decision in decisions:
        [line] = [line for line in lines if line.startswith(f"{decision.turn:03d} ")]
        assert decision.status in line
        if decision.row.get("delta") is not None:
            assert f"[{decision.row['ci_low']:+.2f}, {decision.row['ci_high']:+.2f}]" in line
    assert any("30/60 training loss 1.234" in line for line in lines)
    assert max(map(len, lines)) <= width


def test_a_long_night_leaves_room_for_the_bars_on_a_small_terminal(decisions: list[DecisionRow]) -> None:
    watcher = LiveWatcher(Console(file=io.StringIO()))
    for decision in decisions * 20:
        watcher.decided(decision)
    watcher.measuring("baseline", PROBES)
    lines = shown(watcher, 80, 24)
    assert len(lines) <= 24
    assert sum(line.startswith("probe ") for line in lines) == 3


def test_bars_of_the_probes_before_are_gone(decisions: list[DecisionRow]) -> None:
    watcher = LiveWatcher(Console(file=io.StringIO()))
    watcher.measuring("baseline", PROBES)
    watcher.measuring("001", PROBES[:1])
    watcher.progress(Progress(PROBES[2].id, "training", 1, 60))
    assert sum(line.startswith("probe ") for line in shown(watcher, 80, 24)) == 1


def test_a_retraction_has_the_number_of_its_keep_and_is_counted(tmp_path: Path) -> None:
    text = nights.governed(nights.TWO_KNOBS, member_chance="0.52")
    workspace = nights.night(tmp_path, text, world=nights.LYING, probes=60, step=nights.hasty())
    with Ledger(workspace.ledger, read_only=True) as ledger:
        decided = ledger.decisions()
    watcher = LiveWatcher(Console(file=io.StringIO()))
    for decision in decided:
        watcher.decided(decision)
    lines = shown(watcher, 120, 24)
    assert sum(line.startswith("001 RETRACT") for line in lines) == 1
    assert any(line.startswith("2 decisions, 2 kept, 2 retracted") for line in lines)


def test_a_wave_with_more_probes_than_lines_shows_those_that_run_first() -> None:
    probes = [Probe(PROBES[0].recipe, KEY, seed) for seed in range(40)]
    watcher = LiveWatcher(Console(file=io.StringIO()))
    watcher.measuring("wave 1", probes)
    watcher.progress(Progress(probes[37].id, "training", 20, 60))
    watcher.progress(Progress(probes[0].id, "done", 60, 60))
    lines = shown(watcher, 80, 24)
    bars = [line for line in lines if line.startswith("probe ")]
    assert len(lines) <= 24
    assert len(bars) == 10
    assert any("seed 37" in line for line in bars)
    assert not any("seed 0 " in line for line in bars)
    assert any("measuring wave 1: 40 probe(s)" in line for line in lines)


def test_an_examination_of_the_judge_shows_how_far_it_is() -> None:
    watcher = LiveWatcher(Console(file=io.StringIO()))
    watcher.examining(3, 65)
    assert any("examining the judge: 3 of 65 questions answered" in line for line in shown(watcher, 80, 24))
    watcher.examining(65, 65)
    assert not any("examining" in line for line in shown(watcher, 80, 24))


def test_a_pipe_gets_a_line_of_an_examination_at_its_start_and_every_ten_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream, now = io.StringIO(), [100.0]
    monkeypatch.setattr("view.terminal.live.time.monotonic", lambda: now[0])
    watcher = PlainWatcher(Console(file=stream, width=10_000, highlight=False))
    for done in range(26):
        watcher.examining(done, 25)
        now[0] += 1.0
    lines = stream.getvalue().splitlines()
    assert [line.split(": ")[1].split(" of")[0] for line in lines] == ["0", "10", "20"]
