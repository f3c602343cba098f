"""Pairwise choices: a judge prefers the candidate's or the incumbent's answer to the same prompt, seed and sample.

Choices are stored in the session's folder, so that the judge is asked once and a decision can be derived again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from agent.loop.judging.judge_monitor import JudgeMonitor
from agent.study.load import Study
from agent.workspace.choices_file import choices_path, comparison_name, read_choices, write_choices
from common.errors import MissingRequirement
from probes.result.comparison import OVERALL, Choice
from probes.result.reading import Failure, Pair, Probe
from probes.run.store import DAMAGED, ProbeStore
from probes.scoring import AnswerPair, Missing
from probes.scoring.protocol import too_many_missing


@dataclass(frozen=True)
class Choices:
    """The choices of one session, in its folder."""

    folder: Path
    store: ProbeStore
    study: Study

    def make(self, pairs: Sequence[Pair], judge_monitor: JudgeMonitor) -> None:
        """Have the judge compare the answers of each pair, unless it did before. Equal answers are a tie, for
        which the judge is not asked."""
        fresh = {pair: self._answer_pairs(pair) for pair in pairs if not self.is_made(pair)}
        unequal = [
            (pair, place)
            for pair, answer_pairs in fresh.items()
            for place, answers in answer_pairs.items()
            if answers.first != answers.second
        ]
        chosen = judge_monitor.choices([fresh[pair][place] for pair, place in unequal])
        values = dict(zip(unequal, chosen, strict=True))
        for pair, answer_pairs in fresh.items():
            self._store(pair, {place: values.get((pair, place), 0.0) for place in answer_pairs})

    def _store(self, pair: Pair, values: Mapping[tuple[str, int], float | Missing]) -> None:
        """``values``: by prompt and sample."""
        choices, missing = [], []
        for place, value in values.items():
            if isinstance(value, Missing):
                missing.append(value.reason)
            else:
                choices.append(Choice(pair.baseline.seed, *place, value))
        failure = too_many_missing(missing, len(values), self.study.scorer.most_missing)
        write_choices(self.path(pair), choices, failure)

    def read(self, pairs: Sequence[Pair]) -> list[Choice] | Failure:
        """The choices of these pairs; a Failure if too many choices of one pair are missing."""
        choices = []
        for pair in pairs:
            read = self._read(pair)
            if read is None:
                raise MissingRequirement(
                    f"a decision rests on {self.path(pair)}, which is gone or damaged; put it back from a copy, or let "
                    "nightlane resume ask the judge again"
                )
            if isinstance(read, Failure):
                return read
            choices += read
        return choices

    def lead(self, pair: Pair) -> dict[str, float] | None:
        """The candidate's lead, 10 x (share won - share lost), by category and overall, with equal weight for every
        prompt; None if the answers of the pair were not compared."""
        choices = self._read(pair)
        if not isinstance(choices, list):
            return None
        by_prompt: dict[str, list[float]] = {}
        for choice in choices:
            by_prompt.setdefault(choice.prompt, []).append(choice.value)
        by_category: dict[str, list[float]] = {}
        for prompt in self.study.material.prompts_of(pair.candidate.key.split):
            if prompt.id in by_prompt:
                for category in (prompt.category, OVERALL):
                    by_category.setdefault(category, []).append(fmean(by_prompt[prompt.id]))
        return {category: 10 * fmean(values) for category, values in by_category.items()}

    def is_made(self, pair: Pair) -> bool:
        """Whether the answers of a pair were compared; a damaged file does not count."""
        return self._read(pair) is not None

    def _read(self, pair: Pair) -> list[Choice] | Failure | None:
        try:
            choices, failure = read_choices(self.path(pair))
        except DAMAGED:
            return None
        return Failure(pair.candidate.id, pair.candidate.seed, "scorer", failure) if failure else choices

    def _answer_pairs(self, pair: Pair) -> dict[tuple[str, int], AnswerPair]:
        """The answers of both probes, by prompt and sample."""
        texts = [
            {(row["prompt"], row["sample"]): row.get("scored_text", row["text"]) for row in self._answers(probe)}
            for probe in (pair.candidate, pair.baseline)
        ]
        prompts = {prompt.id: prompt for prompt in self.study.material.prompts_of(pair.candidate.key.split)}
        return {
            (prompt, sample): AnswerPair(prompts[prompt], text, texts[1][prompt, sample])
            for (prompt, sample), text in texts[0].items()
        }

    def _answers(self, probe: Probe) -> list[dict[str, Any]]:
        rows = self.store.answers(probe.id)
        if len(rows) != len(self.study.material.prompts_of(probe.key.split)) * probe.key.samples:
            where = self.store.directory(probe.id)
            raise MissingRequirement(
                f"{where / 'answers.jsonl'} must hold all answers of its probe to compare them; remove {where}, "
                "so that it is measured again"
            )
        return rows

    def path(self, pair: Pair) -> Path:
        return choices_path(self.folder, comparison_name(pair.candidate.id, pair.baseline.id))
