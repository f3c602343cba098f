"""The summary of a session report: what a reader who stops there must know, in plain words."""

from collections import Counter

from view.data.checks import Holdout
from view.data.figures import Decided, Figures
from view.report.breakdown import warning_lines
from view.report.markdown import code, count, moment, text
from view.report.phrases import change, confirmed, guard_line, moved, next_command
from view.report.reasons import reason


def summary(figures: Figures) -> list[str]:
    """What a reader who stops here must know; what was taken back, before all else."""
    lines = [f"# Session {figures.session}: {_headline(figures)}", ""]
    lines += [*retracted(figures), _state(figures), "", _verdict(figures)]
    kept = figures.kept
    if kept:
        lines += ["", *(f"- {_kept_line(decision)}" for decision in kept), "", _total(figures)]
    critical = sum(decision.critical_candidate or 0 for decision in kept)
    if critical:
        lines += ["", f"The kept recipes' answers held {count(critical, 'critical failure')}: see below."]
    if figures.breakdown is not None and figures.breakdown.warnings:
        lines += ["", *warning_lines(figures.breakdown)]
    return [*lines, *_missing(figures), "", f"To go on: {code(next_command(figures))}"]


def retracted(figures: Figures) -> list[str]:
    """The KEEPs that do not hold."""
    if not figures.retractions:
        return []
    number = len(figures.retractions)
    lines = [f"**Retracted: {count(number, 'KEEP')} of this session {'does' if number == 1 else 'do'} not hold.**", ""]
    for one in figures.retractions:
        move = f"{code(one.knob)} {code(one.before)} -> {code(one.after)}"
        figure = f": {change(one.change)} over {count(one.pairs, 'pair')}" if one.change else ""
        lines.append(f"- {one.turn:03d} {move}: {reason(one.reason)}{figure}.")
    return [*lines, "", f"What stands now is without {'it' if number == 1 else 'them'}.", ""]


def _missing(figures: Figures) -> list[str]:
    if not figures.missing:
        return []
    ids = ", ".join(code(f"runs/probe-{probe}") for probe in figures.missing[:5])
    more = f" and {len(figures.missing) - 5} more" if len(figures.missing) > 5 else ""
    return [
        "",
        f"{count(len(figures.missing), 'probe')} of this session can no longer be read from the disk ({ids}{more}). "
        "Decisions come from the ledger and are complete; noise, outcomes and times lack these probes.",
    ]


def _headline(figures: Figures) -> str:
    if figures.baseline_failure:
        return "the starting recipe could not be measured"
    if not figures.decisions:
        return "no change was decided on"
    kept, gone = len(figures.kept), len(figures.retractions)
    told = f"{kept or 'none'} of {count(len(figures.decisions), 'change')} kept for {code(figures.question.target)}"
    return f"{told}, {gone} retracted" if gone else told


def _state(figures: Figures) -> str:
    made = f"Study {code(figures.study)}, begun {moment(figures.started)}"
    several = "were" if len(figures.in_flight) > 1 else "was"
    moves = ", ".join(map(text, figures.in_flight))
    waiting = f" {moves} {several} proposed and not decided." if moves else ""
    if figures.state == "finished":
        return f"{made}, finished {moment(figures.finished or '')}: {text(figures.finish_reason)}.{waiting}"
    if figures.state == "running":
        return f"{made}. **It is still running** (process {figures.holder}); this is what was decided so far."
    return f"{made}. **It was interrupted and is not finished.**{waiting} Nothing that was decided is lost."


def _verdict(figures: Figures) -> str:
    """In plain words: what the night showed, or what it did not."""
    target = code(figures.question.target)
    if figures.baseline_failure:
        return f"Nothing was tried: {text(figures.baseline_failure)}."
    if not figures.decisions and not figures.noise:
        return "**Nothing was measured.** Not even the starting recipe has a reading that is left."
    if not figures.decisions:
        start = next((noise for noise in figures.noise if noise.category == figures.question.target), None)
        score = f" It scores {start.mean:.2f} in {target}." if start else ""
        return f"Only the starting recipe was measured.{score} No change was tried to the end."
    kept, crashed = figures.kept, figures.having("CRASH")
    if kept:
        rest = f"{len(figures.having('DISCARD'))} discarded, {len(crashed)} crashed"
        gone = f", {len(figures.retractions)} retracted" if figures.retractions else ""
        return f"**{count(len(kept), 'change')} kept**{gone}, {rest}."
    if len(crashed) == len(figures.decisions):
        every = "the one change tried" if len(crashed) == 1 else f"all {len(crashed)} changes tried"
        return (
            f"**Nothing was kept and nothing was measured:** {every} crashed. A crash has no score, so this says "
            f"nothing about {target}."
        )
    none = "Nothing that was kept holds" if figures.retractions else "Nothing was kept"
    return f"**{none}: a negative result.** {_negative(figures)}"


