"""The start of a session: repeats of the starting recipe, and the noise floor that is settled from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from agent.ledger.tables import CheckRow
from agent.loop.measurements import Measurements
from agent.loop.search.evidence import Evidence, evidence_of
from agent.loop.seeds import Seeds
from agent.loop.start_or_resume.noise_floor import answers_share, floor_data, noise_message, settle_noise_floor
from agent.policy.confirmation import Standing
from agent.policy.night import FEWEST_REPEATS
from agent.policy.night_power import Answers, in_words, night_power
from agent.study.load import Study
from agent.study.schema import Budget
from common.clock import now
from lanes import Recipe
from probes.result.reading import Outcome, Probe, Reading
from probes.result.variance_components import estimate_components

FLOOR = "floor"
PROBES_PER_REPEAT = 16
"""A session with a budget of probes repeats its start once for so many of them."""


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
        """What counts under the session's probe key. The noise floor may change the key, and with it what counts."""
        if self._evidence is None or self._evidence.row != self.measurements.row:
            self._evidence = evidence_of(self.measurements)
        return self._evidence

    def measure(self) -> list[Outcome]:
        """Measure the repeats and settle the noise floor from them, once per session.

        The noise floor may change the number of answers per prompt, which is part of the probe key: then the repeats
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
        """The noise floor as the ledger has it; see ``floor_data``."""
        return self.measurements.ledger.checks(self.measurements.row.id, FLOOR)[0].data

    def _repeats(self) -> list[Outcome]:
        probes = self._probes()
        self.measurements.measure("baseline", probes)
        return [self.measurements.outcome(probe) for probe in probes]

    def _probes(self) -> list[Probe]:
        """The repeats, with fresh seeds if an earlier session used the study's own."""
        seeds = islice(self.seeds.looking(), repeats(self.measurements.study, self.measurements.budget))
        return [Probe(self.start, self.measurements.key, seed) for seed in seeds]

    def _settle_noise_floor(self, readings: Sequence[Reading]) -> None:
        """Decide on the answers per prompt, and record that with its reason and what the session can show."""
        measurements, study = self.measurements, self.measurements.study
        ledger, policy, scorer = measurements.ledger, study.file.policy, study.scorer
        of_judge = next((row.data["spread"] for row in ledger.examinations(measurements.row.id)), None)
        chooses = scorer.chooses  # then there are no scores, from which noise is estimated
        components = None if chooses else estimate_components(readings, study.target, of_judge, scorer.judgements)
        before = ledger.chosen_samples(measurements.row.question)
        floor = settle_noise_floor(readings, components, policy, before)
        left = measurements.probes_left()
        known = self.evidence.known(self.start, Standing(policy.night_error, {}), 0)
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
        """Record the noise floor; from here on the probe key has its number of answers."""
        measurements = self.measurements
        key = replace(measurements.key, samples=samples)
        check = CheckRow(session=measurements.row.id, kind=FLOOR, subject="", time=now(), data=data)
        measurements.ledger.record_noise_floor(check, key.digest)
        measurements.key, measurements.row = key, replace(measurements.row, key=key.digest)
