"""The summary of a session report: what a reader who stops there must know, in plain words."""

from collections import Counter

from view.breakdown import warning_lines
from view.figures import Decided, Figures
from view.markdown import code, count, moment, text
from view.phrases import change, guard_line, moved, next_command


def summary(figures: Figures) -> list[str]:
    """What a reader who stops here must know."""
    lines = [f"# Session {figures.session}: {_headline(figures)}", "", _state(figures), ""]
    lines += [_verdict(figures)]
    kept = figures.having("KEEP")
    if kept:
        lines += ["", *(f"- {_kept_line(decision)}" for decision in kept), "", _total(figures)]
    critical = sum(decision.critical_candidate or 0 for decision in kept)
    if critical:
        lines += ["", f"The kept recipes' answers held {count(critical, 'critical failure')}: see below."]
    if figures.breakdown is not None and figures.breakdown.warnings:
        lines += ["", *warning_lines(figures.breakdown)]
    return [*lines, *_missing(figures), "", f"To go on: {code(next_command(figures))}"]


def _missing(figures: Figures) -> list[str]:
    if not figures.missing:
        return []
    ids = ", ".join(code(f"runs/probe-{probe}") for probe in figures.missing[:5])
    more = f" and {len(figures.missing) - 5} more" if len(figures.missing) > 5 else ""
    return [
        "",
        f"{count(len(figures.missing), 'probe')} of this session can no longer be read from the disk ({ids}{more}). "
        "Decisions come from the ledger and are complete; noise, outcomes, times and the total lack these probes.",
    ]


def _headline(figures: Figures) -> str:
    if figures.baseline_failure:
        return "the starting recipe could not be measured"
    if not figures.decisions:
        return "no change was decided on"
    kept, made = len(figures.having("KEEP")), len(figures.decisions)
    return f"{kept or 'none'} of {count(made, 'change')} kept for {code(figures.question.target)}"


def _state(figures: Figures) -> str:
    made = f"Study {code(figures.study)}, begun {moment(figures.started)}"
    if figures.state == "finished":
        return f"{made}, finished {moment(figures.finished or '')}: {text(figures.finish_reason)}."
    if figures.state == "running":
        return f"{made}. **It is still running** (process {figures.holder}); this is what was decided so far."
    waiting = f" {text(figures.in_flight[0])} was proposed and not decided." if figures.in_flight else ""
    return f"{made}. **It was interrupted and is not finished.**{waiting} Nothing that was decided is lost."


def _verdict(figures: Figures) -> str:
    """In plain words: what the night showed, or what it did not."""
    target = code(figures.question.target)
    if figures.baseline_failure:
        return f"Nothing was tried: {text(figures.baseline_failure)}."
    if not figures.decisions:
        start = next((noise for noise in figures.noise if noise.category == figures.question.target), None)
        score = f" It scores {start.mean:.2f} in {target}." if start else ""
        return f"Only the starting recipe was measured.{score} No change was tried to the end."
    kept, crashed = figures.having("KEEP"), figures.having("CRASH")
    if kept:
        rest = f"{len(figures.having('DISCARD'))} discarded, {len(crashed)} crashed"
        return f"**{count(len(kept), 'change')} kept**, {rest}."
    if not figures.compared:
        every = "the one change tried" if len(crashed) == 1 else f"all {len(crashed)} changes tried"
        return (
            f"**Nothing was kept and nothing was measured:** {every} crashed. A crash has no score, so this says "
            f"nothing about {target}."
        )
    return f"**Nothing was kept: a negative result.** {_negative(figures)}"


def _negative(figures: Figures) -> str:
    """What was tried, what was shown, and how large an effect could have been seen."""
    target, small = code(figures.question.target), figures.question.smallest_effect
    words = Counter(decision.reason.partition(":")[0] for decision in figures.decisions)
    parts = [f"{count(len(figures.decisions), 'change')} tried; none was shown to help {target} without harm."]
    if words["guard"]:
        parts.append(f"{words['guard']} improved it and had to be discarded for a guard.")
    if words["worse"]:
        parts.append(f"{words['worse']} made it worse.")
    if words["no_effect"]:
        parts.append(f"{words['no_effect']} would improve it by no more than {small:g}.")
    if words["crash"]:
        parts.append(f"{words['crash']} crashed and so {'has' if words['crash'] == 1 else 'have'} no score.")
    if words["inconclusive"] and figures.half_width is not None:
        parts.append(
            f"{words['inconclusive']} stayed undecided: a true improvement of about {figures.half_width + small:.2f} "
            "had an even chance of being seen this night (guards not counted), and a smaller one would more likely "
            "than not have gone unseen. So this is no proof that these changes do nothing; they may still help by less "
            "than that."
        )
    return " ".join([*parts, "The recipe that stood at the start still stands."])


def _total(figures: Figures) -> str:
    """Start against end, with the warning that both the steps and the total were selected."""
    selected = (
        "was chosen because it came out high in these very readings, so expect somewhat less when it is measured again"
    )
    kept, total = figures.having("KEEP"), figures.total
    if len(kept) == 1:
        return f"The change {selected}."
    if total is None:
        return f"Each step {selected}. The readings for a total from start to end are no longer all there."
    steps = " -> ".join(f"{decision.candidate:.2f}" for decision in kept[:-1])
    worst = f" {guard_line(total.guards[0])}." if total.guards else ""
    return (
        f"From the session's start to its end {code(figures.question.target)} went {total.start:.2f} -> {steps} -> "
        f"{total.end:.2f}: **{change(total.target)}**.{worst} Each step {selected}; the total is optimistic for the "
        "same reason."
    )


def _kept_line(decision: Decided) -> str:
    worst = f" {guard_line(decision.guards[0])}." if decision.guards else ""
    return f"{decision.turn:03d} {moved(decision)}: **{change(decision.target)}**.{worst}"
