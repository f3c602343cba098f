"""The sections of a session report, each a pure function from the session's figures to lines of Markdown."""

from collections import Counter
from statistics import median

from probes.comparison import OVERALL
from view.figures import Change, Decided, Figures, GuardChange, KnobSearch, shown
from view.markdown import bar, code, count, dollars, duration, fenced, moment, plain, signed, table, text
from view.session_record import run_command

KINDS = {
    "oom": "the device ran out of memory",
    "diverged": "training diverged",
    "timeout": "the probe took longer than the runner's deadline",
    "lost_worker": "the worker process was lost",
    "scorer": "the scorer failed",
    "disk": "the disk was full",
    "error": "training or evaluation raised an error",
}
MOST_OUTCOMES = 12
FIGURE_WIDTH = 22
BAR_WIDTH = 33


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
    return [*lines, *_missing(figures), "", f"To go on: {code(_command(figures))}"]


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
            "had an even chance of being seen this night, and a smaller one would more likely than not have gone "
            "unseen. So this is no proof that these changes do nothing; they may still help by less than that."
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
    worst = f" {_guard(total.guards[0])}." if total.guards else ""
    return (
        f"From the session's start to its end {code(figures.question.target)} went {total.start:.2f} -> {steps} -> "
        f"{total.end:.2f}: **{change(total.target)}**.{worst} Each step {selected}; the total is optimistic for the "
        "same reason."
    )


def change(difference: Change | None) -> str:
    if difference is None:
        return ""
    return f"{signed(difference.delta)} [{signed(difference.low)}, {signed(difference.high)}]"


def _guard(guard: GuardChange) -> str:
    held = "held" if guard.holds else "not held"
    return f"Guard {code(guard.category)} {change(guard.change)}, margin {guard.margin:g}: {held}"


def moved(decision: Decided) -> str:
    return f"{code(decision.knob)} {code(shown(decision.before))} -> {code(shown(decision.after))}"


def _kept_line(decision: Decided) -> str:
    worst = f" {_guard(decision.guards[0])}." if decision.guards else ""
    return f"{decision.turn:03d} {moved(decision)}: **{change(decision.target)}**.{worst}"


def how_to_read(figures: Figures) -> list[str]:
    """The level, what it covers, how often it was used, and how often chance alone would have said KEEP."""
    question, percent = figures.question, f"{figures.question.confidence * 100:g} %"
    chance = (1 - question.confidence) / 2
    above = f"{question.smallest_effect:g}" if question.smallest_effect else "0"
    lines = [
        "## How to read the figures",
        "",
        f"Scores run from 0 to 10. A change is candidate minus incumbent, paired by prompt and training seed, with its "
        f"{percent} interval; the interval covers the prompts, the training seeds and the sampling. KEEP needs the "
        f"target's whole interval above {above} and every guard's above minus its margin.",
        "",
    ]
    if not figures.compared:
        return [*lines, "No decision was made at this level in this session."]
    lines.append(
        f"{count(figures.compared, 'decision')} {'was' if figures.compared == 1 else 'were'} made at this level and "
        f"the intervals are not corrected for their number. If no change helped at all, chance alone would give a KEEP "
        f"in at most {chance * 100:.3g} % of them, which is {figures.expected_false_keeps:.2g} on average in a session "
        "like this, as far as the intervals are as wide as they should be."
    )
    return lines


def question(figures: Figures) -> list[str]:
    asked = figures.question
    guards = ", ".join(f"{code(name)} may lose at most {margin:g}" for name, margin in asked.guards.items())
    prompts = ", ".join(f"{text(name)} {number}" for name, number in asked.prompts.items() if name != OVERALL)
    rows = [
        ("target", code(asked.target)),
        ("guards", guards or "none"),
        ("base model", code(asked.base_model)),
        ("starting recipe", code(asked.start)),
        ("training steps per probe", str(asked.steps)),
        ("training seeds", ", ".join(map(str, asked.seeds))),
        ("answers per prompt", str(asked.samples)),
        ("prompts", prompts or "not known: no reading is left"),
    ]
    return ["## The question", "", *table(("what", "value"), rows)]


def kept(figures: Figures) -> list[str]:
    """Why each KEEP stands: effect, interval, every guard, and what its proposer expected."""
    decisions = figures.having("KEEP")
    if not decisions:
        return []
    lines = ["## Kept", ""]
    for decision in decisions:
        expected = "" if decision.predicted is None else f" (expected {signed(decision.predicted)})"
        lines += [
            f"### {decision.turn:03d} {moved(decision)}",
            "",
            f"{code(figures.question.target)} {change(decision.target)}, from {decision.baseline:.2f} to "
            f"{decision.candidate:.2f}; overall {change(decision.overall)}.",
            f"Proposed by {text(decision.proposer)}{expected}: {text(decision.hypothesis)}",
            "",
        ]
        lines += [*(f"- {_guard(guard)}" for guard in decision.guards), ""]
    if figures.differences:
        lines += ["What stands now differs from the recipe the session started from in:", ""]
        rows = [(code(item.knob), text(item.before), text(item.after)) for item in figures.differences]
        lines += table(("parameter", "at the start", "now"), rows)
    return lines


