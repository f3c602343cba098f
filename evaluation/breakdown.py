"""Explains a change of pass@1: failures by class before and after, problems that flipped (by their code or only by
their format), and failure classes that rose although the mean did not move. Pure functions of results."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from evaluation.results import ScoredSample
from evaluation.statistics import PassDifference, pass_difference
from probes.scoring.execution.failure_classes import CLASSES

Kind: TypeAlias = Literal["algorithmic", "format"]
Grouped: TypeAlias = Mapping[str, Sequence[ScoredSample]]

LEVEL = 0.05
LOOK_FIRST = ("REFUSAL", "NO_CODE")
FEW_ANSWERS, FEW_SHARE = 3, 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCount:
    """Answers in this failure class, as a number and as a share of the side's answers."""

    failure_class: str
    before: int
    after: int
    before_share: float
    after_share: float

    @property
    def change(self) -> int:
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class FlippedProblem:
    """A problem that flipped, the kind of difference, and one answer of each side."""

    problem: str
    category: str
    kind: Kind
    before: ScoredSample
    after: ScoredSample


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """Two sides on the ``problems`` that both answered; ``answers`` and ``format_only`` are (before, after).

    only_before, only_after: problems that one side alone answered, which are left out. ``difference``: None without a
    common problem.
    """

    problems: int
    only_before: int
    only_after: int
    answers: tuple[int, int]
    format_only: tuple[int, int]
    difference: PassDifference | None
    classes: tuple[ClassCount, ...]
    newly_passing: tuple[FlippedProblem, ...]
    newly_failing: tuple[FlippedProblem, ...]
    warnings: tuple[str, ...]


def break_down(before: Sequence[ScoredSample], after: Sequence[ScoredSample]) -> Breakdown:
    """Compare two sides problem by problem.

    A problem is solved if more than half of its answers pass. It flipped by its format if at least half of the failing
    answers of its unsolved side are ``format_only``: their code was right.

    There is a warning for a failure class if the interval of pass@1's change contains 0 (or there is no interval) and
    the class rose clearly. Either a one-sided exact sign test over problems (those where its share of the answers rose
    against those where it fell) gives p < 0.05 after Holm's (1979) correction over all failure classes; or it had no
    answer before and has at least 3 answers and 2 % now, which is a threshold without a p value.
    """
    mine, theirs = _grouped(before), _grouped(after)
    shared = [name for name in mine if name in theirs]
    befores, afters = ({name: side[name] for name in shared} for side in (mine, theirs))
    flat = [result for own in befores.values() for result in own], [r for own in afters.values() for r in own]
    difference = pass_difference(*flat)
    classes = _classes(*flat)
    flips = {name: (_solved(befores[name]), _solved(afters[name])) for name in shared}
    return Breakdown(
        problems=len(shared),
        only_before=len(mine) - len(shared),
        only_after=len(theirs) - len(shared),
        answers=(len(flat[0]), len(flat[1])),
        format_only=(sum(r.format_only for r in flat[0]), sum(r.format_only for r in flat[1])),
        difference=difference,
        classes=classes,
        newly_passing=tuple(_change(befores[n], afters[n], False) for n in shared if flips[n] == (False, True)),
        newly_failing=tuple(_change(befores[n], afters[n], True) for n in shared if flips[n] == (True, False)),
        warnings=_warnings(difference, classes, befores, afters) if difference and not _moved(difference) else (),
    )


def count_classes(results: Iterable[ScoredSample]) -> dict[str, int]:
    """Answers per class in the order of CLASSES, then the words of other scorers by name."""
    found = Counter(result.failure_class for result in results)
    known: list[str] = [name for name in CLASSES if name in found]
    return {name: found[name] for name in known + sorted(found.keys() - set(known))}


def _grouped(results: Sequence[ScoredSample]) -> dict[str, list[ScoredSample]]:
    found: dict[str, list[ScoredSample]] = {}
    for result in results:
        found.setdefault(result.problem, []).append(result)
    return found


