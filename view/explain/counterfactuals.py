"""What would have changed a decision: each sentence from figures, by asking the rule again with one of them moved."""

import math
from collections.abc import Callable, Mapping
from functools import partial

from agent.policy.decision_rule import GIVE_UP
from agent.policy.predictive_power import finishing
from probes.result.comparison import Difference, quantile
from view.explain.decision_inputs import Case, hope, level_at, likely, moved, percent

FURTHEST = 20.0
MOST_ERROR = 0.499
MOST_PAIRS = 64


def least(passes: Callable[[float], bool], low: float, high: float) -> float | None:
    """The smallest value between the two that passes, where every larger one does; None when ``high`` does not."""
    if not passes(high):
        return None
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if passes(middle) else (middle, high)
    return high


# screening


def screening(case: Case) -> list[str]:
    """Of a candidate that screening ended: the effect, the guard, the night's error or the threshold."""
    policy, target, now = case.terms.policy, case.terms.target, case.account.screening[case.terms.target].delta
    most = policy.screening_seeds
    on = "confirmed" if case.pairs >= most else "given another pair"
    found = []
    needed = least(lambda delta: hope(case, target, delta) >= policy.hopeless, now, now + FURTHEST)
    if needed is not None:
        found.append(
            f"It would have been {on} with an effect of {needed:+.2f} instead of {now:+.2f} at the same noise: its "
            f"chance to be kept would be {percent(policy.hopeless)}"
        )
        sure = least(lambda delta: hope(case, target, delta) >= policy.promising, now, now + FURTHEST)
        if sure is not None and case.pairs < most:
            found[-1] += f"; and confirmed at once with {sure:+.2f} ({percent(policy.promising)})"
    else:
        found.append("No effect on the target alone would have helped: a guard stood in the way")
    found = [*_guard_in_screening(case), *found]
    error = least(lambda night: hope(case, error=_share(case, night)) >= policy.hopeless, case.error, MOST_ERROR)
    found.append(_error_sentence(case, error, f"it would have been {on}"))
    if case.chance < 0.001:
        return found
    found.append(
        f"Under a `hopeless` of {_down(case.chance)} instead of {policy.hopeless:g} it would have been {on}; no "
        "running session can change that"
    )
    return found


def _guard_in_screening(case: Case) -> list[str]:
    word, _, name = case.decision.reason.partition(":")
    if word != "guard":
        return []
    now, policy = case.account.screening[name].delta, case.terms.policy
    needed = least(lambda delta: hope(case, name, delta) >= policy.hopeless, now, now + FURTHEST)
    wider = least(lambda m: hope(case, name, margin=m) >= policy.hopeless, case.terms.guards[name], 10.0)
    parts = []
    if needed is not None:
        parts.append(f"with `{name}` changed by {needed:+.2f} instead of {now:+.2f}")
    if wider is not None:
        parts.append(f"under a margin of {wider:.2f} instead of {case.terms.guards[name]:g}")
    return [f"It would have gone on {' or '.join(parts)}"] if parts else []


# confirmation


def confirmation(case: Case) -> list[str]:
    """Of a candidate that was confirmed to its end, kept or not."""
    target = case.account.confirmation[case.terms.target]
    needed = case.terms.policy.smallest_effect + (target.delta - _bound(case, target, case.account.error))
    if needed < target.delta:
        return _kept(case, target, needed)
    guards = _guards(case)
    first = case.decision.reason.startswith(("guard", "cumulative"))
    error = least(lambda night: _shown(case, target, night), case.error, MOST_ERROR)
    short = [
        f"It would have been confirmed at this look with an effect of {needed:+.2f} instead of {target.delta:+.2f} at "
        "the same noise" + (", guards aside" if first else ""),
        *_longer(case, target),
        _error_sentence(case, error, "the same effect would have been confirmed at this look"),
    ]
    return [*guards, *_given_up(case), *short] if first else [*short, *_given_up(case), *guards]


def _kept(case: Case, target: Difference, needed: float) -> list[str]:
    night = case.error
    error = least(lambda value: _shown(case, target, value), 1e-7, night)
    found = [
        f"The target had {target.delta - needed:.2f} points to spare: an effect of {needed:+.2f} or less instead of "
        f"{target.delta:+.2f} would not have been shown at this look, at the same noise"
    ]
    if error is not None and case.decision.status == "KEEP":
        small = f"{error:.2g}" if error > 1e-6 else "a millionth"
        found.append(f"With {_budget(case)} below {small} instead of {night:g} it would have needed more pairs")
    return [*found, *_guards(case)]


