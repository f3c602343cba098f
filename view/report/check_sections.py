"""The report's sections about the session's own checks: false alarms, the night's error, what held at the end."""

from view.data.checks import Rate
from view.data.figures import Figures
from view.explain.decision_inputs import percent
from view.report.markdown import code, count, signed, table, text
from view.report.phrases import change
from view.report.reasons import reason

VERDICTS = {
    "holds": "The improvement is shown there, too",
    "not shown": "The improvement is not shown there, and not contradicted either",
    "contradicted": "There is no improvement there",
    "retracted": "It contradicts what was kept, so every KEEP was retracted",
    "no prompts": "The study has no holdout prompts, so nothing was measured",
    "not measured": "It could not be measured",
}
FEW = 60
"""Candidates in disguise under which an interval is too wide to tell 5 % from twice that."""


def at_the_end(figures: Figures) -> list[str]:
    """Each KEEP left out and measured again, and the end against the start on the holdout."""
    if not figures.left_out and figures.holdout is None:
        if figures.having("KEEP") and figures.rule.night_error is not None and figures.state == "finished":
            return ["## Checks at the end", "", "None was made: the budget ended before them, or the policy has none."]
        return []
    return ["## Checks at the end", "", *_left_out(figures), *_holdout(figures)]


def _left_out(figures: Figures) -> list[str]:
    if not figures.left_out:
        return ["No KEEP was left out and measured again: the budget ended before it.", ""]
    rows = []
    for one in figures.left_out:
        bound = "" if one.bound is None else signed(one.bound)
        together = "" if one.together is None else signed(one.together)
        verdict = f"{one.verdict} ({text(one.failure, 80)})" if one.failure else one.verdict
        again = change(one.change)
        rows.append((f"{one.turn:03d}", again, str(one.pairs or ""), together, bound, verdict))
    headings = ("KEEP", "brings, measured again", "pairs", "with its confirmation", "lower bound", "verdict")
    above = f"{figures.rule.smallest_effect:g}"
    lines = [
        "What stands against the same without one KEEP, on fresh seeds. It holds while its confirmation and this "
        "re-test "
        f"together still show more than {above}.",
        "", *table(headings, rows, right=(1, 2, 3, 4)), "",
    ]  # fmt: skip
    if any(one.verdict == "superseded" for one in figures.left_out):
        lines += ["Superseded: a later KEEP moved the same knob, so there is nothing to leave out.", ""]
    return lines


def _holdout(figures: Figures) -> list[str]:
    held = figures.holdout
    if held is None:
        return ["The holdout was not measured: the budget ended before it."]
    told = f"**Holdout: {held.verdict}.** {VERDICTS.get(held.verdict, '')}"
    told += f" ({text(held.failure, 120)})." if held.failure else "."
    if held.target is None:
        return [told]
    rows = [(f"{code(figures.question.target)} (target)", change(held.target), "", "")]
    rows += [
        (code(guard.category), change(guard.change), f"{guard.margin:g}", "yes" if guard.holds else "**no**")
        for guard in held.guards
    ]
    return [
        f"{told} What stood at the end of the search against the start, over {count(held.pairs, 'pair')} on fresh "
        "seeds "
        "and prompts that chose nothing. A guard fails here when its whole interval is below minus its margin.",
        "", *table(("category", "change [interval]", "margin", "holds"), rows, right=(1, 2)),
    ]  # fmt: skip


def calibration(figures: Figures) -> list[str]:
    """How many candidates in disguise there were, and how many of them the rule would have kept."""
    found, night = figures.calibration, figures.rule.night_error
    if night is None or (not found.share and not found.study.candidates):
        return []
    lines = [
        "## Calibration", "",
        f"About {percent(found.share)} of the candidates are the incumbent itself in disguise, under other seeds and "
        "decided on like any other. Nothing can be better than itself, so each that the rule would keep is a false "
        "alarm.",
        "",
    ]  # fmt: skip
    if not found.study.candidates:
        return [*lines, "There was none yet, so nothing is known of the realised rate."]
    rates = [("this session", found.session), (f"all sessions of {figures.study}", found.study)]
    rows = [(text(name), *_rate(rate)) for name, rate in rates]
    headings = ("", "in disguise", "false alarms", "realised rate [95 % interval]", "expected at most")
    lines += [*table(headings, rows, right=(1, 2, 3, 4)), ""]
    lines.append(
        '"Expected at most" is the sum of the levels that their confirmations were given; one that screening ended was '
        f"given none. Promised is that a night without any improvement ends with a KEEP in at most {percent(night)} of "
        f"nights, all its candidates together.{_few(found.study)}"
    )
    if found.candidates:
        own = [
            (
                f"{one.turn:03d}", change(one.change), str(one.pairs),
                "ended by screening" if one.level is None else f"confirmed at {percent(one.level)}",
                "**false alarm**" if one.alarm else "not kept",
            )
            for one in found.candidates
        ]  # fmt: skip
        lines += ["", *table(("id", "change [interval]", "pairs", "how far it came", "the rule"), own, right=(1, 2))]
    return lines


def _rate(rate: Rate) -> tuple[str, str, str, str]:
    interval = f"[{percent(rate.low)}, {percent(rate.high)}]"
    realised = f"{percent(rate.alarms / rate.candidates)} {interval}" if rate.candidates else "nothing known"
    return str(rate.candidates), str(rate.alarms), realised, f"{rate.promised:.3g}" if rate.candidates else ""


def _few(rate: Rate) -> str:
    if rate.candidates >= FEW:
        return ""
    so_few = "One candidate says" if rate.candidates == 1 else f"{rate.candidates} candidates say"
    return f" {so_few} little: the interval is wide."


def error_budget(figures: Figures) -> list[str]:
    """What each confirmation spent of the night's error, and what is left."""
    night = figures.rule.night_error
    if night is None or not figures.decisions:
        return []
    lines = ["## Error budget", ""]
    later = figures.rule.later_error
    told = (
        f"Until the first KEEP the night may err with a chance of {percent(night)}, after each with {percent(later)}."
    )
    if not figures.spendings:
        return [*lines, f"{told} No confirmation was begun, so nothing of it is spent."]
    rows = [
        (
            f"{one.turn:03d}",
            f"{one.before:.4f}",
            f"{one.spent:.4f}",
            f"{one.after:.4f}",
            _outcome(one.status, one.reason),
        )
        for one in figures.spendings
    ]
    headings = ("id", "left before", "level of the confirmation", "left after", "outcome")
    return [
        *lines,
        f"{told} Each confirmation spends a share of what is left; a candidate in disguise spends nothing. Left: "
        f"**{figures.spendings[-1].after:.4f}** after "
        f"{count(len(figures.spendings), 'confirmation')}.",
        "", *table(headings, rows, right=(1, 2, 3)),
    ]  # fmt: skip


def _outcome(status: str, code_word: str) -> str:
    return status if status == "KEEP" else f"{status}: {reason(code_word)}"
