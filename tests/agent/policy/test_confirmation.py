"""The rule: its boundary, its looks, what it leaves for later confirmations, and what is retracted at the end."""

import json
from dataclasses import asdict, replace

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from long_cases import all_but

from agent.policy.alpha_spending import levels
from agent.policy.confirmation import (
    FIRST_LOOK,
    ConfirmationInputs,
    ErrorSpending,
    RuleTerms,
    Verdict,
    crash,
    error_budget,
    look,
    pairs_needed,
    spending_of,
)
from agent.policy.decision_basis import ConfirmationRecord, DecisionBasis, OwnEffectEstimate, basis_from
from agent.policy.night import TARGET_FREEDOM
from agent.policy.retraction import Kept, held_out, left_out, still_shown
from agent.policy.settings import PolicySettings
from probes.result.comparison import Comparison, Difference, differences, quantile
from probes.result.reading import Failure
from probes.result.variance_pooling import Spread

POLICY = PolicySettings()
GUARDS = {"lists": 0.5, "strings": 1.0}
TERMS = RuleTerms(POLICY, "imports", GUARDS)


def difference(
    category: str, delta: float, error: float = 0.1, freedom: float = 16.0, variance: float = 0.08
) -> Difference:
    half = quantile(0.025, freedom) * error
    return Difference(
        category=category,
        n=10,
        candidate=5 + delta,
        baseline=5.0,
        delta=delta,
        standard_error=error,
        low=delta - half,
        high=delta + half,
        variance=variance,
        freedom=freedom,
    )


def comparison(pairs: int = 4, error: float = 0.1, **deltas: float) -> Comparison:
    found = {name: difference(name, deltas.get(name, 0.0), error) for name in ("imports", "lists", "strings")}
    return Comparison(
        differences=found, seeds=tuple(range(pairs)), confidence=0.95, critical_candidate=0, critical_baseline=0
    )


UNLIKELY = dict.fromkeys(GUARDS, (0.0, 10.0))
"""An expectation of the guards that says nothing."""
GIVEN = ConfirmationInputs(
    pairs=8, error=0.0125, error_left=0.05, expected=(0.5, 0.2), guards=UNLIKELY, cumulative={}, spreads={}
)


def decide(seen: Comparison, given: ConfirmationInputs = GIVEN, terms: RuleTerms = TERMS) -> Verdict | None:
    return look(seen, given, terms)[1]


@pytest.mark.parametrize(("alpha", "looks", "first"), [(0.0125, 8, 2), (0.05, 5, 2), (0.3, 4, 1), (0.001, 8, 2)])
def test_looking_after_every_replicate_errs_as_often_as_is_spent(alpha: float, looks: int, first: int) -> None:
    from scipy.stats import norm

    generator, trials = numpy.random.default_rng(0), 200_000
    sums = generator.normal(size=(trials, looks)).cumsum(axis=1) / numpy.sqrt(numpy.arange(1, looks + 1))
    cuts = norm.isf(levels(alpha, looks, first))
    crossed = (sums[:, first - 1 :] > cuts).any(axis=1).mean()
    assert crossed == pytest.approx(alpha, rel=0.12, abs=4e-4)


def test_levels_grow_look_by_look_and_stay_below_what_is_spent() -> None:
    found = levels(0.02, 8, 2)
    assert len(found) == 7
    assert list(found) == sorted(found)
    assert found[-1] < 0.02


@pytest.mark.parametrize(
    ("pairs", "first", "error", "most"),
    all_but([(3, 3, 0.0475, 0.055)], [(3, 3, 0.0475, 0.055), (5, 5, 0.0475, 0.05), (6, FIRST_LOOK, 0.025, 0.03)]),
)
@pytest.mark.parametrize("noisier", all_but([1.0, 10.0], [1.0, 2.0, 5.0, 10.0]))
def test_a_confirmation_errs_hardly_more_than_it_spends_although_its_noise_is_not_known(
    pairs: int, first: int, error: float, most: float, noisier: float
) -> None:
    """Without any effect, on pairs that are so many times as noisy as what is known of the noise says: half of the
    variance in a category is that of the run."""
    generator, nights, kept = numpy.random.default_rng(4), 1200, 0
    known, at = dict.fromkeys("abcdef", Spread(1.0, TARGET_FREEDOM)), levels(error, pairs, first)
    for _ in range(nights):
        draws = noisier * 0.5**0.5 * (generator.normal(size=(pairs, 1)) + generator.normal(size=(pairs, 6)))
        for number in range(first, pairs + 1):
            found = differences(draws[:number], numpy.zeros((number, 6)), "abcdef", spreads=known)
            if found["a"].bound(at[number - first]) > 0:
                kept += 1
                break
    assert kept / nights < most + 3 * (most / nights) ** 0.5


