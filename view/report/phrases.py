"""The phrases that several sections share: a change with its interval, a guard, a move, the next command."""

from view.data.changes import Change, GuardChange
from view.data.figures import Decided, Figures, shown
from view.report.markdown import code, count, signed
from view.terminal.next_commands import run_command


def change(difference: Change | None) -> str:
    if difference is None:
        return ""
    return f"{signed(difference.delta)} [{signed(difference.low)}, {signed(difference.high)}]"


def guard_line(guard: GuardChange) -> str:
    held = "held" if guard.holds else "not held"
    since = "" if guard.cumulative is None else f", of all KEEPs together {signed(guard.cumulative)}"
    return (
        f"Guard {code(guard.category)} {signed(guard.change.delta)}, at worst {signed(guard.bound)}{since}; margin "
        f"{guard.margin:g}: {held}"
    )


def confirmed(decision: Decided) -> str:
    """A KEEP's effect: as its confirmation found it, over how many pairs, and what to expect of it."""
    if decision.stage is None:
        return f"**{change(decision.target)}**"
    expected = "" if decision.shrunk is None else f"; {signed(decision.shrunk)} after shrinking"
    return f"**{change(decision.target)}** confirmed over {count(decision.pairs, 'fresh pair')}{expected}"


def moved(decision: Decided) -> str:
    return f"{code(decision.knob)} {code(shown(decision.before))} -> {code(shown(decision.after))}"


def next_command(figures: Figures) -> str:
    if figures.state == "running":
        return f"nightlane status {figures.session}"
    return run_command(figures.study_path) if figures.state == "finished" else f"nightlane resume {figures.session}"
