"""The audit of a store: what it holds and whether it is fit to train on. Pure; view/pairs/audit.py writes the text.

Figures are of the rows in use: live, and not dropped by a vote. Lengths are in characters.
"""

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from preferences.store.annotations import AnnotatedRow, is_reviewed
from preferences.store.rows import SIDES, StoreKind
from probes.inputs.duplicates import NEAR, Wording, Wordings
from probes.inputs.rows.turns import plain
from probes.inputs.training_rows import Overlap, ReservedPrompts
from probes.result.proportions import proportion_interval

CONFIDENCE = 0.95
FAIR = (0.35, 0.65)
"""Acceptable shares of pairs whose longer side was chosen; an interval entirely outside gives a warning."""
MANY_SYNTHETIC = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Quartiles:
    """The quartiles of ``n`` numbers."""

    n: int
    least: float
    first: float
    median: float
    third: float
    most: float


@dataclass(frozen=True, slots=True)
class LengthBias:
    """Whether the longer side tends to be chosen: in ``longer`` of ``pairs`` pairs of unequal length.

    low, high: Wilson's (1927) interval of that share. correlation: Spearman's (1904), between the difference in length
    and the margin, over ``scored`` pairs; None for fewer than three pairs or when one of the two is constant.
    """

    pairs: int
    longer: int
    equal: int
    low: float | None
    high: float | None
    scored: int
    correlation: float | None

    @property
    def share(self) -> float | None:
        return self.longer / self.pairs if self.pairs else None

    @property
    def unfair(self) -> bool:
        return self.low is not None and self.high is not None and (self.low > FAIR[1] or self.high < FAIR[0])


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A row whose prompt and answers equal those of an earlier row but for white space, or are near-duplicates of them;
    ``similarity``: that of the least similar part (probes/inputs/duplicates.py)."""

    row: str
    other: str
    same: bool
    similarity: float


@dataclass(frozen=True, slots=True)
class Mismatch:
    """``rows`` pairs whose sides come from different pipelines: origin and quality bar of each side."""

    chosen: tuple[str, str]
    rejected: tuple[str, str]
    rows: int

    @property
    def bars_differ(self) -> bool:
        return self.chosen[1] != self.rejected[1]


@dataclass(frozen=True, slots=True)
class Contaminated:
    """A row that asks a probe or holdout prompt, or a near-duplicate of one."""

    row: str
    prompt: str
    split: str
    similarity: float


@dataclass(frozen=True, kw_only=True)
class Audit:
    """The audit of one store.

    ``rows``: all rows ever written; ``used``: those live and not dropped; ``exported``: of these, those not voted down.
    ``same_pipeline``: pairs whose sides share origin and quality bar. ``contradictions``: pairs that prefer what
    another pair rejects. ``reversed_margins``: pairs whose chosen side scores lower. ``synthetic``: pairs with a
    mechanically made rejected side.
    """

    kind: StoreKind
    rows: int
    withdrawn: dict[str, int]
    dropped: int
    flipped: int
    downvoted: int
    used: int
    exported: int
    reviewed: bool
    categories: dict[str, int]
    sources: dict[str, int]
    distinct_prompts: int
    scores: Quartiles | None
    margins: Quartiles | None
    reversed_margins: int
    length: LengthBias | None
    duplicates: tuple[Duplicate, ...]
    contradictions: int
    same_pipeline: int
    mismatches: tuple[Mismatch, ...]
    synthetic: int
    contaminated: tuple[Contaminated, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Codes of what a person should check before training."""
        length, pairs = self.length, len(SIDES[self.kind]) == 2 and self.used
        signs = {
            "bars": any(mismatch.bars_differ for mismatch in self.mismatches),
            "origins": any(mismatch.chosen[0] != mismatch.rejected[0] for mismatch in self.mismatches),
            "length": length is not None and length.unfair,
            "synthetic": bool(pairs) and self.synthetic / self.used > MANY_SYNTHETIC,
            "margins": self.reversed_margins > 0,
            "duplicates": any(duplicate.same for duplicate in self.duplicates),
            "contradictions": self.contradictions > 0,
            "unseen": self.used > 0 and not self.reviewed,
        }
        return tuple(name for name, shown in signs.items() if shown)


