"""The report's sections about decisions: kept, discarded, crashed, and per knob and guard what each one measured."""

from statistics import median

from view.data.figures import Decided, Figures, shown
from view.report.markdown import bar, code, count, fenced, plain, signed, table, text
from view.report.phrases import change, confirmed, guard_line, moved
from view.report.reasons import reason

FIGURE_WIDTH = 22
BAR_WIDTH = 33


def kept(figures: Figures) -> list[str]:
    """Why each KEEP stands, or stood: effect, interval, every guard, and what its proposer expected."""
    decisions = figures.having("KEEP")
    if not decisions:
        return []
    lines = ["## Kept", ""]
    for decision in decisions:
        expected = "" if decision.predicted is None else f" (expected {signed(decision.predicted)})"
        gone = "" if decision.retracted is None else " (retracted)"
        lines += [
            f"### {decision.turn:03d} {moved(decision)}{gone}",
            "",
            *([f"**Taken back at the end:** {reason(decision.retracted)}.", ""] if decision.retracted else []),
            f"{code(figures.question.target)} {confirmed(decision)}; from {decision.baseline:.2f} to "
            f"{decision.candidate:.2f}, overall {change(decision.overall)}.",
            f"Proposed by {text(decision.proposer)}{expected}: {text(decision.hypothesis)}",
            "",
        ]
        lines += [*(f"- {guard_line(guard)}" for guard in decision.guards), ""]
    if figures.differences:
        lines += ["What stands now differs from the recipe the session started from in:", ""]
        rows = [(code(item.knob), text(item.before), text(item.after)) for item in figures.differences]
        lines += table(("parameter", "at the start", "now"), rows)
    return lines


def discarded(figures: Figures) -> list[str]:
    decisions = sorted(figures.having("DISCARD"), key=lambda decision: (decision.time, decision.turn))
    if not decisions:
        return []
    rows = [
        (
            decision.time[11:16], f"{decision.turn:03d}", moved(decision), change(decision.target), _measured(decision),
            text(decision.reason),
        )
        for decision in decisions
    ]  # fmt: skip
    reasons = list(dict.fromkeys(decision.reason for decision in decisions))
    argued = [decision for decision in decisions if not _only_names_the_move(decision)]
    hypotheses = [f"- {d.turn:03d} {text(d.proposer)}: {text(d.hypothesis, 240)}" for d in argued]
    headings = ("UTC", "id", "change", f"{text(figures.question.target)} [interval]", "over", "reason")
    return [
        "## Discarded", "", *table(headings, rows, right=(3,)), "",
        *(f"- {text(word)}: {reason(word, figures.rule.night_error is None)}." for word in reasons), "",
        *(["Their hypotheses, which were not shown to hold:", "", *hypotheses] if hypotheses else []),
    ]  # fmt: skip


def _measured(decision: Decided) -> str:
    """How many pairs its figures rest on, fresh ones where a confirmation was reached."""
    fresh = "fresh pair" if decision.stage == "confirmation" else "pair"
    return count(decision.pairs, fresh) if decision.pairs else ""


def _only_names_the_move(decision: Decided) -> bool:
    """A hypothesis that says no more than the table's row does."""
    return f"{decision.knob} {shown(decision.before)} -> {shown(decision.after)}" in decision.hypothesis


def crashes(figures: Figures) -> list[str]:
    decisions = figures.having("CRASH")
    if not decisions and not figures.baseline_failure:
        return []
    lines = ["## Crashes", "", "A crash is not a score of 0: it has no score and enters no figure.", ""]
    if figures.baseline_failure:
        return [*lines, f"The starting recipe itself failed: {text(figures.baseline_failure)}."]
    rows = []
    for decision in decisions:
        crash = decision.crash
        seeds = ", ".join(map(str, crash.seeds)) if crash else ""
        message = text(crash.message, 160) if crash else ""
        happened = reason(decision.reason)
        rows.append((decision.time[11:16], f"{decision.turn:03d}", moved(decision), happened, seeds, message))
    return [*lines, *table(("UTC", "id", "change", "what happened", "seeds", "message"), rows)]


