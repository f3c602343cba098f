"""An explanation for a terminal: plain text, a block for each part, columns that line up."""

import textwrap
from collections.abc import Sequence
from typing import Any

from agent.policy.settings import Policy
from view.data.changes import Change
from view.data.figures import shown
from view.explain.criteria import Criterion
from view.explain.explanation import Explanation
from view.markdown import count, percent, plain
from view.reasons import reason

WIDTH = 112
Part = tuple[str, list[str]]


def explain_text(explanation: Explanation) -> str:
    parts: list[Part] = [
        ("", _head(explanation)),
        ("LOOKS", _looks(explanation)),
        (f"REPLICATES (target {explanation.target})", _replicates(explanation)),
        ("RE-TEST", _check(explanation)),
        ("ESTIMATE", _estimate(explanation)),
        ("GUARDS", _guards(explanation)),
        ("ERROR BUDGET", _error(explanation)),
        ("NOISE FLOOR", _floor(explanation)),
        (f"THRESHOLDS (policy {explanation.policy.get('digest', 'without a digest')})", _thresholds(explanation)),
        ("INPUTS OF THE RULE", _given(explanation)),
        ("WHAT DECIDED", _decided(explanation)),
    ]
    return "\n\n".join("\n".join(([title] if title else []) + lines) for title, lines in parts if lines)


def _head(explanation: Explanation) -> list[str]:
    meaning = reason(explanation.reason, older=not explanation.looks).replace("`", "")
    lines = [f"{explanation.number} {explanation.status} {explanation.reason}: {meaning}"]
    if explanation.knob:
        move = f"{explanation.knob} {shown(explanation.before)} -> {shown(explanation.after)}"
        lines.append(f"moved     {move} ({explanation.lane})")
    if explanation.is_aa_test:
        lines.append("          an A/A test: the candidate was the incumbent itself, trained with other seeds")
    if explanation.proposer:
        lines += _columns([("proposed", f"by {plain(explanation.proposer)}: {plain(explanation.hypothesis, 400)}")])
    elif explanation.hypothesis:
        lines += _columns([("note", plain(explanation.hypothesis, 400))])
    after = "still is" if explanation.stood == explanation.stands else f"was replaced by {explanation.stands}"
    if explanation.turn:
        lines.append(f"recipe    {explanation.stood} was the incumbent and {after}")
    return [*lines, f"session   {explanation.session}"]


def _looks(explanation: Explanation) -> list[str]:
    if not explanation.looks:
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
        for look in explanation.looks
    ]
    lines = _grid(("stage", "pairs", "effect", "std. error", "lower bound", "at level", "chance to be kept"), rows)
    small = explanation.policy.get("smallest_effect", 0)
    lines += _wrapped(
        "Pooled over the pairs so far. Screening, or the effect expected from other comparisons, only chooses which "
        "candidates to confirm. A confirmation has fresh seeds, and passes when the lower bound is above "
        f"{small:g} and every guard holds."
    )
    return lines


def _replicates(explanation: Explanation) -> list[str]:
    rows = []
    for pair in explanation.replicates:
        seed = str(pair.seed) if pair.seed == pair.candidate_seed else f"{pair.candidate_seed} against {pair.seed}"
        figures = (pair.candidate, pair.baseline)
        rows.append(
            (
                pair.stage,
                seed,
                *("gone" if value is None else f"{value:.2f}" for value in figures),
                "" if pair.difference is None else f"{pair.difference:+.2f}",
            )
        )
    return _grid(("stage", "seed", "candidate", "baseline", "difference"), rows) if rows else []


def _check(explanation: Explanation) -> list[str]:
    if explanation.check is None or explanation.estimate is None:
        return []
    what = "the recipe at the end against the starting recipe, on the holdout prompts"
    if explanation.reason == "leave_one_out":
        what = "the incumbent with this KEEP against the same recipe without it"
    effect = explanation.estimate.effect
    lines = [f"{what}: {explanation.target} {_change(effect)} over {count(explanation.estimate.pairs, 'fresh pair')}"]
    if explanation.reason != "leave_one_out":
        lines += [
            f"guard {guard.category} {_change(guard.change)}, margin {guard.margin:g}" for guard in explanation.guards
        ]
    if "bound" in explanation.check:
        lines.append(
            f"together with its confirmation {explanation.check['effect']:+.2f}, "
            f"lower bound {explanation.check['bound']:+.2f}"
        )
    return [wrapped for line in lines for wrapped in _wrapped(line)]