def reason(code_word: str) -> str:
    """A decision's reason code in words."""
    known = {
        "improved": "the whole interval is above what KEEP needs and every guard held",
        "no_effect": "the whole interval is below the smallest effect that counts",
        "worse": "the whole interval is below 0",
        "inconclusive": "the interval reaches from below what KEEP needs to above it",
    }
    word, _, name = code_word.partition(":")
    if word == "guard":
        return f"the target improved, but {code(name)} may have lost more than its margin"
    if word == "crash":
        return KINDS.get(name, "the probe failed")
    return known.get(word, text(code_word))


def discarded(figures: Figures) -> list[str]:
    decisions = sorted(figures.having("DISCARD"), key=lambda decision: (decision.time, decision.turn))
    if not decisions:
        return []
    rows = [
        (decision.time[11:16], f"{decision.turn:03d}", moved(decision), change(decision.target), text(decision.reason))
        for decision in decisions
    ]
    reasons = list(dict.fromkeys(decision.reason for decision in decisions))
    argued = [decision for decision in decisions if not _only_names_the_move(decision)]
    hypotheses = [f"- {d.turn:03d} {text(d.proposer)}: {text(d.hypothesis, 240)}" for d in argued]
    return [
        "## Discarded", "",
        *table(("UTC", "id", "change", f"{text(figures.question.target)} [interval]", "reason"), rows, right=(3,)), "",
        *(f"- {text(word)}: {reason(word)}." for word in reasons), "",
        *(["Their hypotheses, which were not shown to hold:", "", *hypotheses] if hypotheses else []),
    ]  # fmt: skip


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


def noise(figures: Figures) -> list[str]:
    if not figures.noise:
        return []
    seeds = list(figures.noise[0].by_seed)
    rows = [
        (
            text(item.category), str(item.prompts), *(f"{item.by_seed[seed]:.2f}" for seed in seeds),
            f"{item.mean:.2f}", "" if item.deviation is None else f"{item.deviation:.2f}",
        )
        for item in figures.noise
    ]  # fmt: skip
    headings = ("category", "prompts", *(f"seed {seed}" for seed in seeds), "mean", "deviation")
    lines = [
        "## The noise", "",
        "The starting recipe, trained with different seeds and otherwise the same; the standard deviation is that "
        "between seeds.", "", *table(headings, rows, right=range(1, len(headings))),
    ]  # fmt: skip
    if figures.half_width is not None:
        needed = figures.half_width + figures.question.smallest_effect
        lines += [
            "",
            f"Half the width of the target's interval was {figures.half_width:.2f} (median of "
            f"{count(figures.compared, 'decision')}). A true improvement of {needed:.2f} had an even chance of a KEEP. "
            "More seeds and more prompts narrow the interval; more answers per prompt narrow only the sampling's part.",
        ]
    return lines


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
    decisions = [decision for decision in figures.decisions if decision.target]
    if not figures.question.guards or not decisions:
        return []
    rows = []
    for decision in decisions:
        worst = decision.guards[0]
        rows.append((
            f"{decision.turn:03d}", moved(decision), text(worst.category), change(worst.change), f"{worst.margin:g}",
            "yes" if worst.holds else "**no**", decision.status,
        ))  # fmt: skip
    return [
        "## Guards", "",
        "Per decision the guard that came nearest to its margin, or went furthest past it. It holds when its whole "
        "interval is above minus the margin.", "",
        *table(("id", "change", "worst guard", "change [interval]", "margin", "holds", "decision"), rows, right=(3, 4)),
    ]  # fmt: skip


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


def outcomes(figures: Figures) -> list[str]:
    """How answers ended before and after, by the scorer's word."""
    if not figures.outcomes:
        return []
    words = list(dict.fromkeys(word for item in figures.outcomes for word in item.words))
    rows = []
    for word in words[:MOST_OUTCOMES]:
        rows.append((text(word, 40), *(_part(item.words.get(word, 0), item.answers) for item in figures.outcomes)))
    if len(words) > MOST_OUTCOMES:
        rest = [sum(item.words.get(word, 0) for word in words[MOST_OUTCOMES:]) for item in figures.outcomes]
        others = [_part(number, item.answers) for number, item in zip(rest, figures.outcomes, strict=True)]
        rows.append((f"{len(words) - MOST_OUTCOMES} others", *others))
    names = ["starting recipe", "incumbent now"][: len(figures.outcomes)]
    return [
        "## How answers ended", "", "Answers of all seeds and categories, by the scorer's word.", "",
        *table(("outcome", *names), rows, right=range(1, len(names) + 1)),
    ]  # fmt: skip


