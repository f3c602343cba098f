"""The kept answers of two probes, between which another scorer chooses. Two probes that were compared before are not
compared again."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.rescore.answers import kept_texts
from agent.workspace.choices_file import choices_path, comparison_name, read_choices, write_choices
from probes.inputs.prompts import Prompt
from probes.inputs.settings import ScorerSettings
from probes.result.comparison import Choice
from probes.result.reading import Reading
from probes.run.store import DAMAGED, ProbeStore
from probes.scoring import AnswerPair, Context, Missing
from probes.scoring.protocol import ScorerExaminer, too_many_missing


@dataclass
class Chooser:
    """Compares readings by their answers. ``folder``: the choices are kept there, a file for two probes each."""

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
        """The choices, and why they are too few; or why no answers can be compared."""
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
