"""Selects rows of a store by category, source, score margin, state and text, in a given order."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from pathlib import Path

from common.errors import BadInput
from preferences.store.annotate import Marks
from preferences.store.paged import PagedStores
from preferences.store.row_index import RowEntry
from preferences.store.rows import KINDS, StoreKind, row_from_json
from probes.inputs.files.text import parse_object
from probes.inputs.rows.turns import plain

STATES: Mapping[str, Callable[[Marks], bool]] = {
    "all": lambda marks: True,
    "live": lambda marks: not marks.withdrawn and not marks.dropped,
    "no vote yet": lambda marks: not (marks.up or marks.down or marks.flipped or marks.dropped),
    "accepted": lambda marks: marks.up > marks.down,
    "held back": lambda marks: marks.down > marks.up,
    "flipped": lambda marks: marks.flipped,
    "dropped": lambda marks: marks.dropped,
    "withdrawn": lambda marks: bool(marks.withdrawn),
}
DRIFT = "topic drift"
"""This state depends on the text gate, not on votes."""
ORDERS = ("newest", "oldest", "lowest margin", "highest margin")
_KEYS = '"prompt": "chosen": "rejected": "completion": [{"role": "content": "user"}, "assistant"}]'


@dataclass(frozen=True, slots=True, kw_only=True)
class PairFilter:
    """``low``, ``high``: bounds of a pair's margin, or of a single answer's score. ``text``: words of the prompt or the
    answers, in any case, or the beginning of an id. An empty field sets no condition."""

    category: str = ""
    source: str = ""
    low: float | None = None
    high: float | None = None
    state: str = "all"
    text: str = ""
    order: str = "newest"

    def __post_init__(self) -> None:
        for name, value, known in (("state", self.state, (*STATES, DRIFT)), ("order", self.order, ORDERS)):
            if value not in known:
                raise BadInput(f"{name}={value!r} is not known; use one of {', '.join(known)}")


def filter_of(asked: Mapping[str, str]) -> PairFilter:
    """The filter in the query of a URL."""
    texts = {name: asked[name].strip() for name in ("category", "source", "state", "text", "order") if asked.get(name)}
    bounds = {name: _number(name, asked[name]) for name in ("low", "high") if asked.get(name, "").strip()}
    return PairFilter(**texts, **bounds)  # type: ignore[arg-type]


class Selector:
    """Finds the rows that match a filter. Recent results are cached until a store changes, so the next page is fast."""

    def __init__(self, stores: PagedStores) -> None:
        self.stores = stores
        self._chosen = lru_cache(maxsize=16)(self._choose)
        self._having = lru_cache(maxsize=16)(self._search)
        self._names = lru_cache(maxsize=len(KINDS))(self._count)

    def choose(self, kind: StoreKind, asked: PairFilter) -> list[RowEntry]:
        return self._chosen(kind, asked, self.stores.version)

    def names(self, kind: StoreKind) -> tuple[dict[str, int], dict[str, int]]:
        """The categories and the sources of a store, with their numbers of rows."""
        return self._names(kind, self.stores.rows[kind].version)

    def _count(self, kind: StoreKind, version: int) -> tuple[dict[str, int], dict[str, int]]:
        entries = self.stores.rows[kind].entries
        found = Counter(entry.category for entry in entries), Counter(entry.source for entry in entries)
        return dict(sorted(found[0].items())), dict(sorted(found[1].items()))

    def _choose(self, kind: StoreKind, asked: PairFilter, version: int) -> list[RowEntry]:
        index = self.stores.rows[kind]
        having = self._having(kind, asked.text, index.version) if asked.text else None
        rows = [(entry, figure) for entry, figure in self._matching(kind, asked, having)]
        if "margin" in asked.order:
            rows = [row for row in rows if row[1] is not None]
            rows.sort(key=lambda row: row[1] or 0.0, reverse=asked.order.startswith("highest"))
        elif asked.order == "newest":
            rows.reverse()
        return [entry for entry, _ in rows]

    def _matching(
        self, kind: StoreKind, asked: PairFilter, having: frozenset[str] | None
    ) -> Iterator[tuple[RowEntry, float | None]]:
        stores, in_state = self.stores, STATES.get(asked.state)
        needs_figure = asked.low is not None or asked.high is not None or "margin" in asked.order
        for entry in stores.rows[kind].entries:
            if asked.category not in ("", entry.category) or asked.source not in ("", entry.source):
                continue
            if having is not None and entry.id not in having:
                continue
            marks = stores.marks(entry)
            if not (in_state(marks) if in_state else stores.drifted(entry)):
                continue
            figure = stores.figure(entry, marks.flipped) if needs_figure else None
            if _within(figure, asked.low, asked.high):
                yield entry, figure

    def _search(self, kind: StoreKind, text: str, version: int) -> frozenset[str]:
        """Ids of the rows that have the text, or whose id begins with it."""
        index = self.stores.rows[kind]
        having = {entry.id for entry in index.entries if entry.id.startswith(text)}
        return frozenset(having | set(_rows_with(kind, index.path, index.entries, text)))


def _rows_with(kind: StoreKind, path: Path, entries: list[RowEntry], text: str) -> Iterator[str]:
    """Ids of the rows that contain the text. Searches the raw lines first; a line is parsed only if the match may be in
    the names of columns."""
    wanted = json.dumps(text, ensure_ascii=False)[1:-1].casefold()
    doubtful = wanted in _KEYS
    with path.open("rb") as stream:
        for entry in entries:
            if stream.tell() != entry.start:
                stream.seek(entry.start)
            line = stream.readline().decode(errors="replace")
            texts = line[line.find('"prompt": ') : line.find(', "provenance": ')].casefold()
            if wanted in texts and not (doubtful and not _has(kind, line, text)):
                yield entry.id


def _has(kind: StoreKind, line: str, text: str) -> bool:
    row = row_from_json(kind, parse_object(line))
    return any(text.casefold() in plain(one).casefold() for one in (row.prompt, *row.texts))


def _within(figure: float | None, low: float | None, high: float | None) -> bool:
    if low is None and high is None:
        return True
    return figure is not None and (low is None or figure >= low) and (high is None or figure <= high)


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise BadInput(f"{name}={text!r} is not a number; give a margin such as 1.5, or leave it out")
    return value
