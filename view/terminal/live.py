"""A running session on the terminal: a live table with a progress bar per probe, or plain lines elsewhere.

Everything here goes to stderr; stdout is for data.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import IO, cast

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from agent.ledger.tables import DecisionRow
from agent.loop.session_log import Watcher
from agent.proposers.context import CALIBRATION
from common.printable import Outlet, printable
from common.redaction import redacted
from lanes import show
from probes.result.reading import Probe
from probes.run.protocol import Progress as ProbeProgress

STYLES = {"KEEP": "bold green", "DISCARD": "dim", "CRASH": "bold red", "BASELINE": "cyan", "RETRACT": "bold magenta"}
FIXED_WIDTH = 35  # number, decision, figure and the gaps; the rest is for reason and change
LEAST_SHOWN = 3
SECONDS_BETWEEN_LINES = 10.0
"""Seconds between two plain lines on an examination."""


class Terminal(Console):
    """Prints to stderr, which may be closed at any time. Control characters in text are shown and never obeyed."""

    def __init__(self, width: int | None = None) -> None:
        super().__init__(file=cast(IO[str], Outlet(sys.stderr)), width=width, highlight=False, markup=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


class PlainWatcher:
    """One line per note and decision, and none per step."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._examined = 0.0

    def progress(self, progress: ProbeProgress) -> None:
        """Prints nothing: a probe that ends or crashes shows in its decision's line."""

    def note(self, text: str) -> None:
        self.console.print(_text(text))

    def examining(self, done: int, total: int) -> None:
        """A line at the start, and then one every ten seconds."""
        now = time.monotonic()
        if done == 0 or (now - self._examined >= SECONDS_BETWEEN_LINES and done < total):
            self._examined = now
            self.console.print(_text(_examination(done, total)))

    def measuring(self, title: str, probes: Sequence[Probe]) -> None:
        self.console.print(_text(f"measuring {title}: {len(probes)} probe(s) to run"))

    def decided(self, decision: DecisionRow) -> None:
        self.console.print(_text(" ".join(cell for cell in cells(decision) if cell)))


