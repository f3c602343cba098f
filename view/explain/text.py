"""An explanation for a terminal: plain text, a block for each part, columns that line up."""

import textwrap
from collections.abc import Sequence
from typing import Any

from agent.policy.settings import Policy
from view.data.changes import Change
from view.data.figures import shown
from view.explain.criteria import Criterion
from view.explain.explanation import Explanation
from view.report.markdown import count, percent, plain
from view.report.reasons import reason

WIDTH = 112
Part = tuple[str, list[str]]


def explain_text(found: Explanation) -> str:
    parts: list[Part] = [
        ("", _head(found)),
        ("LOOKS", _looks(found)),
        (f"REPLICATES (target {found.target})", _replicates(found)),
        ("RE-TEST", _check(found)),
        ("ESTIMATE", _estimate(found)),
        ("GUARDS", _guards(found)),
        ("ERROR BUDGET", _error(found)),
        ("NOISE FLOOR", _floor(found)),
        (f"THRESHOLDS (policy {found.policy.get('digest', 'without a digest')})", _thresholds(found)),
        ("INPUTS OF THE RULE", _given(found)),
        ("WHAT DECIDED", _decided(found)),
    ]
    return "\n\n".join("\n".join(([title] if title else []) + lines) for title, lines in parts if lines)


def _head(found: Explanation) -> list[str]:
    lines = [f"{found.number} {found.status} {found.reason}: {reason(found.reason, not found.looks)}".replace("`", "")]
    if found.knob:
        lines.append(f"moved     {found.knob} {shown(found.before)} -> {shown(found.after)} ({found.lane})")
    if found.disguised:
        lines.append("          an A/A test: the candidate was the incumbent itself, trained with other seeds")
    if found.proposer:
        lines += _columns([("proposed", f"by {plain(found.proposer)}: {plain(found.hypothesis, 400)}")])
    elif found.hypothesis:
        lines += _columns([("note", plain(found.hypothesis, 400))])
    after = "still is" if found.stood == found.stands else f"was replaced by {found.stands}"
    if found.turn:
        lines.append(f"recipe    {found.stood} was the incumbent and {after}")
    return [*lines, f"session   {found.session}"]


def _looks(found: Explanation) -> list[str]:
    if not found.looks:
        return []
    rows = [
        (
            look["stage"],
            str(look["pairs"]),
            f"{look['delta']:+.2f}",
            f"{look['standard_error']:.2f}",
            f"{look['bound']:+.2f}",
            percent(look["level"]),
            _chance(look["chance"]),
        )
        for look in found.looks
    ]
    lines = _grid(("stage", "pairs", "effect", "std. error", "lower bound", "at level", "chance to be kept"), rows)
    small = found.policy.get("smallest_effect", 0)
    lines += _wrapped(
        "Pooled over the pairs so far. Screening, or the effect expected from other comparisons, only chooses which "
        "candidates to confirm. A confirmation has fresh seeds, and passes when the lower bound is above "
        f"{small:g} and every guard holds."
    )
    return lines


def _replicates(found: Explanation) -> list[str]:
    rows = []
    for one in found.replicates:
        seed = str(one.seed) if one.seed == one.candidate_seed else f"{one.candidate_seed} against {one.seed}"
        figures = (one.candidate, one.baseline)
        rows.append(
            (
                one.stage,
                seed,
                *("gone" if value is None else f"{value:.2f}" for value in figures),
                "" if one.difference is None else f"{one.difference:+.2f}",
            )
        )
    return _grid(("stage", "seed", "candidate", "baseline", "difference"), rows) if rows else []


def _check(found: Explanation) -> list[str]:
    if found.check is None or found.estimate is None:
        return []
    what = "the recipe at the end against the starting recipe, on the holdout prompts"
    if found.reason == "leave_one_out":
        what = "the incumbent with this KEEP against the same recipe without it"
    effect = found.estimate.effect
    lines = [f"{what}: {found.target} {_change(effect)} over {count(found.estimate.pairs, 'fresh pair')}"]
    if found.reason != "leave_one_out":
        lines += [f"guard {one.category} {_change(one.change)}, margin {one.margin:g}" for one in found.guards]
    if "bound" in found.check:
        lines.append(
            f"together with its confirmation {found.check['effect']:+.2f}, lower bound {found.check['bound']:+.2f}"
        )
    return [wrapped for line in lines for wrapped in _wrapped(line)]


def _estimate(found: Explanation) -> list[str]:
    estimate = found.estimate
    if estimate is None or found.check is not None:
        return []
    confidence = float(found.policy.get("confidence", 0.95))
    stage = found.looks[-1]["stage"] if found.looks else "comparison"
    rows = [(stage, f"{_change(estimate.effect)} ({percent(confidence)} interval), {count(estimate.pairs, 'pair')}")]
    if estimate.shrunk is not None:
        rows.append(("shrunk", f"{estimate.shrunk:+.2f}: what to expect, given how large effects were this session"))
    return _columns(rows, 14)


