"""An explanation for a terminal: plain text, a block for each part, columns that line up."""

from agent.ledger.results.columns import COLUMNS
from common.wording import count
from view.data.changes import OwnEffect
from view.data.figures import shown
from view.explain.explanation import Explanation
from view.explain.layout import TextPart, chance, columns, interval, joined, wrapped
from view.explain.stack import StackExplanation
from view.explain.stack_text import (
    confirmation,
    decided,
    expected_guards,
    meaning_of,
    members,
    stack_text,
    thresholds,
    thresholds_title,
)
from view.markdown import percent, plain

OLDER = (
    "An older version of nightlane made this decision, by another rule. All that is known of it is its row of "
    "results.tsv:"
)

HEAD = {"id", "session", "status", "reason", "lane", "knob", "before", "after", "proposer", "description", "policy"}
"""Columns that the first lines show already."""


def explain_text(found: Explanation | StackExplanation) -> str:
    return stack_text(found) if isinstance(found, StackExplanation) else _decision_text(found)


def _decision_text(found: Explanation) -> str:
    stack = found.stack
    parts: list[TextPart] = [
        ("", _head(found)),
        ("OWN EFFECT", _own(found)),
        *([(_stack_title(stack), _together(stack)), *confirmation(stack)] if stack else []),
        ("LEFT OUT AT THE END", _left_out(found)),
        ("HOLDOUT", _holdout(found)),
        ("NOISE FLOOR", _floor(found)),
        ("AN OLDER VERSION", _results(found)),
        (thresholds_title(found.policy), thresholds(found.policy)),
        ("WHAT DECIDED", decided(found.criteria, found.notes)),
    ]
    return joined(parts)


def _head(found: Explanation) -> list[str]:
    meaning = meaning_of(found.reason, older=found.results is not None)
    lines = [f"{found.number} {found.status} {found.reason}: {meaning}"]
    if found.knob and not found.is_aa_test:
        lines.append(f"moved     {found.knob} {shown(found.before)} -> {shown(found.after)} ({found.lane})")
    if found.is_aa_test:
        lines.append("an A/A test: the candidate was the incumbent itself, trained with other seeds")
    elif found.proposer:
        lines += columns([("proposed", f"by {plain(found.proposer)}: {plain(found.hypothesis, 400)}")])
    elif found.hypothesis:
        lines += columns([("note", plain(found.hypothesis, 400))])
    if found.predicted is not None and not found.is_aa_test:
        lines.append(f"predicted {found.predicted:+.2f}")
    if found.own is None and found.waves:
        lines.append(f"carried   {_waves(found)}")
    if found.turn:
        lines.append(f"recipe    {found.stood} was the incumbent and {_after(found)}")
    return [*lines, f"session   {found.session}"]


def _after(found: Explanation) -> str:
    if found.stood == found.stands:
        return "still is"
    if found.stack is not None and len(found.stack.members) > 1:
        return f"was replaced by {found.stands}, which has all changes of its stack"
    if found.status == "DISCARD":
        return f"was replaced by {found.stands}, without this change"
    return f"was replaced by {found.stands}"


def _own(found: Explanation) -> list[str]:
    own = found.own
    if own is None:
        return []
    confidence, needed = percent(float(found.policy["confidence"])), found.policy.get("member_chance")
    needs = f"; to join a stack it needs {chance(needed)}" if needed is not None else ""
    rows = [
        ("effect", f"{interval(own.effect)} on {found.target} ({confidence} interval)"),
        ("chance", f"{chance(own.chance)} of being worth more than nothing{needs}"),
        ("carried", _carried(found, own)),
    ]
    lines = columns(rows) + wrapped(
        "The effect of this change alone, by all readings until the decision. Recipes move several knobs at once; "
        "this is the part due to this knob, shrunk towards zero as far as the readings leave it open."
    )
    return lines + expected_guards(own.guards)


def _carried(found: Explanation, own: OwnEffect) -> str:
    waves = f", {_waves(found)}" if found.waves else ""
    return f"by {count(own.recipes, 'measured recipe')}{waves}"


def _waves(found: Explanation) -> str:
    return f"in wave{'s' if len(found.waves) > 1 else ''} {', '.join(map(str, found.waves))}"


def _stack_title(stack: StackExplanation) -> str:
    if stack.is_aa_test:
        return f"CONFIRMATION (stack {stack.number}, an A/A test)"
    return f"STACK {stack.number}, in which it was confirmed (nightlane explain stack {stack.number})"


def _together(stack: StackExplanation) -> list[str]:
    if stack.is_aa_test:
        return ["decided on like the stack before it, at the same level"]
    return members(stack.members)


def _left_out(found: Explanation) -> list[str]:
    again = found.left_out
    if again is None:
        return []
    if again.verdict == "superseded":
        return wrapped("It was not measured again: a later KEEP moved the same knob, or the rest is no legal recipe.")
    if again.change is None:
        return wrapped(f"It was not measured again: {plain(again.failure or 'nothing was compared')}")
    verdict = "It does not hold" if again.verdict == "retracted" else "It holds"
    lines = wrapped(
        f"{verdict}. The recipe that stood at the end against the same recipe without this change: "
        f"{interval(again.change)} on {found.target}, over {count(again.pairs, 'fresh pair')}."
    )
    if again.together is not None and again.chance is not None:
        small = found.policy.get("smallest_effect", 0)
        lines += wrapped(
            f"Together with its own effect: {again.together:+.2f}, with a chance of {chance(again.chance)} of being "
            f"worth more than {small:g}."
        )
    return lines


def _holdout(found: Explanation) -> list[str]:
    held = found.holdout
    if held is None or held.target is None:
        return []
    lines = wrapped(
        f"The recipe at the end against the starting recipe, on the holdout prompts: {interval(held.target)} on "
        f"{found.target}, over {count(held.pairs, 'fresh pair')}."
    )
    for guard in held.guards:
        lines += wrapped(f"guard {guard.category}: {interval(guard.change)}, lowest allowed {-guard.margin:+g}")
    return lines


def _floor(found: Explanation) -> list[str]:
    floor = found.floor
    if floor is None:
        return []
    lines = [*wrapped(floor.why), f"a true improvement of {floor.visible:.2f} points has an even chance to be kept"]
    if floor.chances:
        told = ", ".join(f"{worth:g} points {chance(value)}" for worth, value in floor.chances)
        lines += wrapped(f"with {count(floor.probes or 0, 'probe')}, changes that together are worth: {told}")
    return lines


def _results(found: Explanation) -> list[str]:
    if found.results is None:
        return []
    told = [name for name in COLUMNS if name in found.results and name not in HEAD]
    return wrapped(OLDER) + columns([(name, plain(shown(found.results[name]))) for name in told], 20)
