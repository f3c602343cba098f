"""Decisions on choices: the candidate's answers against the incumbent's, of the same prompt, seed and sample.

What was chosen is kept beside the session, so that it is asked for once and a decision can be made again from it.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agent.examining import Examiner
from agent.study import Study
from lanes.errors import MissingRequirement
from probes.comparison import Choice
from probes.reading import Failure, Probe
from probes.scoring import Duel, Missing
from probes.scoring.protocol import too_many_missing
from probes.store import ProbeStore, write_durably


@dataclass(frozen=True)
class Choices:
    """The choices of one session, in its folder."""

    folder: Path
    store: ProbeStore
    study: Study

    def make(self, proposal: str, candidate: Sequence[Probe], baseline: Sequence[Probe], examiner: Examiner) -> None:
        """Have each pair of answers compared, unless that was done. Equal answers are a tie that costs nothing."""
        if self._path(proposal).exists():
            return
        duels = {
            (mine.seed, *place): duel
            for mine, theirs in zip(candidate, baseline, strict=True)
            for place, duel in self._duels(mine, theirs).items()
        }
        different = {place: duel for place, duel in duels.items() if duel.mine != duel.theirs}
        found = dict(zip(different, examiner.choices(list(different.values())), strict=True))
        made, missing = [], []
        for place in duels:
            value = found.get(place, 0.0)
            if isinstance(value, Missing):
                missing.append(value.reason)
            else:
                made.append(Choice(*place, value))
        told = too_many_missing(missing, len(duels), self.study.scorer.most_missing)
        data = {"choices": [asdict(choice) for choice in made], "failure": told}
        write_durably(self._path(proposal), json.dumps(data) + "\n")

    def made(self, proposal: str) -> list[Choice] | Failure:
        """What was chosen; a failure where too much of it could not be read."""
        data = json.loads(self._path(proposal).read_text(encoding="utf-8"))
        if data["failure"]:
            return Failure(proposal, 0, "scorer", data["failure"])
        return [Choice(**choice) for choice in data["choices"]]

    def _duels(self, mine: Probe, theirs: Probe) -> dict[tuple[str, int], Duel]:
        texts = [
            {(row["prompt"], row["sample"]): row["text"] for row in self._answers(probe)} for probe in (mine, theirs)
        ]
        prompts = {prompt.id: prompt for prompt in self.study.material.probe_prompts}
        return {
            (prompt, sample): Duel(prompts[prompt], text, texts[1][prompt, sample])
            for (prompt, sample), text in texts[0].items()
        }

    def _answers(self, probe: Probe) -> list[dict[str, Any]]:
        rows = self.store.answers(probe.id)
        if len(rows) != len(self.study.material.probe_prompts) * self.study.file.probe.samples:
            where = self.store.directory(probe.id)
            raise MissingRequirement(
                f"{where / 'answers.jsonl'} must hold all answers of its probe to compare them; remove {where}, "
                "so that it is measured again, then go on with nightlane resume"
            )
        return rows

    def _path(self, proposal: str) -> Path:
        return self.folder / f"choices-{proposal.rpartition('-')[2]}.json"
