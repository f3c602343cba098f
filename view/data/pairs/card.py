"""What a page shows of one row: its prompt, its sides with scores and reasons, and its provenance."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from common.redaction import redacted
from preferences.store.annotation_index import is_drift
from preferences.store.annotations import AnnotatedRow, text_digest
from preferences.store.provenance import TextOrigin
from preferences.store.rows import SIDES, receipt_of
from probes.inputs.rows.turns import Turns
from probes.run.store import ProbeStore

MOST_KEPT = 32
"""The number of probes whose notes are cached: the rows of a decision come from a few."""


class ScorerNotes:
    """Notes of a session's scorer on answers that became sides of rows, such as the checker's first error. They are
    read from the folder of the probe that answered."""

    def __init__(self, runs: Path) -> None:
        self._store = ProbeStore(runs)
        self._of_probe = lru_cache(maxsize=MOST_KEPT)(self._read)

    def of(self, side: TextOrigin, prompt: str) -> Mapping[str, str]:
        """Outcome and note, if there are any. ``prompt``: the id of the harvest prompt."""
        if not side.probe or side.sample is None:
            return {}
        return self._of_probe(side.probe).get((prompt, side.sample), {})

    def _read(self, probe: str) -> Mapping[tuple[str, int], Mapping[str, str]]:
        found = {}
        for row in self._store.answers(probe):
            notes = {name: str(row[name]) for name in ("outcome", "note") if row.get(name)}
            if notes:
                found[row["prompt"], row["sample"]] = notes
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class SideCard:
    """``name``: chosen, rejected or completion. ``probe``: the id of the probe that answered, "" for none.
    ``reasons``: the judge's or the checker's, as (what, value)."""

    name: str
    text: str
    score: float | None
    origin: str
    probe: str
    reasons: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class LayerCard:
    """A layer of a gate. ``failing``: what failed; "" where it passed."""

    name: str
    failing: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCard:
    """``states``: the row's state by votes and withdrawals, in words. ``gate``: the gate's name, "" without a receipt.
    ``drift``: why the topic layer refused the chosen side, or "". ``details``: further facts, by name."""

    id: str
    kind: str
    prompt: str
    sides: tuple[SideCard, ...]
    margin: float | None
    category: str
    source: str
    time: str
    states: tuple[str, ...]
    session: str
    decision: str
    gate: str
    certified: bool
    layers: tuple[LayerCard, ...]
    drift: str
    details: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """A row that is not as it was written."""

    id: str
    why: str


def pair_card(row: AnnotatedRow, notes: ScorerNotes) -> PairCard:
    stored, receipt = row.row, row.receipt or {}
    return PairCard(
        id=row.id,
        kind=stored.kind,
        prompt=shown_text(stored.prompt),
        sides=tuple(_side(row, place, notes) for place in range(len(row.texts))),
        margin=row.margin,
        category=stored.category,
        source=stored.source,
        time=stored.time,
        states=tuple(_states(row)),
        session=stored.provenance.session,
        decision=stored.provenance.decision,
        gate=str(receipt.get("gate", "receipt" if receipt else "")),
        certified=receipt.get("certified") is True,
        layers=tuple(_layers(receipt)),
        drift=_drift(row),
        details=tuple(_details(row)),
    )


def shown_text(text: Turns) -> str:
    """A text without secrets. Each turn of a conversation begins with its role, except in an answer of one turn."""
    if isinstance(text, str):
        return redacted(text)
    if len(text) == 1 and text[0].role == "assistant":
        return redacted(text[0].content + text[0].more)
    return redacted("\n".join(f"[{turn.role}] {turn.content}{turn.more}" for turn in text))


def _side(row: AnnotatedRow, place: int, notes: ScorerNotes) -> SideCard:
    side, names = row.sides[place], SIDES[row.row.kind]
    return SideCard(
        name=names[place],
        text=shown_text(row.texts[place]),
        score=row.scores[place],
        origin=_origin(side),
        probe=side.probe,
        reasons=tuple(_reasons(row, place, notes)),
    )


def _origin(side: TextOrigin) -> str:
    """Where a text comes from, in a few words."""
    known = {"by": side.bar, "recipe": side.recipe}
    parts = [f"{name} {value}" for name, value in known.items() if value]
    return ", ".join([side.origin, *parts, *([f"answer {side.sample}"] if side.sample is not None else [])])


def _reasons(row: AnnotatedRow, place: int, notes: ScorerNotes) -> Iterator[tuple[str, str]]:
    side = row.sides[place]
    for name, value in sorted(side.figures.items()):
        yield name, f"{value:.3g}"
    if side.critical:
        yield "critical failure", ", ".join(side.critical)
    scoring = row.scoring
    note = scoring.by_text[text_digest(row.texts[place])].note if scoring else ""
    if note:
        yield "note", note
    yield from notes.of(side, row.row.provenance.prompt).items()


def _states(row: AnnotatedRow) -> Iterator[str]:
    if row.withdrawn:
        yield "withdrawn"
    if row.dropped:
        yield "dropped"
    if row.flipped:
        yield "flipped"
    if row.up or row.down:
        word = "accepted" if row.up > row.down else "held back" if row.downvoted else "votes"
        yield f"{word}: {row.up} up, {row.down} down"
    judged = [review.verdict for review in row.reviews if review.verdict != "skip"]
    if judged:
        yield f"reviewed: {judged[-1]}"


def _layers(receipt: Mapping[str, Any]) -> Iterator[LayerCard]:
    for layer in _receipts(receipt):
        yield LayerCard(str(layer.get("layer", "")), str(layer.get("failing", "")))


def _drift(row: AnnotatedRow) -> str:
    """Why the topic layer refused the chosen side, by the latest certificate with that layer, even if the receipt of
    the other gate takes precedence; "" if it did not."""
    chosen = text_digest(row.texts[0])
    receipts = [receipt_of(one.receipt) or {} for one in row.certifications if one.chosen == chosen]
    topics = [layer for receipt in receipts for layer in _receipts(receipt) if layer.get("layer") == "topic"]
    return str(topics[-1].get("failing", "")) if topics and is_drift(topics[-1]) else ""


def _receipts(receipt: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The receipts of the layers; none if the receipt was imported and has another form."""
    layers = receipt.get("receipts")
    return [layer for layer in layers if isinstance(layer, dict)] if isinstance(layers, list) else []


def _details(row: AnnotatedRow) -> Iterator[tuple[str, str]]:
    how = row.row.provenance
    scoring = row.scoring
    named = {
        "session": how.session,
        "prompt": how.prompt,
        "scorer": how.scorer,
        "scored later": f"{scoring.kind} of {scoring.study}, {scoring.time}" if scoring else "",
        "coverage": "" if row.coverage is None else f"{row.coverage:.0f} %",
        "withdrawn": row.withdrawn,
    }
    yield from ((name, value) for name, value in named.items() if value)
