"""The noise floor: how noisy repeats of the starting recipe are, and what the session chooses by it. Pure functions.

Answers are cheap and trainings are not. Let V_t be the variance between trainings and V_a the variance of one answer to
each prompt. A mean over n probes of k answers costs n (T + k A) seconds and has variance (V_t + V_a / k) / n, so the
best k is sqrt(V_a T / (V_t A)) (Cochran 1977, Sampling Techniques, 10.6).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agent.policy.night_power import Answers, NightPower, power_data
from agent.policy.settings import PolicySettings
from probes.result.reading import Reading
from probes.result.variance_components import VarianceComponents

WORTH_CHANGING = 0.9
"""Another number of answers is chosen when the same precision costs less than this share."""


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """``samples``: answers per prompt of the session; ``why``: the reason, in words."""

    samples: int
    why: str


def settle_noise_floor(
    readings: Sequence[Reading],
    components: VarianceComponents | None,
    policy: PolicySettings,
    samples_before: int | None,
) -> NoiseFloor:
    """The noise floor from repeats of the starting recipe.

    ``components``: of the target's noise; ``samples_before``: answers per prompt that an earlier session under the
    question chose.
    """
    samples, why = readings[0].key.samples, "the study's own number of answers"
    if samples_before is not None:
        samples, why = samples_before, "as an earlier session"
    elif policy.most_samples and components is not None:
        samples, why = _best_samples(readings, components, policy.most_samples)
    return NoiseFloor(samples, f"{samples} answers per prompt: {why}")


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


def answers_share(components: VarianceComponents) -> float:
    """The share of a reading's variance that comes from its answers, and not from its training."""
    answers = components.answers**2 / (components.prompts * components.samples)
    whole = components.seed**2 + components.prompt_by_seed**2 / components.prompts + answers
    return answers / whole if whole else 0.0


def noise_message(components: VarianceComponents | None, category: str) -> str:
    """A line for the log."""
    if components is None:
        return f"NOISE of {category} cannot be estimated from these readings"
    of_judge = "" if components.judgement is None else f", between judgements {components.judgement:.2f}"
    return (
        f"NOISE {category}: between training seeds {components.seed:.2f}, prompt by seed "
        f"{components.prompt_by_seed:.2f}, between answers {components.answer:.2f}{of_judge}"
    )


def floor_data(
    floor: NoiseFloor, components: VarianceComponents | None, power: NightPower, answers: Answers | None
) -> dict[str, Any]:
    """The noise floor as the ledger stores it."""
    names = ("seed", "prompt_by_seed", "answer", "judgement", "prompts", "seeds", "samples")
    noise = None if components is None else {name: getattr(components, name) for name in names}
    return {**asdict(floor), "noise": noise, "answers": answers and asdict(answers), **power_data(power)}