def test_a_clear_improvement_with_quiet_guards_is_kept() -> None:
    found, verdict = look(comparison(imports=0.6), GIVEN, TERMS)
    assert verdict == Verdict("KEEP", "improved")
    assert found.bound > 0
    assert all(found.guards[name] > -margin for name, margin in GUARDS.items())
    assert found.level == levels(0.0125, 8, FIRST_LOOK)[4 - FIRST_LOOK]


@given(st.floats(-1, 1), st.floats(-2, 1), st.floats(-2, 1), st.integers(2, 8), st.floats(0, 0.5))
@settings(deadline=None)
def test_a_keep_always_has_all_its_bounds(a: float, b: float, c: float, pairs: int, smallest: float) -> None:
    terms = replace(TERMS, policy=PolicySettings(smallest_effect=smallest))
    past = replace(GIVEN, cumulative={"lists": (-0.2, 0.1)})
    found, verdict = look(comparison(pairs, imports=a, lists=b, strings=c), past, terms)
    held = all(found.guards[n] > -m and found.cumulative[n] > -m for n, m in GUARDS.items())
    assert (verdict == Verdict("KEEP", "improved")) == (found.bound > smallest and held)
    if pairs == 8:
        assert verdict is not None


def test_a_guard_that_falls_stops_a_keep_by_itself_or_with_those_before_it() -> None:
    last = comparison(8, imports=0.9, lists=-0.45)
    assert decide(last) == Verdict("DISCARD", "guard:lists")
    mild = comparison(8, imports=0.9, lists=-0.1)
    assert decide(mild) == Verdict("KEEP", "improved")
    fallen = replace(GIVEN, cumulative={"lists": (-0.3, 0.1)})
    assert decide(mild, fallen) == Verdict("DISCARD", "cumulative:lists")


def test_an_expectation_narrows_a_guards_bound_unless_the_pairs_disagree_with_it() -> None:
    seen = comparison(8, imports=0.9, lists=-0.3)
    alone = look(seen, GIVEN, TERMS)[0].guards["lists"]
    agreeing = replace(GIVEN, guards={**UNLIKELY, "lists": (-0.25, 0.05)})
    assert look(seen, agreeing, TERMS)[0].guards["lists"] > alone
    hopeful = replace(GIVEN, guards={**UNLIKELY, "lists": (1.0, 0.05)})
    assert look(seen, hopeful, TERMS)[0].guards["lists"] == pytest.approx(alone, abs=1e-3)


def test_a_confirmation_goes_on_while_it_is_open_and_is_given_up_when_hopeless() -> None:
    assert decide(comparison(3, imports=0.2)) is None
    assert decide(comparison(8, imports=0.1)) == Verdict("DISCARD", "unconfirmed")
    assert decide(comparison(3, imports=-0.6)) == Verdict("DISCARD", "worse")


def test_without_guards_the_target_decides() -> None:
    alone = RuleTerms(POLICY, "imports", {})
    assert decide(comparison(imports=0.6, lists=-5.0), GIVEN, alone) == Verdict("KEEP", "improved")


def test_the_first_pairs_come_alone_and_later_ones_ahead_of_the_looks_but_never_more_than_are_planned() -> None:
    assert [pairs_needed(0, GIVEN, ahead) for ahead in (1, 4)] == [1, 4]
    assert pairs_needed(1, GIVEN, 1) == FIRST_LOOK
    assert pairs_needed(4, GIVEN, 4) == GIVEN.pairs == 8
    assert pairs_needed(2, replace(GIVEN, first=8), 2) == 8, "the looks begin with the last pair"