def audit(kind: StoreKind, rows: Sequence[AnnotatedRow], reserved: ReservedPrompts) -> Audit:
    """The figures of one store."""
    used = [row for row in rows if row.used]
    pairs = used if len(SIDES[kind]) == 2 else []
    margins = [row.margin for row in pairs if row.margin is not None]
    mismatches = _mismatches(pairs)
    return Audit(
        kind=kind,
        rows=len(rows),
        withdrawn=_counts(row.withdrawn for row in rows if row.withdrawn),
        dropped=sum(row.dropped for row in rows if not row.withdrawn),
        flipped=sum(row.flipped for row in used),
        downvoted=sum(row.downvoted for row in used),
        used=len(used),
        exported=sum(not row.downvoted for row in used),
        reviewed=is_reviewed(rows),
        categories=_counts(row.row.category for row in used),
        sources=_counts(row.row.source for row in used),
        distinct_prompts=len({row.row.prompt for row in used}),
        scores=quartiles([row.scores[0] for row in used if row.scores[0] is not None]),
        margins=quartiles(margins),
        reversed_margins=sum(margin < 0 for margin in margins),
        length=length_bias(pairs) if pairs else None,
        duplicates=duplicates(used),
        contradictions=contradictions(pairs),
        same_pipeline=len(pairs) - sum(mismatch.rows for mismatch in mismatches),
        mismatches=mismatches,
        synthetic=sum(row.sides[1].origin == "mechanical" for row in pairs),
        contaminated=contaminated(used, reserved),
    )


def contaminated(used: Iterable[AnnotatedRow], reserved: ReservedPrompts) -> tuple[Contaminated, ...]:
    """The rows that ask a probe or holdout prompt; exports and training refuse a set that contains one."""
    hits: list[tuple[str, Overlap]] = []
    for row in used:
        overlap = reserved.overlap(row.row.prompt, *row.row.texts)
        if overlap is not None:
            hits.append((row.id, overlap))
    return tuple(Contaminated(row_id, hit.prompt.id, hit.prompt.split, hit.similarity) for row_id, hit in hits)


def duplicates(used: Sequence[AnnotatedRow]) -> tuple[Duplicate, ...]:
    """Exact duplicates of an earlier row, then near-duplicates; each row once."""
    first: dict[tuple[str, ...], AnnotatedRow] = {}
    repeats = []
    for row in used:
        other = first.setdefault(_words(row), row)
        if other is not row:
            repeats.append(Duplicate(row.id, other.id, True, 1.0))
    together = (("\n".join(texts), texts) for texts in sorted(first, key=lambda texts: sum(map(len, texts))))
    for texts, others, _ in Wordings(together).repeats():
        similarity = min(Wording.of(a).similarity(Wording.of(b)) for a, b in zip(texts, others, strict=True))
        if similarity >= NEAR:
            repeats.append(Duplicate(first[texts].id, first[others].id, False, similarity))
    return tuple(repeats)


def contradictions(pairs: Sequence[AnnotatedRow]) -> int:
    """The number of pairs whose sides are those of another pair in the opposite order."""
    known = {_words(row) for row in pairs}
    return sum((prompt, rejected, chosen) in known for prompt, chosen, rejected in map(_words, pairs))


def _words(row: AnnotatedRow) -> tuple[str, ...]:
    """Prompt and answers with all white space normalized."""
    return tuple(" ".join(plain(text).split()) for text in (row.row.prompt, *row.texts))


def length_bias(pairs: Sequence[AnnotatedRow]) -> LengthBias:
    from scipy.stats import spearmanr

    longer_by = [len(plain(row.texts[0])) - len(plain(row.texts[1])) for row in pairs]
    unequal = [difference for difference in longer_by if difference]
    longer = sum(difference > 0 for difference in unequal)
    low = high = correlation = None
    if unequal:
        low, high = proportion_interval(longer, len(unequal), CONFIDENCE, "wilson")
    both = [(by, row.margin) for by, row in zip(longer_by, pairs, strict=True) if row.margin is not None]
    lengths, margins = [by for by, _ in both], [margin for _, margin in both]
    if len(both) > 2 and len(set(lengths)) > 1 and len(set(margins)) > 1:
        correlation = float(spearmanr(lengths, margins).statistic)
    return LengthBias(
        pairs=len(unequal),
        longer=longer,
        equal=len(longer_by) - len(unequal),
        low=low,
        high=high,
        scored=len(both),
        correlation=correlation,
    )


def quartiles(numbers: Sequence[float]) -> Quartiles | None:
    """Inclusive quartiles; of one number, that number."""
    if not numbers:
        return None
    parts = statistics.quantiles(numbers, n=4, method="inclusive") if len(numbers) > 1 else [numbers[0]] * 3
    return Quartiles(
        n=len(numbers), least=min(numbers), first=parts[0], median=parts[1], third=parts[2], most=max(numbers)
    )


def _mismatches(pairs: Sequence[AnnotatedRow]) -> tuple[Mismatch, ...]:
    """The combinations of pipelines that differ between the two sides, the most frequent first."""
    counted = Counter(((a.origin, a.bar), (b.origin, b.bar)) for a, b in (row.sides for row in pairs))
    return tuple(Mismatch(*sides, rows) for sides, rows in counted.most_common() if sides[0] != sides[1])


def _counts(names: Iterable[str]) -> dict[str, int]:
    """The most frequent first, ties by name."""
    return dict(sorted(Counter(names).items(), key=lambda item: (-item[1], item[0])))
