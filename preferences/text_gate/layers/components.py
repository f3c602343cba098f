"""Layer 1: the scorer's figures. Each component is at least ``least_component`` and the score at least ``least_score``.

A row does not record which scorer its figures are from, so the figures themselves have to show their scale. A judge,
rules and a function of the user's own give components from 0 to 10. Three other figures are left out: a program's
"pass", which is a share, a judge's own overall score, and the spread of its passes. A score is a mean of its
components, or capped below it, so if the score is above 1 and no figure is, the figures are shares: left out, too.
A score on another scale than 0 to 10 (0.9 of 1, 4 of 5) looks like a low one and is refused as such.
"""

from preferences.certify.receipt import Receipt
from preferences.text_gate.answer_under_test import AnswerUnderTest
from preferences.text_gate.settings import TextGateSettings

_NO_COMPONENTS = ("pass", "judge_overall", "pass_spread")


def check(answer: AnswerUnderTest) -> Receipt:
    """An answer with neither a score nor a component is refused, too."""
    score, marks = answer.score, _marks(answer)
    figures = {"components": float(len(marks))}
    figures |= {"least": min(marks.values())} if marks else {}
    figures |= {"score": score} if score is not None else {}
    limits = answer.limits
    figures |= {"least_component": limits.least_component, "least_score": limits.least_score}
    failing = _failing(score, marks, limits)
    return Receipt("components", not failing, figures, failing)


def _marks(answer: AnswerUnderTest) -> dict[str, float]:
    marks = {name: float(mark) for name, mark in sorted(answer.side.figures.items()) if name not in _NO_COMPONENTS}
    shares = answer.score is not None and answer.score > 1 and all(0 <= mark <= 1 for mark in marks.values())
    return {} if shares else marks


def _failing(score: float | None, marks: dict[str, float], limits: TextGateSettings) -> str:
    if score is None and not marks:
        return "it was not judged: it has neither a score nor components"
    named = {"the score": score, **marks} if score is not None else marks
    off = [f"{name} is {mark:g}" for name, mark in named.items() if not 0 <= mark <= 10]
    least = limits.least_component
    low = [f"{name} {mark:.3g} of 10, at least {least:g}" for name, mark in marks.items() if mark < least]
    if score is not None and score < limits.least_score:
        low.insert(0, f"score {score:.3g} of 10, at least {limits.least_score:g}")
    return f"{', '.join(off)}, and marks are from 0 to 10" if off else "; ".join(low)
