"""The parts of an explanation that are about a stack, for a terminal."""

from collections.abc import Sequence
from typing import Any

from agent.policy.settings import PolicySettings
from common.wording import count
from probes.result.variance_pooling import Spread
from view.data.changes import ExpectedGuard
from view.data.figures import shown
from view.explain.criteria import Criterion
from view.explain.layout import TextPart, chance, columns, grid, interval, joined, number, wrapped
from view.explain.stack import Member, StackExplanation
from view.markdown import percent, plain
from view.reasons import reason


def stack_text(stack: StackExplanation) -> str:
    parts: list[TextPart] = [
        ("", _head(stack)),
        ("CHANGES, each with its own effect by all readings", members(stack.members)),
        ("PLAN", plan(stack)),
        *confirmation(stack),
        (thresholds_title(stack.policy), thresholds(stack.policy)),
        ("WHAT DECIDED", decided(stack.criteria, stack.notes)),
    ]
    return joined(parts)


def confirmation(stack: StackExplanation) -> list[TextPart]:
    """What was measured of it, and the error that it spent."""
    of_it = "" if stack.is_aa_test else " OF THE STACK"
    return [
        ("WHAT THE RULE WAS GIVEN", _given(stack)),
        ("LOOKS", _looks(stack)),
        (f"REPLICATES (target {stack.target})", _replicates(stack)),
        (f"EFFECT{of_it}", _effect(stack)),
        (f"GUARDS{of_it}", _guards(stack)),
        ("ERROR BUDGET", _error(stack)),
    ]


def _head(stack: StackExplanation) -> list[str]:
    meaning = meaning_of(stack.reason).replace(" of its stack", "") if stack.reason else "it is not decided on"
    what = f"{stack.status} {stack.reason}" if stack.reason else "OPEN"
    after = f"was replaced by {stack.recipe}, which has the stack's changes" if stack.status == "KEEP" else "still is"
    lines = [f"stack {stack.number} {what}: {meaning}"]
    if stack.is_aa_test:
        lines.append("an A/A test: the candidate was the incumbent itself, trained with other seeds")
    elif len(stack.members) > 1:
        lines.append(f"{len(stack.members)} changes that were confirmed together, and kept or discarded together")
    if stack.reason or not stack.is_aa_test:
        lines.append(f"recipe    {stack.stood} was the incumbent and {after}")
    return [*lines, f"session   {stack.session}"]


def members(found: Sequence[Member]) -> list[str]:
    """Nothing for an A/A test, which changes nothing."""
    rows = [
        (
            one.id.rpartition("-")[2],
            f"{plain(one.knob)} {plain(shown(one.before))} -> {plain(shown(one.after))}",
            interval(one.own.effect) if one.own else "",
            chance(one.own.chance) if one.own else "",
            str(one.own.recipes) if one.own else "",
        )
        for one in found
        if one.knob != "baseline"
    ]
    return grid(("id", "change", "own effect", "chance to help", "recipes with it"), rows, left=2)


def plan(stack: StackExplanation) -> list[str]:
    """The session's plan: why it was confirmed then."""
    if stack.plan is None:
        return []
    mean, deviation = stack.given.expected
    rows = [
        ("expected", f"{mean:+.2f}, give or take {deviation:.2f} (one standard deviation), by the readings before it"),
        ("chance", f"{chance(stack.plan.power)} to be kept, as planned with {count(stack.plan.pairs, 'pair')}"),
        ("allowed", f"at most {count(stack.given.pairs, 'pair')}, each of two fresh trainings"),
    ]
    if stack.plan.look:
        planned = count(stack.plan.look, "probe")
        rows[1] = ("plan", f"{planned} more of screening would have been better, but there was no room for a wave")
    return columns(rows)


def _given(stack: StackExplanation) -> list[str]:
    given, small = stack.given, stack.policy.get("smallest_effect", 0)
    looks = f"after each from number {given.first} on" if given.first < given.pairs else "once, after the last"
    rows = [
        ("target", f"expected {given.expected[0]:+.2f}, standard deviation {given.expected[1]:.2f}; needs {small:g}"),
        ("noise", f"a pair's difference scatters by {_scatter(given.spreads[stack.target])}"),
        ("error", f"{given.error:.4g} of the {given.error_left:.4g} that was left"),
        ("pairs", f"at most {given.pairs}, looked at {looks}"),
    ]
    if stack.noisier > 1.005:
        rows.insert(2, ("", f"its readings were assumed to have {stack.noisier:.2f} times the incumbent's variance"))
    if others := [given.spreads[name] for name in given.guards if name != stack.target]:
        rows.insert(2, ("", f"and that of a guard by {_scatter(max(others, key=lambda one: one.variance))}"))
    lines = columns(rows)
    guards = expected_guards(stack.expected_guards)
    for name, (change, error) in given.cumulative.items():
        lines += wrapped(f"all KEEPs before changed guard {name} by {change:+.2f}, standard error {error:.2f}")
    return lines + guards