class LiveWatcher:
    """The session's decisions as a table and, under it, a bar per running probe: step of steps, loss, time left."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.decisions: list[DecisionRow] = []
        self.title = ""
        self.started = time.monotonic()
        self.bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
            TimeRemainingColumn(),
            console=console,
        )
        self.tasks: dict[str, TaskID] = {}
        self.live = Live(console=console, get_renderable=self.render, refresh_per_second=4)

    def render(self) -> RenderableType:
        """The latest decisions, each on one line, as many as the terminal has room for."""
        width, height = self.console.size
        table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
        for heading in ("#", "decision", "reason", "change", "target change"):
            table.add_column(heading, no_wrap=True)
        room = max(height - self._show_bars(height) - 5, LEAST_SHOWN)
        for decision in self.decisions[-room:]:
            table.add_row(*_row(cells(decision), width), style=STYLES.get(decision.status, ""))
        elapsed = timedelta(seconds=int(time.monotonic() - self.started))
        counts = Counter(decision.status for decision in self.decisions)
        decided = sum(decision.turn > 0 for decision in self.decisions)
        gone = f", {counts['RETRACT']} retracted" if counts["RETRACT"] else ""
        line = Text(f"{decided} decisions, {counts['KEEP']} kept{gone}, {elapsed} elapsed", style="bold")
        title = Text(redacted(self.title), no_wrap=True, overflow="ellipsis")
        return Group(table, Text(), line, title, self.bars)

    def _show_bars(self, height: int) -> int:
        """Show running probes first, then waiting ones, as many as the terminal has room for; returns their number."""
        tasks = sorted(self.bars.tasks, key=lambda task: (task.finished, not task.completed))
        most = max(height // 2 - 2, LEAST_SHOWN)
        for place, task in enumerate(tasks):
            task.visible = place < most
        return min(len(tasks), most)

    def progress(self, progress: ProbeProgress) -> None:
        task = self.tasks.get(progress.probe)
        if task is None:
            return
        loss = "" if progress.loss is None else f"loss {progress.loss:.3f}"
        self.bars.update(task, completed=progress.step, detail=f"{progress.phase} {loss}".strip())

    def note(self, text: str) -> None:
        self.live.console.print(_text(text))

    def examining(self, done: int, total: int) -> None:
        self.title = _examination(done, total) if done < total else ""

    def measuring(self, title: str, probes: Sequence[Probe]) -> None:
        self.title = f"measuring {title}: {len(probes)} probe(s)"
        for task in self.tasks.values():
            self.bars.remove_task(task)
        self.tasks = {
            probe.id: self.bars.add_task(f"probe {probe.id} seed {probe.seed}", total=probe.key.steps, detail="waiting")
            for probe in probes
        }

    def decided(self, decision: DecisionRow) -> None:
        self.decisions.append(decision)


def cells(decision: DecisionRow) -> tuple[str, str, str, str, str]:
    """A decision in five cells: number, decision, reason, change, and the target's figure with its interval. The number
    of a RETRACT is that of the KEEP it takes back."""
    row, number = decision.row, f"{abs(decision.turn):03d}"
    if decision.turn == 0:
        target = row.get("target")
        return number, decision.status, decision.reason, "", "" if target is None else f"{target:.2f}"
    is_aa_test = row.get("lane") == CALIBRATION
    change = "A/A test" if is_aa_test else f"{row['knob']} {show(row['before'])} -> {show(row['after'])}"
    figure = ""
    if row.get("delta") is not None:
        figure = f"{row['delta']:+.2f} [{row['ci_low']:+.2f}, {row['ci_high']:+.2f}]"
    return number, decision.status, decision.reason, change, figure


def _row(texts: tuple[str, str, str, str, str], width: int) -> tuple[Text, ...]:
    """The cells of one line; a narrow terminal shortens the reason and the change."""
    number, status, reason, change, figure = texts
    longest = 12 if width < 100 else 24
    return Text(number), Text(status), _cut(reason, longest), _cut(change, width - FIXED_WIDTH - longest), Text(figure)


def _examination(done: int, total: int) -> str:
    return f"examining the judge: {done} of {total} questions answered"


def _text(text: str) -> Text:
    return Text(redacted(text))


def _cut(text: str, longest: int) -> Text:
    text = redacted(text)
    return Text(text if len(text) <= longest else f"{text[: max(longest - 1, 0)]}…")


@contextmanager
def watching() -> Iterator[Watcher]:
    """A watcher for this terminal, or for a pipe or a file."""
    console = Terminal()
    if not console.is_terminal:
        yield PlainWatcher(Terminal(width=10_000))
        return
    watcher = LiveWatcher(console)
    with watcher.live:
        yield watcher


@contextmanager
def building(lab: str) -> Iterator[Callable[[str, float], None]]:
    """Progress of a lab's first build: (what is being made, share done)."""
    console = Terminal()
    if not console.is_terminal:
        last = [""]

        def line(what: str, share: float) -> None:
            if what != last[0]:
                last[0] = what
                console.print(_text(f"{lab}: {what}"))

        yield line
        return
    columns = TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console) as bars:
        task = bars.add_task(lab, total=1.0, visible=False)

        def bar(what: str, share: float) -> None:
            bars.update(task, description=f"{lab}: {what}", completed=share, visible=True)

        yield bar


@contextmanager
def rendering() -> Iterator[Callable[[int, int], None]]:
    """Progress over rows that are rendered: (how many, of how many). Nothing in a pipe or a file."""
    console = Terminal()
    if not console.is_terminal:
        yield lambda done, total: None
        return
    columns = TextColumn("rendering rows"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("rows", visible=False)
        yield lambda done, total: bars.update(task, completed=done, total=total, visible=True)