def _part(number: int, whole: int) -> str:
    return f"{number} ({number / whole:.1%})"


def searched(figures: Figures) -> list[str]:
    """Moves tried of those legal, per lane and knob, and who proposed."""
    rows = []
    for lane in figures.searched:
        tried = sum(knob.tried for knob in lane.knobs)
        share = "" if lane.share_achieved is None else f"{lane.share_achieved:.0%}"
        knobs = ", ".join(map(_tried, sorted(lane.knobs, key=lambda knob: -knob.tried)))
        rows.append((text(lane.lane), f"{lane.share_asked:.0%}", share, str(tried), knobs))
    lines = [
        "## What was searched", "",
        "Per knob: moves tried of those legal from the recipes that stood in this session.", "",
        *table(("lane", "share asked", "share", "tried", "knobs"), rows, right=(1, 2, 3)),
    ]  # fmt: skip
    if figures.proposers:
        who = [
            (text(item.proposer), str(item.proposed), str(item.kept), str(item.discarded), str(item.crashed))
            for item in figures.proposers
        ]
        lines += ["", *table(("proposer", "proposed", "kept", "discarded", "crashed"), who, right=(1, 2, 3, 4))]
    return lines


def _tried(knob: KnobSearch) -> str:
    return f"{code(knob.knob)} {knob.tried} of {knob.legal}"


def cost(figures: Figures) -> list[str]:
    spent = figures.cost
    rows = [
        ("active time", duration(spent.active)),
        ("probes run", f"{spent.probes} ({spent.probes - spent.readings} without a reading)"),
    ]
    if spent.borrowed:
        rows.append(("probes found measured", f"{spent.borrowed}, by earlier sessions"))
    if spent.other_share is not None:
        for name, seconds in (("training", spent.train), ("generation", spent.generate), ("scoring", spent.score)):
            rows.append((name, f"{duration(seconds)} ({seconds / spent.total:.1%} of probe time)"))
        other = max(0.0, spent.other_share)
        rows.append(("outside these three", f"{duration(other * spent.total)} ({other:.1%} of probe time)"))
    if spent.seconds_per_probe is not None:
        rows.append(("per probe", duration(spent.seconds_per_probe)))
    if spent.tokens_per_second is not None:
        rows.append(("training tokens per second", f"{spent.tokens_per_second:,.0f}"))
    if spent.peak_gb:
        rows.append(("peak memory", f"{spent.peak_gb:.1f} GB"))
    rows.append(("cost", "no price under [budget] or [proposer]" if spent.dollars is None else dollars(spent.dollars)))
    rows.append(("budget left", figures.budget_left))
    return ["## Time and cost", "", *table(("what", "value"), rows)]


def go_on(figures: Figures) -> list[str]:
    """The exact commands, to be typed in the workspace."""
    folder = f"runs/session-{figures.session}"
    lines = ["## Go on", "", "In the folder that holds `results.tsv`:", ""]
    says = "begins a new session with what stands" if figures.state == "finished" else "goes on where it stands"
    commands = [
        (_command(figures), "what it has done by now" if figures.state == "running" else says),
        (f"nightlane status {figures.session}", "what stands and what is left"),
        (f"nightlane report {figures.session}", "writes and prints this report again"),
    ]
    width = max(len(command) for command, _ in commands)
    lines += fenced([f"{command:<{width}}  # {says}" for command, says in commands])
    lines += ["", f"The recipe that stands is {code(figures.incumbent)}, in {code(f'{folder}/recipe.toml')}."]
    if (figures.finish_reason or "").startswith("no untried move"):
        lines += ["", "Every legal move was tried: widen a knob under `[lanes]` in the study before the next session."]
    if figures.baseline_failure:
        lines += ["", "Mend the starting recipe, or the machine if that is at fault, before the next session."]
    return lines


def _command(figures: Figures) -> str:
    if figures.state == "running":
        return f"nightlane status {figures.session}"
    return run_command(figures.study_path) if figures.state == "finished" else f"nightlane resume {figures.session}"


SECTIONS = (
    summary, kept, discarded, crashes, how_to_read, question, searched, sensitivity, guards, critical, noise, outcomes,
    cost, go_on,
)  # fmt: skip
