"""The noise floor: what repeats of the starting recipe say about the study, and what the session does about it.

Answers are cheap and trainings are not. With V_t the variance that a training brings and V_a what one answer to each
prompt does, a mean over n probes of k answers costs n (T + k A) seconds and has variance (V_t + V_a / k) / n, so the
best k is sqrt(V_a T / (V_t A)) (Cochran 1977, Sampling Techniques, 10.6). How many fresh pairs a confirmation may have
follows from the budget: a fifth of it at most. So does how large a survey may be: three tenths.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent.policy.alpha_spending import levels
from agent.policy.decision_rule import FIRST_LOOK
from agent.policy.session_statistics import baseline_spreads
from agent.policy.settings import Policy
from agent.study.schema import Budget
from probes.result.comparison import quantile
from probes.result.reading import Reading
from probes.result.variance_components import VarianceComponents

WORTH = 0.9
"""Another number of answers is chosen when the same precision costs less than this share."""
CONFIRMATION_SHARE = 0.2
FEWEST_PAIRS = 4
SURVEY_SHARE = 0.3
FEWEST_PER_KNOB = 3
"""A survey of fewer recipes for each knob cannot tell knobs apart, and would send the session the wrong way."""


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """``samples``: answers per prompt of the session; ``pairs``: fresh pairs a confirmation may have; ``survey``:
    recipes to measure around the starting one; ``why``: in words, for all three."""

    samples: int
    pairs: int
    survey: int
    why: str


def settle_noise_floor(
    readings: Sequence[Reading],
    found: VarianceComponents | None,
    policy: Policy,
    budget: Budget,
    width: int,
    chosen: int | None,
    knobs: int = 0,
) -> NoiseFloor:
    """From repeats of the starting recipe. ``found``: where the target's noise comes from; ``width``: how many probes
    run side by side; ``chosen``: answers per prompt that an earlier session under the question settled on;
    ``knobs``: that a survey would move, 0 where none may be taken."""
    asked = readings[0].key.samples
    samples, why = (asked, "the study's own number of answers") if chosen is None else (chosen, "as an earlier session")
    if chosen is None and policy.most_samples and found is not None:
        samples, why = _answers(readings, found, policy.most_samples)
    probes = _probes(readings, samples / asked, budget, width)
    pairs, because = _pairs(probes, policy)
    survey, so = _survey(probes, policy, budget, knobs) if knobs else (0, "")
    told = f"{samples} answers per prompt: {why}; at most {pairs} fresh pairs: {because}"
    told += f"; a survey of {survey}: {so}" if survey else ""
    return NoiseFloor(samples, pairs, survey, told)


def _answers(readings: Sequence[Reading], found: VarianceComponents, most: int) -> tuple[int, str]:
    asked = found.samples
    training = sum(reading.timing.train for reading in readings) / len(readings)
    answering = sum(reading.timing.generate + reading.timing.score for reading in readings) / len(readings) / asked
    if asked < 2 or training <= 0 or answering <= 0:
        return asked, "nothing is known of the cost or the noise of one more"
    fixed = found.seed**2 + found.prompt_by_seed**2 / found.prompts
    each = found.answers**2 / found.prompts

    def price(samples: int) -> float:
        """Seconds for a variance of 1."""
        return (training + samples * answering) * (fixed + each / samples)

    best = min(range(1, most + 1), key=price)
    saved = f"{price(best) / price(asked):.0%} of the seconds for the same precision as {asked}"
    if price(best) >= WORTH * price(asked):
        return asked, f"{best} would need {saved}, too little to change it"
    return best, f"{saved} (a training takes {training:.1f} s, an answer to each prompt {answering:.2f} s)"


def _probes(readings: Sequence[Reading], scale: float, budget: Budget, width: int) -> float | None:
    """How many the budget has; None when neither probes nor hours nor dollars for them bound it."""
    seconds = sum(r.timing.train + scale * (r.timing.generate + r.timing.score) for r in readings) / len(readings)
    known = [float(budget.probes)] if budget.probes is not None else []
    hours = [budget.hours] if budget.hours is not None else []
    if budget.dollars is not None and budget.dollars_per_hour:
        hours.append(budget.dollars / budget.dollars_per_hour)
    if hours and seconds > 0:
        known.append(min(hours) * 3600 * width / seconds)
    return min(known, default=None)


def _pairs(probes: float | None, policy: Policy) -> tuple[int, str]:
    if probes is None:
        return policy.confirming_seeds, "as [policy] allows"
    allowed = max(FEWEST_PAIRS, math.floor(probes * CONFIRMATION_SHARE / 2))
    if allowed >= policy.confirming_seeds:
        return policy.confirming_seeds, "as [policy] allows"
    return allowed, f"a fifth of the {probes:.0f} probes that the budget has"


def _survey(probes: float | None, policy: Policy, budget: Budget, knobs: int) -> tuple[int, str]:
    screening = math.inf if budget.decisions is None else 2 * policy.screening_seeds * budget.decisions
    expected = min(math.inf if probes is None else probes, screening)
    survey, so = policy.survey, "as [policy] allows"
    if survey > expected * SURVEY_SHARE:
        survey, so = math.floor(expected * SURVEY_SHARE), f"three tenths of the {expected:.0f} probes that are expected"
    return (survey, so) if survey >= FEWEST_PER_KNOB * knobs else (0, "")


def visible_effect(
    readings: Sequence[Reading], found: VarianceComponents | None, target: str, floor: NoiseFloor, policy: Policy
) -> float:
    """The true effect that a confirmation shows with an even chance, if pairing by seed cancels half of the noise. Two
    or three means lie close together by chance; they vary by no less than what prompts and answers bring."""
    spread = baseline_spreads(readings, [target])[target]
    level = levels(policy.night_error * policy.spend, floor.pairs, FIRST_LOOK)[-1]
    freedom = spread.freedom + floor.pairs
    least = 0.0 if found is None else found.of_prompts_and_answers
    return policy.smallest_effect + quantile(level, freedom) * math.sqrt(max(spread.variance, least) / floor.pairs)


def noise_message(found: VarianceComponents | None, category: str, visible: float) -> str:
    """A line for the log: the noise and what the study can resolve."""
    if found is None:
        return f"NOISE of {category} cannot be told from these readings"
    of_judge = "" if found.judgement is None else f", between judgements {found.judgement:.2f}"
    return (
        f"NOISE {category}: between training seeds {found.seed:.2f}, prompt by seed {found.prompt_by_seed:.2f}, "
        f"between answers {found.answer:.2f}{of_judge}; a true improvement of {visible:.2f} may be shown"
    )


def floor_data(floor: NoiseFloor, found: VarianceComponents | None, visible: float) -> dict[str, Any]:
    """As the ledger keeps it."""
    noise = (
        None
        if found is None
        else {
            "seed": found.seed,
            "prompt_by_seed": found.prompt_by_seed,
            "answer": found.answer,
            "judgement": found.judgement,
            "prompts": found.prompts,
            "seeds": found.seeds,
            "samples": found.samples,
        }
    )
    return {
        "samples": floor.samples,
        "pairs": floor.pairs,
        "survey": floor.survey,
        "why": floor.why,
        "noise": noise,
        "visible": visible,
    }
