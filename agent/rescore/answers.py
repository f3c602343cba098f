"""Scores the kept answers of probes with another scorer, or compares them with one that chooses between two answers.
Scores and choices are stored, and not made twice."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agent.workspace.choices_file import choices_path, comparison_name, read_choices, write_choices
from common.digests import require_own_digest, with_own_digest
from common.files import write_durably
from probes.inputs.prompts import Prompt
from probes.inputs.settings import ScorerSettings
from probes.result.comparison import Choice
from probes.result.reading import Reading, outcome_from_json, outcome_to_json
from probes.run.answers import require_enough, split_scored
from probes.run.store import DAMAGED, ProbeStore
from probes.scoring import Answer, AnswerPair, Context, Missing, Scorer, ScorerBroken
from probes.scoring.protocol import ScorerExaminer, too_many_missing
from probes.scoring.thoughts import without_thoughts


@dataclass
class Rescorer:
    """Scores readings again. ``digest``: of the new scorer, a part of the new readings' key. ``folder``: of the new
    readings, one file each."""

    scorer: Scorer
    settings: ScorerSettings
    digest: str
    prompts: Mapping[str, Prompt]
    store: ProbeStore
    folder: Path
    context: Context

    def rescored(self, old: Reading) -> Reading | str:
        """The reading by the new scorer, or why there is none."""
        path = self.folder / f"probe-{old.probe}.json"
        try:
            text = path.read_text(encoding="utf-8")
            require_own_digest(text)
            kept = outcome_from_json(json.loads(text))
            if isinstance(kept, Reading) and kept.key.scorer == self.digest:
                return kept
        except DAMAGED:
            pass
        new = self._scored(old)
        if isinstance(new, Reading):
            write_durably(path, with_own_digest(json.dumps(outcome_to_json(new))))
        return new

    def _scored(self, old: Reading) -> Reading | str:
        texts = kept_texts(old, self.store, self.prompts, self.settings)
        if isinstance(texts, str):
            return texts
        answers = [Answer(self.prompts[prompt], text) for (prompt, _), text in texts.items()]
        try:
            judged = self.scorer.score(answers, self.context)
            scores, missing = split_scored(answers, judged, old.key.samples)
            require_enough(missing, len(answers), self.settings.most_missing)
        except ScorerBroken as error:
            return f"probe {old.probe}: {error}"
        places = {(prompt, place % old.key.samples): sample for place, (prompt, sample) in enumerate(texts)}
        return replace(
            old,
            key=replace(old.key, scorer=self.digest),
            scores=tuple(replace(one, sample=places[one.prompt, one.sample]) for one in scores),
            missing=tuple(replace(one, sample=places[one.prompt, one.sample]) for one in missing),
        )


def kept_texts(
    reading: Reading, store: ProbeStore, prompts: Mapping[str, Prompt], settings: ScorerSettings
) -> dict[tuple[str, int], str] | str:
    """(prompt, sample) -> the part of the answer that a scorer is given; or why the reading cannot be scored."""
    rows = store.answers(reading.probe)
    if len(rows) != reading.answers:
        return f"the answers of probe {reading.probe} are gone"
    if unknown := next((row["prompt"] for row in rows if row["prompt"] not in prompts), None):
        return f"the prompts have no {unknown!r}, which probe {reading.probe} answered"
    return {(row["prompt"], row["sample"]): _part_to_score(row, settings) for row in rows}


def _part_to_score(row: Mapping[str, Any], settings: ScorerSettings) -> str:
    """The part of a kept answer that a scorer is given: the text after the thoughts, or all of it."""
    if settings.thoughts == "keep":
        return str(row["text"])
    return str(row["scored_text"]) if "scored_text" in row else without_thoughts(str(row["text"]))


@dataclass
class Chooser:
    """Compares two readings by their answers. ``folder``: of the choices, one file per pair of probes."""

    examiner: ScorerExaminer
    settings: ScorerSettings
    prompts: Mapping[str, Prompt]
    store: ProbeStore
    folder: Path
    context: Context

    def choices(self, candidate: Reading, baseline: Reading) -> list[Choice] | str:
        """The choices between the answers of two readings to the same prompts, or why there are none."""
        path = choices_path(self.folder, comparison_name(candidate.probe, baseline.probe))
        try:
            found, failure = read_choices(path)
        except DAMAGED:
            made = self._made(candidate, baseline)
            if isinstance(made, str):
                return made
            found, failure = made
            write_choices(path, found, failure)
        return found if failure is None else f"probes {candidate.probe} and {baseline.probe}: {failure}"

    def _made(self, candidate: Reading, baseline: Reading) -> tuple[list[Choice], str | None] | str:
        """The choices, and why they are too few (None if not); or why the answers cannot be compared."""
        mine, theirs = (kept_texts(one, self.store, self.prompts, self.settings) for one in (candidate, baseline))
        if isinstance(mine, str) or isinstance(theirs, str):
            return mine if isinstance(mine, str) else str(theirs)
        unequal = [place for place in mine if mine[place] != theirs[place]]
        duels = [AnswerPair(self.prompts[place[0]], mine[place], theirs[place]) for place in unequal]
        values = dict(zip(unequal, self.examiner.prefer(duels, self.context), strict=True))
        found, missing = list[Choice](), list[str]()
        for place in mine:
            value = values.get(place, 0.0)
            if isinstance(value, Missing):
                missing.append(value.reason)
            else:
                found.append(Choice(baseline.seed, *place, value))
        return found, too_many_missing(missing, len(mine), self.settings.most_missing) or None