def confirmed(error: float, kept: bool, lists: float = -0.1) -> ErrorSpending:
    verdict = Verdict("KEEP", "improved") if kept else Verdict("DISCARD", "unconfirmed")
    return spending_of(comparison(imports=0.5, lists=lists), replace(GIVEN, error=error), verdict, TERMS)


def test_the_error_of_the_night_is_never_overdrawn_and_a_keep_makes_it_good() -> None:
    accounts: list[ErrorSpending] = []
    for _ in range(40):
        left = error_budget(accounts, POLICY).error_left
        accounts.append(confirmed(left * POLICY.spend, kept=False))
    assert sum(account.error for account in accounts) < POLICY.night_error
    assert error_budget([*accounts, confirmed(1e-6, kept=True)], POLICY).error_left == POLICY.later_error


def test_the_cumulative_change_of_a_guard_is_the_sum_over_keeps() -> None:
    found = error_budget([confirmed(0.01, True), confirmed(0.01, False, -3.0), confirmed(0.01, True)], POLICY)
    change, error = found.cumulative["lists"]
    assert change == pytest.approx(-0.2, abs=0.01)
    assert error == pytest.approx(0.1 * 2**0.5, rel=0.01)
    assert found.kept == 2


def test_a_course_survives_the_ledger() -> None:
    looks = (look(comparison(imports=0.6), GIVEN, TERMS)[0],)
    given = replace(GIVEN, cumulative={"lists": (-0.2, 0.1)}, spreads={"imports": Spread(0.2, 4)})
    stack = ConfirmationRecord(2, ("a", "b"), "digest", given, looks, ((3, 3), (4, 4)), confirmed(0.01, True))
    basis = DecisionBasis(OwnEffectEstimate(0.3, 0.1, 0.5, 0.99, {"lists": (0.1, 0.2)}, 4), stack)
    assert basis_from(json.loads(json.dumps(asdict(basis)))) == basis
    assert basis_from({"looks": [], "account": {}}) is None, "an older version wrote this"


KEPT = Kept("x", 1, "beta", 0.1, 0.2, (0.5, 0.1))


def test_a_keep_is_retracted_when_it_and_its_retest_together_no_longer_show_it() -> None:
    assert left_out(KEPT, comparison(3, imports=0.4), TERMS) is None
    assert left_out(KEPT, comparison(3, imports=-1.2), TERMS) == Verdict("RETRACT", "leave_one_out")
    sure = replace(KEPT, own=(2.0, 0.02))
    assert left_out(sure, comparison(3, imports=-1.2), TERMS) == Verdict("RETRACT", "leave_one_out"), "they disagree"
    effect, chance = still_shown(KEPT, comparison(3, imports=0.3), TERMS)
    assert effect == pytest.approx(0.4)
    assert 0.99 < chance < 1


def test_the_holdout_retracts_what_it_contradicts_and_nothing_that_it_leaves_open() -> None:
    assert held_out(comparison(3, imports=0.5), TERMS) is None
    assert held_out(comparison(3, 1.0, imports=-0.1), TERMS) is None
    assert held_out(comparison(3, imports=-0.5), TERMS) == Verdict("RETRACT", "holdout")
    assert held_out(comparison(3, imports=0.5, lists=-0.9), TERMS) == Verdict("RETRACT", "holdout_guard:lists")


def test_a_failure_is_a_crash_of_its_kind() -> None:
    assert crash(Failure("p", 1, "diverged", "loss is nan")) == Verdict("CRASH", "crash:diverged")


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ({"member_chance": 0.4}, "greater than 0.5"),
        ({"confirm": "both"}, "'stack' or 'single'"),
        ({"holdout_seeds": 1}, "2 or more"),
        ({"night_error": 0.6}, "less than 0.5"),
        ({"confirming_seeds": 1}, "greater than or equal to 2"),
    ],
)
def test_thresholds_that_make_no_sense_are_refused(bad: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        PolicySettings.model_validate(bad)