def _guards(found: Explanation) -> list[str]:
    rows = [
        (
            guard.category,
            f"{guard.change.delta:+.2f}",
            f"{guard.bound:+.2f}",
            "" if guard.cumulative is None else f"{guard.cumulative:+.2f}",
            f"{guard.margin:g}",
            "yes" if guard.holds else "no",
        )
        for guard in found.guards
    ]
    if not rows or found.check is not None:
        return []
    confirmed = bool(found.looks) and found.looks[-1]["stage"] == "confirmation"
    headings = ("guard", "change", "lower bound", "of all KEEPs and this", "margin", "above it")
    shown_columns = [place for place in range(len(headings)) if place != 3 or any(row[3] for row in rows)]
    lines = _grid([headings[i] for i in shown_columns], [[row[i] for i in shown_columns] for row in rows])
    if found.looks and not confirmed:
        lines.append("The bounds of screening do not decide; a guard that would hardly pass a confirmation ends it.")
    return lines


def _error(found: Explanation) -> list[str]:
    night, spent, later = found.policy.get("night_error"), found.spending, found.policy.get("later_error", 0.0)
    if night is None or not found.looks:
        return []
    if spent is None:
        return ["Nothing was spent: no confirmation was begun."]
    rows = [
        ("budget", f"{night:g} until the first KEEP, {later:g} after each"),
        ("left before", f"{spent.before:.4g}"),
        ("level", f"{spent.spent:.4g}"),
    ]
    after = f"{spent.after:.4g}"
    if found.disguised:
        after += ", since an A/A test spends nothing of it"
    elif found.status == "KEEP":
        after += ", since a KEEP starts a new budget"
    return _columns([*rows, ("left after", after)], 14)


def _floor(found: Explanation) -> list[str]:
    if found.floor is None:
        return []
    return [
        *_wrapped(found.floor["why"]),
        f"a true improvement of {found.floor['visible']:.2f} has an even chance to be confirmed",
    ]


def _thresholds(found: Explanation) -> list[str]:
    kept = {name: found.policy[name] for name in Policy.model_fields if name in found.policy}
    return _wrapped(", ".join(f"{name} {_number(value)}" for name, value in kept.items()))


def _given(found: Explanation) -> list[str]:
    if not found.looks:
        return []
    if found.given is None:
        return ["Not stored: an older version of nightlane made this decision."]
    rows: list[tuple[str, str]] = []
    for stage, given in found.given.items():
        mean, deviation = given["expected"]
        rows += [
            (stage, f"effect expected by other comparisons {mean:+.2f}, standard deviation {deviation:.2f}"),
            ("", f"standard deviation of true effects {given['effect_deviation']:.2f}"),
            ("", f"error left {given['error_left']:.4g}, of which a confirmation spends {given['error']:.4g}"),
            ("", f"a confirmation has at most {count(given['pairs'], 'pair')}"),
        ]
        for name, (change, error) in given["guards"].items():
            rows.append(("", f"guard {name} by all KEEPs before {change:+.2f}, standard error {error:.2f}"))
    return _columns(rows, 14)


def _decided(found: Explanation) -> list[str]:
    rows = [
        (one.figure, _figure(one, one.value), _figure(one, one.threshold), "yes" if one.met else "no")
        for one in found.criteria
    ]
    lines = _grid(("figure", "value", "needs more than", "met"), rows) if rows else []
    return [*lines, *(line for note in found.notes for line in _wrapped(note))]


def _figure(criterion: Criterion, value: float) -> str:
    return _chance(value) if criterion.unit == "chance" else f"{value:+.2f}"


def _chance(value: float) -> str:
    """In percent; tiny chances without their digits."""
    return "under 0.1 %" if value < 0.001 else percent(value)


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _change(change: Change) -> str:
    return f"{change.delta:+.2f} [{change.low:+.2f}, {change.high:+.2f}]"


def _grid(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Text to the left in the first column, figures to the right in the others."""
    widths = [max(len(row[place]) for row in (headings, *rows)) for place in range(len(headings))]
    return [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in (headings, *rows)
    ]


def _columns(rows: Sequence[tuple[str, str]], width: int = 10) -> list[str]:
    found = []
    for name, value in rows:
        lines = _wrapped(value, WIDTH - width)
        found += [f"{name if not place else '':<{width}}{line}" for place, line in enumerate(lines)]
    return found


def _wrapped(text: str, width: int = WIDTH) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
