"""The rule: its boundary, what it learns, what it foresees, and the course of a candidate through it."""

from dataclasses import asdict, replace

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.policy.alpha_spending import levels
from agent.policy.decision_rule import Terms, Verdict, confirm, crash, error_of, screen
from agent.policy.effect_model import Move
from agent.policy.predictive_power import finishing, passing
from agent.policy.retraction import Kept, held_out, left_out, still_shown
from agent.policy.session_statistics import Account, Knowledge, account_from, known
from agent.policy.settings import Policy
from probes.result.comparison import Comparison, Difference, quantile
from probes.result.reading import Failure
from probes.result.variance_pooling import Spread

POLICY = Policy()
GUARDS = {"lists": 0.5, "strings": 1.0}
TERMS = Terms(POLICY, "imports", GUARDS, 8)


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


FRESH = Knowledge({}, 0.25, 0.05)


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


def test_a_confirmation_errs_no_more_than_it_spends_although_its_noise_is_estimated() -> None:
    """Whole courses without any effect: pairs drawn one by one, the variance pooled with what 12 others have shown."""
    generator, kept, nights = numpy.random.default_rng(4), 0, 6000
    for _ in range(nights):
        pool = float(generator.chisquare(12) / 12)
        draws = generator.normal(0, 1, 8)
        for pairs in range(2, 9):
            own = Spread(pool, 12).with_own(float(draws[:pairs].var(ddof=1)), pairs - 1)
            error, delta = (own.variance / pairs) ** 0.5, float(draws[:pairs].mean())
            found = difference("imports", delta, error, own.freedom)
            if found.bound(levels(0.0125, 8, 2)[pairs - 2]) > 0:
                kept += 1
                break
    assert kept / nights < 0.0125 + 3 * (0.0125 / nights) ** 0.5


def test_a_clear_improvement_with_quiet_guards_is_kept() -> None:
    look, step = confirm(comparison(imports=0.6), comparison(imports=0.5), TERMS, FRESH, 0.0125)
    assert step == Verdict("KEEP", "improved")
    assert look.bound > 0
    assert all(look.guards[name] > -margin for name, margin in GUARDS.items())
    assert look.level == levels(0.0125, 8, 2)[2]


@given(st.floats(-1, 1), st.floats(-2, 1), st.floats(-2, 1), st.integers(2, 8), st.floats(0, 0.5))
@settings(deadline=None)
def test_a_keep_always_has_all_its_bounds(a: float, b: float, c: float, pairs: int, smallest: float) -> None:
    terms = replace(TERMS, policy=Policy(smallest_effect=smallest))
    past = Knowledge({}, 0.25, 0.05, {"lists": (-0.2, 0.01)})
    look, step = confirm(comparison(pairs, imports=a, lists=b, strings=c), comparison(imports=a), terms, past, 0.0125)
    held = all(look.guards[n] > -m and look.cumulative[n] > -m for n, m in GUARDS.items())
    assert (step == Verdict("KEEP", "improved")) == (look.bound > smallest and held)
    if pairs == 8:
        assert isinstance(step, Verdict)


def test_a_guard_that_falls_stops_a_keep_by_itself_or_with_those_before_it() -> None:
    last = comparison(8, imports=0.9, lists=-0.45)
    assert confirm(last, comparison(imports=0.9), TERMS, FRESH, 0.0125)[1] == Verdict("DISCARD", "guard:lists")
    mild = comparison(8, imports=0.9, lists=-0.1)
    assert confirm(mild, comparison(imports=0.9), TERMS, FRESH, 0.0125)[1] == Verdict("KEEP", "improved")
    fallen = replace(FRESH, cumulative={"lists": (-0.3, 0.01)})
    assert confirm(mild, comparison(imports=0.9), TERMS, fallen, 0.0125)[1] == Verdict("DISCARD", "cumulative:lists")


def test_a_confirmation_goes_on_while_it_is_open_and_is_given_up_when_hopeless() -> None:
    assert confirm(comparison(3, imports=0.2), comparison(imports=0.4), TERMS, FRESH, 0.0125)[1] == "more"
    assert confirm(comparison(8, imports=0.1), comparison(imports=0.4), TERMS, FRESH, 0.0125)[1] == Verdict(
        "DISCARD", "unconfirmed"
    )
    gone = confirm(comparison(3, imports=-0.6), comparison(imports=0.4), TERMS, FRESH, 0.0125)[1]
    assert gone == Verdict("DISCARD", "worse")


def test_screening_drops_the_hopeless_asks_more_of_the_open_and_sends_on_the_promising() -> None:
    assert screen(comparison(2, imports=-0.5), TERMS, FRESH)[1] == Verdict("DISCARD", "worse")
    assert screen(comparison(2, 0.2, imports=-0.1), TERMS, FRESH)[1] == Verdict("DISCARD", "unpromising")
    assert screen(comparison(2, imports=0.6), TERMS, FRESH)[1] == "confirm"
    open_one = [screen(comparison(2, 0.3, imports=delta), TERMS, FRESH)[1] for delta in numpy.linspace(0, 0.8, 41)]
    assert "more" in open_one
    assert "more" not in [screen(comparison(4, 0.3, imports=delta), TERMS, FRESH)[1] for delta in (0.3, 0.4, 0.5)]
    assert screen(comparison(2, imports=0.6, lists=-2.0), TERMS, FRESH)[1] == Verdict("DISCARD", "guard:lists")