def _estimate(explanation: Explanation) -> list[str]:
    estimate = explanation.estimate
    if estimate is None or explanation.check is not None:
        return []
    confidence = float(explanation.policy.get("confidence", 0.95))
    stage = explanation.looks[-1]["stage"] if explanation.looks else "comparison"
    rows = [(stage, f"{_change(estimate.effect)} ({percent(confidence)} interval), {count(estimate.pairs, 'pair')}")]
    if estimate.shrunk is not None:
        rows.append(("shrunk", f"{estimate.shrunk:+.2f}: what to expect, given how large effects were this session"))
    return _columns(rows, 14)


def _guards(explanation: Explanation) -> list[str]:
    rows = [
        (
            guard.category,
            f"{guard.change.delta:+.2f}",
            f"{guard.bound:+.2f}",
            "" if guard.cumulative is None else f"{guard.cumulative:+.2f}",
            f"{guard.margin:g}",
            "yes" if guard.holds else "no",
        )
        for guard in explanation.guards
    ]
    if not rows or explanation.check is not None:
        return []
    confirmed = bool(explanation.looks) and explanation.looks[-1]["stage"] == "confirmation"
    headings = ("guard", "change", "lower bound", "of all KEEPs and this", "margin", "above it")
    shown_columns = [place for place in range(len(headings)) if place != 3 or any(row[3] for row in rows)]
    lines = _grid([headings[i] for i in shown_columns], [[row[i] for i in shown_columns] for row in rows])
    if explanation.looks and not confirmed:
        lines.append("The bounds of screening do not decide; a guard that would hardly pass a confirmation ends it.")
    return lines


def _error(explanation: Explanation) -> list[str]:
    night, later = explanation.policy.get("night_error"), explanation.policy.get("later_error", 0.0)
    spent = explanation.spending
    if night is None or not explanation.looks:
        return []
    if spent is None:
        return ["Nothing was spent: no confirmation was begun."]
    rows = [
        ("budget", f"{night:g} until the first KEEP, {later:g} after each"),
        ("left before", f"{spent.before:.4g}"),
        ("level", f"{spent.spent:.4g}"),
    ]
    after = f"{spent.after:.4g}"
    if explanation.is_aa_test:
        after += ", since an A/A test spends nothing of it"
    elif explanation.status == "KEEP":
        after += ", since a KEEP starts a new budget"
    return _columns([*rows, ("left after", after)], 14)


def _floor(explanation: Explanation) -> list[str]:
    if explanation.floor is None:
        return []
    return [
        *_wrapped(explanation.floor["why"]),
        f"a true improvement of {explanation.floor['visible']:.2f} has an even chance to be confirmed",
    ]


def _thresholds(explanation: Explanation) -> list[str]:
    kept = {name: explanation.policy[name] for name in Policy.model_fields if name in explanation.policy}
    return _wrapped(", ".join(f"{name} {_number(value)}" for name, value in kept.items()))


def _given(explanation: Explanation) -> list[str]:
    if not explanation.looks:
        return []
    if explanation.given is None:
        return ["Not stored: an older version of nightlane made this decision."]
    rows: list[tuple[str, str]] = []
    for stage, given in explanation.given.items():
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


def _decided(explanation: Explanation) -> list[str]:
    rows = [
        (item.figure, _figure(item, item.value), _figure(item, item.threshold), "yes" if item.met else "no")
        for item in explanation.criteria
    ]
    lines = _grid(("figure", "value", "needs more than", "met"), rows) if rows else []
    return [*lines, *(line for note in explanation.notes for line in _wrapped(note))]


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
    columns = []
    for name, value in rows:
        lines = _wrapped(value, WIDTH - width)
        columns += [f"{name if not place else '':<{width}}{line}" for place, line in enumerate(lines)]
    return columns


def _wrapped(text: str, width: int = WIDTH) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