def _bound(case: Case, difference: Difference, error: float) -> float:
    return difference.bound(level_at(case, error, case.pairs))


def _shown(case: Case, target: Difference, night: float) -> bool:
    return _bound(case, target, _share(case, night)) > case.terms.policy.smallest_effect


def _share(case: Case, night: float) -> float:
    """What this confirmation would have spent of another budget: each spends a share of what is left."""
    policy = case.terms.policy
    return case.known.error_left / case.error * night * policy.spend


def _longer(case: Case, target: Difference) -> list[str]:
    """How many pairs would have shown the same effect, at the same noise and error."""
    small, pairs, allowed = case.terms.policy.smallest_effect, case.pairs, case.terms.pairs
    for number in range(pairs + 1, MOST_PAIRS + 1):
        error = target.standard_error * math.sqrt(pairs / number)
        level = level_at(case, case.account.error, number, max(number, allowed))
        if target.delta - quantile(level, target.freedom + number - pairs) * error > small:
            told = f"About {number} pairs instead of {pairs} would have shown an effect of {target.delta:+.2f}"
            return [told if number <= allowed else f"{told}; {allowed} were allowed"]
    return []


def _given_up(case: Case) -> list[str]:
    """A confirmation that was ended before its last pair: for which category, and what would have kept it going."""
    least_chance = case.terms.policy.hopeless * GIVE_UP
    if case.pairs >= case.terms.pairs or case.chance >= least_chance:
        return []
    name = min(case.account.confirmation.keys() & {case.terms.target, *case.terms.guards}, key=partial(finish, case))
    now = case.account.confirmation[name].delta
    told = (
        f"It was given up after {case.pairs} of {case.terms.pairs} pairs, since the chance that `{name}` would pass "
        "had "
        f"fallen to {likely(case.chance)}, below {likely(least_chance)}"
    )
    needed = least(lambda delta: finish(case, name, delta) >= least_chance, now, now + FURTHEST)
    return [told if needed is None else f"{told}; with {needed:+.2f} instead of {now:+.2f} it would have gone on"]


def finish(case: Case, name: str, delta: float | None = None) -> float:
    """The chance that one category passes at the last look, as the rule foresaw it, or with another change so far."""
    account, terms, found = case.account, case.terms, case.account.confirmation[name]
    error, bar = terms.policy.guard_error, -terms.guards.get(name, 0.0)
    if name == terms.target:
        error, bar = account.error, terms.policy.smallest_effect
    return finishing(
        found if delta is None else moved(found, delta), case.pairs, terms.pairs, bar,
        level_at(case, error, terms.pairs), 
        case.known.updated if name == terms.target else case.known.shrunk, account.screening.get(name), account.seeds,
    )  # fmt: skip


def _guards(case: Case) -> list[str]:
    """Each guard whose bound, of this change or of the sum, is past its margin; else the one with least to spare."""
    rooms = sorted(
        (bound + margin, name, margin, what, bound)
        for name, margin in case.terms.guards.items()
        for what, bound in _sides(case, name)
    )
    failing = [
        f"Guard `{name}` lacked {-room:.2f} points in {what} ({bound:+.2f}); a margin above {-bound:.2f} instead of "
        f"{margin:g} would have done"
        for room, name, margin, what, bound in rooms
        if room <= 0
    ]
    if failing or not rooms:
        return failing
    room, name, margin, what, bound = rooms[0]
    return [f"Guard `{name}` had {room:.2f} points to spare in {what} ({bound:+.2f}, margin {margin:g})"]


def _sides(case: Case, name: str) -> list[tuple[str, float]]:
    guards, sums = case.look["guards"], case.look["cumulative"]
    if not isinstance(guards, Mapping) or not isinstance(sums, Mapping):
        return []
    own = ("the bound of this change", float(guards[name]))
    return [own, ("the bound of the sum since the session's first baseline", float(sums[name]))]


# words


def _error_sentence(case: Case, error: float | None, then: str) -> str:
    if error is None:
        return (
            f"No {_budget(case).partition(' ')[2]} below one half, instead of {case.error:g}, would have changed this"
        )
    return f"With {_budget(case)} of {math.ceil(error * 1000) / 1000:g} instead of {case.error:g} {then}"


def _budget(case: Case) -> str:
    return "an error after a KEEP (`later_error`)" if case.later else "an error of the night"


def _down(value: float) -> str:
    """A threshold that a chance just reaches: rounded down to two figures."""
    digits = 1 - math.floor(math.log10(value)) if value > 0 else 2
    return f"{math.floor(value * 10**digits) / 10**digits:g}"