@given(st.floats(-2, 2), st.floats(0.01, 1), st.floats(0.0, 2))
@settings(deadline=None)
def test_the_chance_is_one_and_rises_with_the_effect(delta: float, error: float, more: float) -> None:
    low, high = (
        passing(difference("a", value, error), 2, 8, 0.0, 0.01, FRESH, None)[1] for value in (delta, delta + more)
    )
    assert 0 <= low <= high + 1e-12 <= 1 + 1e-9


def test_the_chance_to_finish_is_how_often_confirmations_do() -> None:
    """Against simulation: the true effect drawn from what screening and the first pairs say of it."""
    generator = numpy.random.default_rng(1)
    seen, screened = difference("a", 0.3, 0.2, 400.0), difference("a", 0.4, 0.25, 400.0)
    told = finishing(seen, 4, 8, 0.0, 0.01, FRESH.shrunk, screened, 3)
    variance = 0.2**2 * 4
    mean, spread = FRESH.shrunk((0.3 * 4 + 0.4 * 3) / 7, variance / 7)
    truths = generator.normal(mean, spread**0.5, 100_000)
    ends = (0.3 * 4 + truths * 4 + generator.normal(0, (4 * variance) ** 0.5, truths.size)) / 8
    assert told == pytest.approx((ends > quantile(0.01, 404) * (variance / 8) ** 0.5).mean(), abs=0.01)


def account(spent: float = 0.0, kept: bool = False, disguised: bool = False, delta: float = 0.2) -> Account:
    own = dict(comparison(imports=delta, lists=-0.1).differences)
    move = None if disguised else Move("beta", 1.0, 2.0)
    return Account(move, "parent", own, 2, own if spent else {}, 4 if spent else 0, spent, kept, disguised)


def test_the_error_of_the_night_is_never_overdrawn_and_a_keep_makes_it_good() -> None:
    accounts: list[Account] = []
    spent = 0.0
    for _ in range(40):
        now = known(accounts, {}, "imports", POLICY)
        spent += error_of(now, POLICY)
        accounts.append(account(error_of(now, POLICY)))
    assert spent < POLICY.night_error
    kept = known([*accounts, account(1e-6, kept=True)], {}, "imports", POLICY)
    assert kept.error_left == POLICY.later_error


def test_an_aa_test_spends_nothing_but_teaches_noise() -> None:
    quiet = known([account(0.0125, disguised=True)], {}, "imports", POLICY)
    assert quiet.error_left == POLICY.night_error
    assert quiet.spreads["imports"].freedom == 1 + 3
    assert quiet.effect_variance == known([], {}, "imports", POLICY).effect_variance


def test_the_cumulative_change_of_a_guard_is_the_sum_over_keeps() -> None:
    found = known([account(0.01, kept=True), account(0.01), account(0.01, kept=True)], {}, "imports", POLICY)
    assert found.cumulative["lists"] == (pytest.approx(-0.2), pytest.approx(0.02))


def test_the_baselines_repeats_speak_until_comparisons_do() -> None:
    first = {"imports": Spread(3.0, 2)}
    assert known([], first, "imports", POLICY).spreads["imports"] == Spread(3.0, 2)
    assert known([account()] * 2, first, "imports", POLICY).spreads["imports"].variance > 0.08
    assert known([account()] * 4, first, "imports", POLICY).spreads["imports"] == Spread(pytest.approx(0.08), 4)  # type: ignore[arg-type]


def test_estimates_are_shrunk_more_the_less_is_known() -> None:
    sure, unsure = FRESH.shrunk(1.0, 0.01)[0], FRESH.shrunk(1.0, 1.0)[0]
    assert 0 < unsure < sure < 1


def test_an_account_survives_the_ledger() -> None:
    given = account(0.01, kept=True)
    assert account_from(asdict(given)) == given
    older = {name: value for name, value in asdict(given).items() if name not in ("move", "incumbent")}
    assert account_from(older).move is None


KEPT = Kept("x", 1, "beta", 0.1, 0.2, difference("imports", 0.5), 6)


def test_a_keep_is_retracted_when_it_and_its_retest_together_no_longer_show_it() -> None:
    assert left_out(KEPT, comparison(3, imports=0.4), TERMS) is None
    assert left_out(KEPT, comparison(3, imports=-1.2), TERMS) == Verdict("RETRACT", "leave_one_out")
    effect, bound = still_shown(KEPT, comparison(3, imports=0.2), TERMS)
    assert effect == pytest.approx((0.5 * 6 + 0.2 * 3) / 9)
    assert bound < effect


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
        ({"first_seeds": 5}, "raise those"),
        ({"hopeless": 0.9}, "swap them"),
        ({"holdout_seeds": 1}, "2 or more"),
        ({"night_error": 0.6}, "less than 0.5"),
        ({"first_seeds": 0}, "greater than or equal to 1"),
    ],
)
def test_thresholds_that_make_no_sense_are_refused(bad: dict[str, float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Policy.model_validate(bad)