def _classes(before: Sequence[ScoredSample], after: Sequence[ScoredSample]) -> tuple[ClassCount, ...]:
    first, second = count_classes(before), count_classes(after)
    rows = []
    for name in count_classes([*before, *after]):
        b, a = first.get(name, 0), second.get(name, 0)
        rows.append(
            ClassCount(failure_class=name, before=b, after=a, before_share=b / len(before), after_share=a / len(after))
        )
    return tuple(rows)


def _solved(results: Sequence[ScoredSample]) -> bool:
    return 2 * sum(result.passed for result in results) > len(results)


def _change(before: Sequence[ScoredSample], after: Sequence[ScoredSample], was_solved: bool) -> FlippedProblem:
    """A failing answer of this kind of change and a passing one, if possible of the same seed and sample."""
    good, bad = (before, after) if was_solved else (after, before)
    passing, failing = [r for r in good if r.passed], [r for r in bad if not r.passed]
    by_format = 2 * sum(r.format_only for r in failing) >= len(failing)
    typical = [r for r in failing if r.format_only == by_format]
    twins = {(r.seed, r.sample): r for r in passing}
    wrong = next((r for r in typical if (r.seed, r.sample) in twins), typical[0])
    right = twins.get((wrong.seed, wrong.sample), passing[0])
    kind: Kind = "format" if by_format else "algorithmic"
    return FlippedProblem(wrong.problem, wrong.category, kind, *((right, wrong) if was_solved else (wrong, right)))


def _moved(difference: PassDifference) -> bool:
    """Whether the interval excludes 0; False without an interval."""
    return difference.low is not None and difference.high is not None and not difference.low <= 0 <= difference.high


def _warnings(
    difference: PassDifference, classes: Sequence[ClassCount], before: Grouped, after: Grouped
) -> tuple[str, ...]:
    failures = [row for row in classes if _fails(row.failure_class, before) or _fails(row.failure_class, after)]
    values = _holm([_sign_test(row.failure_class, before, after) for row in failures])
    answers = sum(map(len, before.values())), sum(map(len, after.values()))
    rose = [
        row
        for row, p in zip(failures, values, strict=True)
        if p < LEVEL or (not row.before and row.after >= max(FEW_ANSWERS, FEW_SHARE * answers[1]))
    ]
    rose.sort(key=lambda row: (row.failure_class not in LOOK_FIRST, row.before_share - row.after_share))
    return tuple(_warning(row, difference, answers) for row in rose)


def _fails(name: str, side: Grouped) -> bool:
    """Whether answers of this class fail. Other scorers have their own words for passing answers."""
    return any(result.failure_class == name and not result.passed for own in side.values() for result in own)


def _sign_test(name: str, before: Grouped, after: Grouped) -> float:
    """One-sided p value that the class rose, from the signs of its change per problem."""
    from scipy.stats import binomtest

    def share(results: Sequence[ScoredSample]) -> float:
        return sum(result.failure_class == name for result in results) / len(results)

    changes = [share(after[problem]) - share(own) for problem, own in before.items()]
    rose, fell = sum(change > 0 for change in changes), sum(change < 0 for change in changes)
    return float(binomtest(rose, rose + fell, 0.5, alternative="greater").pvalue) if rose else 1.0


def _holm(values: Sequence[float]) -> list[float]:
    """P values adjusted by Holm (1979), in the order given."""
    adjusted, largest = [0.0] * len(values), 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        largest = max(largest, min(1.0, (len(values) - rank) * values[place]))
        adjusted[place] = largest
    return adjusted


def _warning(row: ClassCount, difference: PassDifference, answers: tuple[int, int]) -> str:
    of_before = "" if answers[0] == answers[1] else f" of {answers[0]}"
    interval = "no interval"
    if difference.low is not None and difference.high is not None:
        interval = f"[{difference.low * 100:+.1f}, {difference.high * 100:+.1f}]"
    return (
        f"{row.failure_class} rose from {row.before}{of_before} to {row.after} of {answers[1]} answers although pass@1 "
        f"did not clearly move ({difference.delta * 100:+.1f} points {interval}): read some of them before trusting "
        "the mean."
    )
