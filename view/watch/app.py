"""The screen of nightlane watch: the session, its probes, a curve, notes and decisions. It shows what
view/watch/reader.py read last, and writes nothing."""

import asyncio
import signal
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import DataTable, Static
from textual.widgets.data_table import CursorType
from textual_plotext import PlotextPlot

from agent.workspace.folder import Workspace
from view.data.listing.live import LiveBatch
from view.data.training.curve import CurveLine, smoothed
from view.watch import texts
from view.watch.reader import Picture, Poller, Reader

SMOOTHING = 0.8
GREY, ORANGE = (130, 130, 130), (255, 150, 40)


class UpdatingTable(DataTable[Text]):
    def __init__(self, name: str, cursor: CursorType) -> None:
        super().__init__(id=name, cursor_type=cursor)
        self._shown: list[tuple[object, ...]] = []

    def show(self, columns: Sequence[str], rows: Iterable[tuple[Text, ...]]) -> None:
        """Replace the rows if one changed; the cursor and the scrolling stay where they are."""
        found: list[tuple[object, ...]] = [tuple(columns), *rows]
        if found == self._shown:
            return
        self._shown, row, at = found, self.cursor_row, self.scroll_y
        self.clear(columns=True)
        self.add_columns(*map(Text, columns))  # a str would be markup
        self.add_rows(found[1:])  # type: ignore[arg-type]
        self.move_cursor(row=row, scroll=False)
        self.scroll_to(y=at, animate=False)


class LossCurve(PlotextPlot):
    """The loss of a running probe over its steps: the raw loss as dots, and smoothed as a line, up
    to the last step that the probe will make."""

    def draw(self, line: CurveLine, steps: int) -> None:
        self.plt.clear_data()
        self.plt.xaxes(True, False)
        self.plt.yaxes(True, False)
        self.plt.xlim(0, max(steps, 1))
        if line.steps:
            self.plt.scatter(line.steps, line.values, marker="braille", color=GREY)
            calm = smoothed(line, SMOOTHING)
            self.plt.plot(calm.steps, calm.values, marker="braille", color=ORANGE)
        self.refresh()


STALE_AFTER = 5.0
"""Seconds without news of the workspace after which the screen says how old its content is."""
READING = "Reading the workspace …"
KEYS = "q quit   ↑ ↓ choose a probe, scroll   tab next list"
STYLE = """
#head, #message, #trouble { height: auto; padding: 0 1; }
#trouble { background: $warning; color: $text-warning; display: none; }
#message { max-height: 9; margin: 1 0 0 0; display: none; }
#probes, #decisions, #curve, #noted { border-top: solid $primary; border-title-style: bold; }
#probes, #decisions, #noted { scrollbar-size-vertical: 1; scrollbar-background: $surface; }
#probes, #decisions, #noted { scrollbar-color: $primary-muted; }
#probes { display: none; }
#middle { height: 1fr; min-height: 4; }
#curve { width: 3fr; display: none; }
#noted { width: 2fr; height: 100%; padding: 0 1; }
#decisions { height: 1fr; min-height: 5; }
.empty #middle, .empty #decisions { display: none; }
#keys { dock: bottom; height: 1; padding: 0 1; color: $text-muted; background: $panel; }
"""


class Looked(Message):
    """A result of the reader: the workspace was read, or could not be."""

    def __init__(self, found: Picture | str | Exception) -> None:
        super().__init__()
        self.found = found


