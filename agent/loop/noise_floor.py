"""The noise floor: how noisy repeats of the starting recipe are, and what the session chooses by it. Pure functions.

Answers are cheap and trainings are not. Let V_t be the variance between trainings and V_a the variance of one answer to
each prompt. A mean over n probes of k answers costs n (T + k A) seconds and has variance (V_t + V_a / k) / n, so the
best k is sqrt(V_a T / (V_t A)) (Cochran 1977, Sampling Techniques, 10.6). The budget limits the fresh pairs of a
confirmation, to a fifth of its probes, and the recipes of a survey, to three tenths.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agent.policy.alpha_spending import levels
from agent.policy.decision_rule import FIRST_LOOK
from agent.policy.session_statistics import baseline_spreads
from agent.policy.settings import Policy
from agent.study.schema import Budget
from probes.result.comparison import quantile
from probes.result.reading import Reading
from probes.result.variance_components import VarianceComponents

WORTH_CHANGING = 0.9
"""Another number of answers is chosen when the same precision costs less than this share."""
CONFIRMATION_SHARE = 0.2
FEWEST_PAIRS = 4
SURVEY_SHARE = 0.3
FEWEST_PER_KNOB = 3
"""A survey with fewer recipes per knob cannot tell the effects of the knobs apart, and would mislead the session."""


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """``samples``: answers per prompt of the session; ``pairs``: the most fresh pairs of a confirmation; ``survey``:
    the most recipes of a survey; ``why``: the reasons for all three, in words."""

    samples: int
    pairs: int
    survey: int
    why: str


def settle_noise_floor(
    readings: Sequence[Reading],
    components: VarianceComponents | None,
    policy: Policy,
    budget: Budget,
    width: int,
    samples_before: int | None,
    knobs: int = 0,
) -> NoiseFloor:
    """The noise floor from repeats of the starting recipe.

    ``components``: of the target's noise; ``width``: how many probes run side by side; ``samples_before``: answers per
    prompt that an earlier session under the question chose; ``knobs``: those that a survey would move, 0 for no survey.
    """
    own = readings[0].key.samples
    samples, why = own, "the study's own number of answers"
    if samples_before is not None:
        samples, why = samples_before, "as an earlier session"
    elif policy.most_samples and components is not None:
        samples, why = _best_samples(readings, components, policy.most_samples)
    probes = _probes_in_budget(readings, samples / own, budget, width)
    pairs, why_pairs = _most_pairs(probes, policy)
    survey, why_survey = _survey_size(probes, policy, budget, knobs) if knobs else (0, "")
    reasons = f"{samples} answers per prompt: {why}; at most {pairs} fresh pairs: {why_pairs}"
    reasons += f"; a survey of {survey}: {why_survey}" if survey else ""
    return NoiseFloor(samples, pairs, survey, reasons)


def _best_samples(readings: Sequence[Reading], components: VarianceComponents, most: int) -> tuple[int, str]:
    own = components.samples
    training = sum(reading.timing.train for reading in readings) / len(readings)
    answering = sum(reading.timing.generate + reading.timing.score for reading in readings) / len(readings) / own
    if own < 2 or training <= 0 or answering <= 0:
        return own, "nothing is known of the cost or the noise of one more"
    by_training = components.seed**2 + components.prompt_by_seed**2 / components.prompts
    by_answer = components.answers**2 / components.prompts

    def price(samples: int) -> float:
        """Seconds for a variance of 1."""
        return (training + samples * answering) * (by_training + by_answer / samples)

    best = min(range(1, most + 1), key=price)
    saved = f"{price(best) / price(own):.0%} of the seconds for the same precision as {own}"
    if price(best) >= WORTH_CHANGING * price(own):
        return own, f"{best} would need {saved}, too little to change it"
    return best, f"{saved} (a training takes {training:.1f} s, an answer to each prompt {answering:.2f} s)"


def _probes_in_budget(readings: Sequence[Reading], scale: float, budget: Budget, width: int) -> float | None:
    """The number of probes that the budget allows; None if neither probes nor hours nor dollars limit it. ``scale``:
    how many times as many answers they have as these readings."""
    seconds = sum(r.timing.train + scale * (r.timing.generate + r.timing.score) for r in readings) / len(readings)
    limits = [float(budget.probes)] if budget.probes is not None else []
    hours = [budget.hours] if budget.hours is not None else []
    if budget.dollars is not None and budget.dollars_per_hour:
        hours.append(budget.dollars / budget.dollars_per_hour)
    if hours and seconds > 0:
        limits.append(min(hours) * 3600 * width / seconds)
    return min(limits, default=None)


def _most_pairs(probes: float | None, policy: Policy) -> tuple[int, str]:
    if probes is None:
        return policy.confirming_seeds, "as [policy] allows"
    allowed = max(FEWEST_PAIRS, math.floor(probes * CONFIRMATION_SHARE / 2))
    if allowed >= policy.confirming_seeds:
        return policy.confirming_seeds, "as [policy] allows"
    return allowed, f"a fifth of the {probes:.0f} probes that the budget has"


def _survey_size(probes: float | None, policy: Policy, budget: Budget, knobs: int) -> tuple[int, str]:
    screening = math.inf if budget.decisions is None else 2 * policy.screening_seeds * budget.decisions
    expected = min(math.inf if probes is None else probes, screening)
    size, why = policy.survey, "as [policy] allows"
    if size > expected * SURVEY_SHARE:
        size, why = math.floor(expected * SURVEY_SHARE), f"three tenths of the {expected:.0f} probes that are expected"
    return (size, why) if size >= FEWEST_PER_KNOB * knobs else (0, "")


def visible_effect(
    readings: Sequence[Reading],
    components: VarianceComponents | None,
    target: str,
    floor: NoiseFloor,
    policy: Policy,
) -> float:
    """The true effect that a confirmation shows with an even chance, if pairing by seed cancels half of the noise.

    The means of two or three repeats may agree by chance, so their variance is taken to be at least that of prompts and
    answers.
    """
    spread = baseline_spreads(readings, [target])[target]
    level = levels(policy.night_error * policy.spend, floor.pairs, FIRST_LOOK)[-1]
    freedom = spread.freedom + floor.pairs
    least = 0.0 if components is None else components.of_prompts_and_answers
    return policy.smallest_effect + quantile(level, freedom) * math.sqrt(max(spread.variance, least) / floor.pairs)


def noise_message(components: VarianceComponents | None, category: str, visible: float) -> str:
    """A line for the log: the noise and what the study can resolve."""
    if components is None:
        return f"NOISE of {category} cannot be estimated from these readings"
    of_judge = "" if components.judgement is None else f", between judgements {components.judgement:.2f}"
    return (
        f"NOISE {category}: between training seeds {components.seed:.2f}, prompt by seed "
        f"{components.prompt_by_seed:.2f}, between answers {components.answer:.2f}{of_judge}; a true improvement of "
        f"{visible:.2f} may be shown"
    )


def floor_data(floor: NoiseFloor, components: VarianceComponents | None, visible: float) -> dict[str, Any]:
    """The noise floor as the ledger stores it."""
    names = ("seed", "prompt_by_seed", "answer", "judgement", "prompts", "seeds", "samples")
    noise = None if components is None else {name: getattr(components, name) for name in names}
    return {**asdict(floor), "noise": noise, "visible": visible}