def sensitivity(figures: Figures) -> list[str]:
    """Each tried value of each knob with the target's change, ordered by value, as intervals around 0."""
    if not figures.decisions:
        return []
    reaches = [max(abs(d.target.low), abs(d.target.high)) for d in figures.decisions if d.target]
    scale = max(min(max(reaches), 3 * median(reaches)), 0.01) if reaches else 1.0
    wide = max(len(_move(decision)) for decision in figures.decisions)
    edges = f"{-scale:+.2f}{'0':^{BAR_WIDTH - 10}}{scale:+.2f}"
    lines = [" " * (wide + FIGURE_WIDTH + 4) + edges] if reaches else []
    for name in sorted({decision.knob for decision in figures.decisions}, key=lambda name: -_largest(figures, name)):
        tried = sorted((d for d in figures.decisions if d.knob == name), key=lambda d: (_order(d.after), d.turn))
        lines += [
            *([""] if len(lines) > 2 else []),
            plain(name),
            *(_sensitivity_row(decision, scale, wide) for decision in tried),
        ]
    return [
        "## Sensitivity per knob", "",
        f"Change of {code(figures.question.target)} when one knob moves, each against the recipe that stood then; the "
        "knob with the largest change first.", "", *fenced(lines),
    ]  # fmt: skip


def _largest(figures: Figures, knob: str) -> float:
    return max((abs(d.target.delta) for d in figures.decisions if d.knob == knob and d.target), default=0.0)


def _move(decision: Decided) -> str:
    return plain(f"{shown(decision.before)} -> {shown(decision.after)}", 44)


def _order(value: object) -> tuple[int, float, str]:
    """Numbers by size, then names by letter."""
    if isinstance(value, int | float):
        return 0, float(value), ""
    return 1, 0.0, shown(value)


def _sensitivity_row(decision: Decided, scale: float, wide: int) -> str:
    target = decision.target
    if target is None:
        return f"  {_move(decision):<{wide}}  no score ({plain(decision.reason)})"
    picture = bar(target.delta, target.low, target.high, scale, BAR_WIDTH)
    return f"  {_move(decision):<{wide}}  {change(target):<{FIGURE_WIDTH}}{picture}  {decision.status}"


def guards(figures: Figures) -> list[str]:
    """Of each confirmation, and of what was ended for a guard, the guard nearest to its margin."""
    older = figures.rule.night_error is None
    decisions = [
        one for one in figures.decisions
        if one.guards and (older or one.stage == "confirmation" or one.reason.startswith("guard"))
    ]  # fmt: skip
    if not decisions:
        return []
    rows = []
    for decision in decisions:
        worst = decision.guards[0]
        since = "" if worst.cumulative is None else signed(worst.cumulative)
        rows.append((
            f"{decision.turn:03d}", moved(decision), text(worst.category), signed(worst.change.delta),
            signed(worst.bound), since, f"{worst.margin:g}", "yes" if worst.holds else "**no**", decision.status,
        ))  # fmt: skip
    headings = ("id", "change", "worst guard", "change", "at worst", "all KEEPs", "margin", "holds", "decision")
    told = (
        'Per decision the guard that came nearest to its margin, or went furthest past it. "At worst" is the low end '
        "of "
        "its interval, which must be above minus the margin."
        if older
        else "Per confirmation the guard that came nearest to its margin, or went furthest past it. It holds when its "
        'lower bound ("at worst", at the level of the look that decided) is above minus the margin, and so is that of '
        "all KEEPs since the session's first baseline together. Screening ends a candidate for a guard that would "
        "hardly "
        'pass; "at worst" is then the low end of its interval.'
    )
    return ["## Guards", "", told, "", *table(headings, rows, right=(3, 4, 5, 6))]


def critical(figures: Figures) -> list[str]:
    """Answers that the scorer flagged as critical; nothing when there were none."""
    rows = [
        (f"{d.turn:03d}", moved(d), str(d.critical_incumbent), str(d.critical_candidate), d.status)
        for d in figures.decisions
        if d.critical_candidate or d.critical_incumbent
    ]
    flags = [
        f"- recipe {code(item.recipe)}: " + ", ".join(f"{text(flag, 60)} {n}" for flag, n in item.critical.items())
        for item in figures.outcomes
        if item.critical
    ]
    if not rows and not flags:
        return []
    body = table(("id", "change", "incumbent", "candidate", "decision"), rows, right=(2, 3)) if rows else []
    return ["## Critical failures", "", *body, *([""] if rows and flags else []), *flags]