class WatchApp(App[None]):
    TITLE = "nightlane watch"
    CSS = STYLE
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", priority=True),
        Binding("ctrl+c", "quit", priority=True),
    ]

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.found: Picture | str | None = None
        self.picture: Picture | None = None
        self.looked_at = time.monotonic()
        self._poller = Poller(Reader(workspace), self._tell)

    def compose(self) -> ComposeResult:
        yield Static(READING, id="head", markup=False)
        yield Static(id="trouble", markup=False)
        yield Static(id="message", markup=False)
        yield UpdatingTable("probes", "row")
        with Horizontal(id="middle"):
            yield LossCurve(id="curve")
            with VerticalScroll(id="noted"):
                yield Static(id="notes", markup=False)
        yield UpdatingTable("decisions", "none")
        yield Static(KEYS, id="keys", markup=False)

    def on_mount(self) -> None:
        self.screen.set_class(True, "empty")
        self.query_one("#noted").border_title = "notes, the latest first"
        self.query_one("#decisions").border_title = "decisions, the latest first"
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self.exit)
        self._poller.start()
        self.set_interval(1.0, self._say_age)

    def on_unmount(self) -> None:
        self._poller.end()

    def _tell(self, found: Picture | str | Exception) -> None:
        with suppress(RuntimeError):  # the screen has just been closed
            self.post_message(Looked(found))

    def on_looked(self, message: Looked) -> None:
        if isinstance(message.found, Exception):
            raise message.found
        if not self._is_open:
            return
        self.found, self.looked_at = message.found, time.monotonic()
        if isinstance(message.found, Picture):
            self.picture = message.found
            self._show(message.found)
        self._say_age()

    @property
    def _is_open(self) -> bool:
        """Whether the screen is open: messages still arrive while it is being closed."""
        return bool(self.screen_stack) and bool(self.query("#keys"))

    def on_resize(self) -> None:
        if self.picture and self._is_open:
            self._show(self.picture)

    def on_data_table_row_highlighted(self) -> None:
        if self.picture and self._is_open:
            self._draw(self.picture)

    def _say_age(self) -> None:
        """Show what is wrong with the workspace, or for how long it has not answered: instead of a session, or above
        what was read last."""
        if not self._is_open:
            return
        age = time.monotonic() - self.looked_at
        late = (
            f"the workspace has not answered for {age:.0f} s; this is what it held before" if age > STALE_AFTER else ""
        )
        why, place = late or (self.found if isinstance(self.found, str) else ""), self.query_one("#trouble", Static)
        place.display = bool(why and self.picture)
        place.update(texts.plain_text(why))
        if self.picture is None:
            self.query_one("#head", Static).update(texts.plain_text(why or READING))

    def _show(self, picture: Picture) -> None:
        self.screen.set_class(False, "empty")
        self.query_one("#head", Static).update(texts.head(picture.now))
        ending, place = texts.ending(picture.now, picture.result), self.query_one("#message", Static)
        place.update(ending or "")
        place.display = ending is not None
        self._show_probes(picture.now.live.batch)
        self._draw(picture)
        self.query_one("#notes", Static).update(texts.notes(picture.notes))
        columns = texts.WIDE_DECISION_COLUMNS if self.size.width >= texts.WIDE else texts.DECISION_COLUMNS
        rows = texts.decision_rows(picture.decisions, self.size.width)
        self.query_one("#decisions", UpdatingTable).show(columns, rows)

    def _show_probes(self, batch: LiveBatch | None) -> None:
        table = self.query_one("#probes", UpdatingTable)
        begins, table.display = batch is not None and not table.display, batch is not None
        if batch is None:
            return
        table.border_title = Content(texts.batch_title(batch))
        rows = [texts.probe_row(one, self.size.width) for one in batch.probes]
        rows += [texts.worker_row(one) for one in batch.other_workers]
        table.styles.height = 2 + min(len(rows), max(3, self.size.height // 5))  # with title and headings
        table.show(texts.PROBE_COLUMNS, rows)
        if begins:
            table.focus()

    def _draw(self, picture: Picture) -> None:
        """The curve of the probe under the cursor."""
        batch, curve = picture.now.live.batch, self.query_one("#curve", LossCurve)
        curve.display = bool(batch and batch.probes)
        if batch and batch.probes:
            probe = batch.probes[min(self.query_one("#probes", UpdatingTable).cursor_row, len(batch.probes) - 1)]
            line = picture.losses.get(probe.id, CurveLine([], []))
            curve.border_title = Content(f"loss of probe {probe.id}" + ("" if line.steps else ": no step yet"))
            curve.draw(line, probe.steps)
