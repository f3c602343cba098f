"""The phrases that several sections share: a change with its interval, a guard, a move, the next command."""

from view.figures import Change, Decided, Figures, GuardChange
from view.gather import shown
from view.markdown import code, signed
from view.session_record import run_command


def change(difference: Change | None) -> str:
    if difference is None:
        return ""
    return f"{signed(difference.delta)} [{signed(difference.low)}, {signed(difference.high)}]"


def guard_line(guard: GuardChange) -> str:
    held = "held" if guard.holds else "not held"
    return f"Guard {code(guard.category)} {change(guard.change)}, margin {guard.margin:g}: {held}"


def moved(decision: Decided) -> str:
    return f"{code(decision.knob)} {code(shown(decision.before))} -> {code(shown(decision.after))}"


def next_command(figures: Figures) -> str:
    if figures.state == "running":
        return f"nightlane status {figures.session}"
    return run_command(figures.study_path) if figures.state == "finished" else f"nightlane resume {figures.session}"
