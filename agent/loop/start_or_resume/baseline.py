"""The start of a session: repeats of the starting recipe, and the noise floor that is settled from them.

The noise floor is the noise of the repeats, and the number of answers per prompt that the session chooses by it.
Answers are cheap and trainings are not. Let V_t be the variance between trainings, V_a the variance of one answer to
each prompt, T the seconds of a training and A those of an answer to each prompt. A mean over n probes of k answers
costs n (T + k A) seconds and has variance (V_t + V_a / k) / n, so the best k is sqrt(V_a T / (V_t A)) (Cochran 1977,
Sampling Techniques, 10.6).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

from agent.ledger.tables import CheckRow
from agent.loop.measurements import Measurements
from agent.loop.search.evidence import Evidence, evidence_of
from agent.loop.seeds import Seeds
from agent.policy.confirmation import ErrorBudget
from agent.policy.night import FEWEST_REPEATS
from agent.policy.night_power import Answers, NightPower, in_words, night_power, power_data
from agent.policy.settings import PolicySettings
from agent.study.load import Study
from agent.study.schema import Budget
from common.clock import now
from lanes import Recipe
from probes.result.reading import Outcome, Probe, Reading
from probes.result.variance_components import VarianceComponents, estimate_components

WORTH_CHANGING = 0.9
"""Another number of answers is chosen if the same precision then costs less than this share of the seconds."""


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

    ``components``: of the target's noise; ``samples_before``: the answers per prompt that an earlier session under the
    same question chose.
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
        """Seconds of measuring that give a mean with variance 1."""
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


FLOOR = "floor"
PROBES_PER_REPEAT = 16
"""A session with a budget of probes has one repeat of its start per so many probes."""


def repeats(study: Study, budget: Budget) -> int:
    """Probes of the starting recipe: one per seed of the study, fewer in a short session."""
    number = len(study.file.probe.seeds)
    return number if budget.probes is None else min(number, max(FEWEST_REPEATS, budget.probes // PROBES_PER_REPEAT))


@dataclass
class Baseline:
    """The starting recipe of a session under each seed of the study, and what its repeats say about the noise."""

    measurements: Measurements
    seeds: Seeds
    _evidence: Evidence | None = None

    @property
    def evidence(self) -> Evidence:
        """The readings under the session's probe key, which the noise floor may change."""
        if self._evidence is None or self._evidence.row != self.measurements.row:
            self._evidence = evidence_of(self.measurements)
        return self._evidence

    def measure(self) -> list[Outcome]:
        """Measure the repeats and settle the noise floor from them, once per session.

        The noise floor may change the number of answers per prompt, which is part of the probe key. Then the repeats
        are measured again.
        """
        outcomes = self._repeats()
        readings = [outcome for outcome in outcomes if isinstance(outcome, Reading)]
        if len(readings) < len(outcomes) or self.measurements.ledger.checks(self.measurements.row.id, FLOOR):
            return outcomes
        self._settle_noise_floor(readings)
        return self._repeats()

    @property
    def start(self) -> Recipe:
        return self.measurements.ledger.recipe(self.measurements.row.start)

    @property
    def floor(self) -> Mapping[str, Any]:
        """The noise floor as the ledger stores it (``floor_data``)."""
        return self.measurements.ledger.checks(self.measurements.row.id, FLOOR)[0].data

    def _repeats(self) -> list[Outcome]:
        probes = self._probes()
        self.measurements.measure("baseline", probes)
        return [self.measurements.outcome(probe) for probe in probes]

    def _probes(self) -> list[Probe]:
        """The probes of the repeats, with fresh seeds if an earlier session used the study's own."""
        seeds = islice(self.seeds.looking(), repeats(self.measurements.study, self.measurements.budget))
        return [Probe(self.start, self.measurements.key, seed) for seed in seeds]

    def _settle_noise_floor(self, readings: Sequence[Reading]) -> None:
        """Choose the answers per prompt, and record them with the reason, the noise and the power of the night."""
        measurements, study = self.measurements, self.measurements.study
        ledger, policy, scorer = measurements.ledger, study.file.policy, study.scorer
        of_judge = next((row.data["spread"] for row in ledger.examinations(measurements.row.id)), None)
        chooses = scorer.chooses  # then there are no scores, from which noise is estimated
        components = None if chooses else estimate_components(readings, study.target, of_judge, scorer.judgements)
        before = ledger.chosen_samples(measurements.row.question)
        floor = settle_noise_floor(readings, components, policy, before)
        left = measurements.probes_left()
        known = self.evidence.known(self.start, ErrorBudget(policy.night_error, {}), 0)
        noise, answers = known.noise, None
        if components is not None:
            answers = Answers(components.samples, answers_share(components))
            answers, noise = answers.raised(floor.samples, noise)
        power = night_power(noise, left + len(readings), policy, answers)
        self._record(floor.samples, floor_data(floor, components, power, answers))
        measurements.log(noise_message(components, study.target))
        measurements.log(f"FLOOR {floor.why}")
        for line in in_words(power):
            measurements.log(f"POWER {line}")

    def _record(self, samples: int, data: Mapping[str, Any]) -> None:
        """Record the noise floor, and use its number of answers in the probe key from now on."""
        measurements = self.measurements
        key = replace(measurements.key, samples=samples)
        check = CheckRow(session=measurements.row.id, kind=FLOOR, subject="", time=now(), data=data)
        measurements.ledger.record_noise_floor(check, key.digest)
        measurements.key, measurements.row = key, replace(measurements.row, key=key.digest)
