"""A table whose rows are replaced while a person looks at it."""

from collections.abc import Iterable, Sequence

from rich.text import Text
from textual.widgets import DataTable
from textual.widgets.data_table import CursorType


class Table(DataTable[Text]):
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