def _scatter(noise: Spread) -> str:
    return f"{noise.variance**0.5:.2f} (standard deviation, worth {noise.freedom:g} degrees of freedom)"


def expected_guards(guards: Sequence[ExpectedGuard]) -> list[str]:
    rows = [
        (
            guard.category,
            f"{guard.expected:+.2f}",
            f"{guard.deviation:.2f}",
            f"{-guard.margin:+g}",
            "yes" if guard.holds else "no",
        )
        for guard in guards
    ]
    return grid(("guard", "expected change", "std. deviation", "lowest allowed", "holds"), rows)


def _looks(stack: StackExplanation) -> list[str]:
    rows = [
        (
            str(look.pairs),
            f"{look.delta:+.2f}",
            f"{look.standard_error:.2f}",
            f"{look.bound:+.2f}",
            percent(look.level),
            chance(look.chance),
        )
        for look in stack.looks
    ]
    lines = grid(("pairs", "effect", "std. error", "lower bound", "at level", "chance to pass in the end"), rows, 0)
    small = stack.policy.get("smallest_effect", 0)
    if not lines:
        return []
    return lines + wrapped(
        f"Each look takes all pairs so far. The stack passes at the first look whose lower bound is above {small:g} "
        "while every guard holds. The level is the chance that the bound is too high."
    )


def _replicates(stack: StackExplanation) -> list[str]:
    rows = []
    for pair in stack.replicates:
        seed = str(pair.seed) if pair.seed == pair.candidate_seed else f"{pair.candidate_seed} against {pair.seed}"
        figures = (pair.candidate, pair.baseline)
        difference = "" if pair.difference is None else f"{pair.difference:+.2f}"
        rows.append((seed, *("gone" if value is None else f"{value:.2f}" for value in figures), difference))
    side = "candidate" if stack.is_aa_test else "stack"
    return grid(("seed", side, "incumbent", "difference"), rows)


def _effect(stack: StackExplanation) -> list[str]:
    if stack.effect is None:
        return []
    confidence = percent(float(stack.policy.get("confidence", 0.95)))
    return [f"{interval(stack.effect)} on {stack.target} ({confidence} interval), over {count(stack.pairs, 'pair')}"]


def _guards(stack: StackExplanation) -> list[str]:
    summed = bool(stack.given.cumulative)
    rows = [
        (
            guard.category,
            f"{guard.change.delta:+.2f}",
            f"{guard.bound:+.2f}",
            *([f"{guard.cumulative:+.2f}"] if summed and guard.cumulative is not None else [""] if summed else []),
            f"{-guard.margin:+g}",
            "yes" if guard.holds else "no",
        )
        for guard in stack.guards
    ]
    sums = ["of all KEEPs and this"] if summed else []
    lines = grid(("guard", "change", "lower bound", *sums, "lowest allowed", "holds"), rows)
    if lines and stack.expected_guards:
        lines += wrapped(
            "The change is by these pairs alone; the bound also uses the expected change, unless the two disagree."
        )
    return lines


def _error(stack: StackExplanation) -> list[str]:
    spent = stack.spending
    if spent is None:
        return []
    night, later = stack.policy.get("night_error", 0.0), stack.policy.get("later_error", 0.0)
    after = f"{spent.after:.4g}"
    if stack.is_aa_test:
        after += ", since an A/A test spends nothing of it"
    elif stack.status == "KEEP":
        after += ", since a KEEP starts a new budget"
    return columns(
        [
            ("budget", f"{night:g} until the first KEEP, {later:g} after each: the chance of a false KEEP"),
            ("left before", f"{spent.before:.4g}"),
            ("level", f"{spent.level:.4g} over all looks of this stack"),
            ("left after", after),
        ],
        14,
    )


def thresholds_title(policy: Any) -> str:
    return f"THRESHOLDS (policy {policy.get('digest', 'without a digest')})"


def thresholds(policy: Any) -> list[str]:
    kept = {name: policy[name] for name in PolicySettings.model_fields if name in policy}
    return wrapped(", ".join(f"{name} {number(value)}" for name, value in kept.items()))


def decided(criteria: Sequence[Criterion], notes: Sequence[str]) -> list[str]:
    rows = [
        (item.figure, _figure(item, item.value), _figure(item, item.threshold), "yes" if item.met else "no")
        for item in criteria
    ]
    lines = grid(("figure", "value", "needs more than", "met"), rows)
    return [*lines, *(line for note in notes for line in wrapped(plain(note)))]


def meaning_of(code: str, older: bool = False) -> str:
    return reason(code, older).replace("`", "")


def _figure(criterion: Criterion, value: float) -> str:
    return chance(value) if criterion.unit == "chance" else f"{value:+.2f}"
