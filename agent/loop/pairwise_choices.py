"""Decisions on choices: the candidate's answers against the incumbent's, of the same prompt, seed and sample.

What was chosen is kept beside the session, so that it is asked for once and a decision can be made again from it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agent.loop.judge_monitor import JudgeMonitor
from agent.loop.round import Pair
from agent.study.load import Study
from common.errors import MissingRequirement
from common.files import write_durably
from probes.result.comparison import Choice
from probes.result.reading import Failure, Probe
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
        """Have each pair of answers compared, unless that was done. Equal answers are a tie that costs nothing."""
        fresh = {pair: self._duels(pair) for pair in pairs if not self.is_made(pair)}
        asked = [(pair, place) for pair, duels in fresh.items() for place, duel in duels.items() if _differ(duel)]
        found = dict(zip(asked, judge_monitor.choices([fresh[pair][place] for pair, place in asked]), strict=True))
        for pair, duels in fresh.items():
            self._keep(pair, {place: found.get((pair, place), 0.0) for place in duels})

    def _keep(self, pair: Pair, found: Mapping[tuple[str, int], float | Missing]) -> None:
        made, missing = [], []
        for place, value in found.items():
            if isinstance(value, Missing):
                missing.append(value.reason)
            else:
                made.append(Choice(pair.baseline.seed, *place, value))
        told = too_many_missing(missing, len(found), self.study.scorer.most_missing)
        data = {"choices": [asdict(choice) for choice in made], "failure": told}
        write_durably(self._path(pair), json.dumps(data) + "\n")

    def read(self, pairs: Sequence[Pair]) -> list[Choice] | Failure:
        """What was chosen; a failure where too much of it could not be read."""
        choices = []
        for pair in pairs:
            made = self._read(pair)
            if made is None:
                raise MissingRequirement(
                    f"{self._path(pair)} is gone or damaged and a decision rests on it; put it back from a copy, or "
                    "begin another session with nightlane run"
                )
            if isinstance(made, Failure):
                return made
            choices += made
        return choices

    def is_made(self, pair: Pair) -> bool:
        """Whether it was done; a file that is damaged is made again."""
        return self._read(pair) is not None

    def _read(self, pair: Pair) -> list[Choice] | Failure | None:
        try:
            data = json.loads(self._path(pair).read_text(encoding="utf-8"))
            if data["failure"]:
                return Failure(pair.candidate.id, pair.candidate.seed, "scorer", data["failure"])
            return [Choice(**choice) for choice in data["choices"]]
        except DAMAGED:
            return None

    def _duels(self, pair: Pair) -> dict[tuple[str, int], AnswerPair]:
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
                "so that it is measured again, then go on with nightlane resume"
            )
        return rows

    def _path(self, pair: Pair) -> Path:
        return self.folder / f"choices-{pair.candidate.id}-{pair.baseline.id}.json"


def _differ(duel: AnswerPair) -> bool:
    return duel.first != duel.second