def _negative(figures: Figures) -> str:
    """What was tried, what was shown, and how large an effect could have been seen."""
    target = code(figures.question.target)
    words = Counter(decision.reason.partition(":")[0] for decision in figures.decisions)
    shown = "was shown to help" if not figures.retractions else "is still shown to help"
    parts = [f"{count(len(figures.decisions), 'change')} tried; none {shown} {target} without harm."]
    parts += [
        f"{words[word]} {one if words[word] == 1 else more}." for word, (one, more) in NEGATIVE.items() if words[word]
    ]
    undecided = words["unpromising"] + words["unconfirmed"] + words["inconclusive"] + words["budget"]
    if undecided and figures.visible is not None:
        parts.append(
            f"A true improvement of {figures.visible:.2f} had an even chance of being {_seen(figures)} this night "
            "(guards not counted), and a smaller one would more likely than not have gone unseen. So this is no proof "
            "that these changes do nothing; they may still help by less than that."
        )
    return " ".join([*parts, "The recipe that stood at the start still stands."])


NEGATIVE = {
    "guard": ("was ended for a guard", "were ended for a guard"),
    "cumulative": ("would have summed up to a guard's loss", "would have summed up to a guard's loss"),
    "worse": ("made it worse", "made it worse"),
    "no_effect": ("would improve it by too little to count", "would improve it by too little to count"),
    "unpromising": ("had little chance after few pairs", "had little chance after few pairs"),
    "unconfirmed": ("looked promising, but fresh seeds did not show it",) * 2,
    "overtaken": ("was overtaken by another of its round", "were overtaken by another of their round"),
    "budget": ("was cut short by the budget", "were cut short by the budget"),
    "crash": ("crashed and so has no score", "crashed and so have no score"),
    "inconclusive": ("stayed undecided", "stayed undecided"),
}
"""Of a reason's first word: for one change, and for several."""


def _seen(figures: Figures) -> str:
    return "confirmed" if figures.rule.night_error is not None else "seen"


def _total(figures: Figures) -> str:
    """Start against end: as the holdout has it, or else the sum of what was confirmed."""
    target, held, kept = code(figures.question.target), figures.holdout, figures.kept
    if held is not None and held.target is not None and held.start is not None and held.end is not None:
        said = {
            "holds": "the improvement is shown there, too",
            "not shown": "**the improvement is not shown there**, nor contradicted: the interval reaches to both sides",
        }.get(held.verdict, held.verdict)
        worst = f" {_held_guard(held)}." if held.guards else ""
        return (
            f"From the session's start to its end, on the holdout prompts, which chose nothing, {target} went "
            f"{held.start:.2f} -> {held.end:.2f}: **{change(held.target)}** over {count(held.pairs, 'fresh pair')}; "
            f"{said}.{worst}"
        )
    if figures.rule.night_error is None:
        return (
            "Each step was chosen because it came out high in these very readings, so expect somewhat less when it is "
            "measured again."
        )
    total = sum(decision.target.delta for decision in kept if decision.target)
    why = {"no prompts": "the study has no holdout prompts", "not measured": "the holdout could not be measured"}
    because = why.get(held.verdict if held else "", "the holdout was not measured")
    sums = f"The confirmed effects add up to **{total:+.2f}** in {target}" if len(kept) > 1 else "This is the total"
    return f"{sums}; {because}, so start and end were never held against each other."


def _held_guard(held: Holdout) -> str:
    worst = held.guards[0]
    ended = "held" if worst.holds else "**not held**"
    return f"Guard {code(worst.category)} {change(worst.change)}, margin {worst.margin:g}: {ended}"


def _kept_line(decision: Decided) -> str:
    worst = f" {guard_line(decision.guards[0])}." if decision.guards else ""
    return f"{decision.turn:03d} {moved(decision)}: {confirmed(decision)}.{worst}"
