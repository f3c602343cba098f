"""The widgets of the screen: a table whose rows are replaced while a person looks at it, and the curve of the loss."""

from collections.abc import Iterable, Sequence

from rich.text import Text
from textual.widgets import DataTable
from textual.widgets.data_table import CursorType
from textual_plotext import PlotextPlot

from view.data.training.curve import CurveLine, smoothed

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
