"""The judge scorer: a language model marks the components of a rubric; the overall score is computed here.

The endpoint is that of OPENAI_JUDGE_BASE_URL and OPENAI_JUDGE_API_KEY, or else of OPENAI_BASE_URL and OPENAI_API_KEY.
Each judgement is asked for once and kept on disk. The scorer waits for an endpoint that is down. An answer that cannot
be judged has no score.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from common.errors import BadInput
from probes.inputs.prompts import Prompt
from probes.inputs.settings import ScorerSettings
from probes.scoring.judge.calibration import load_calibration
from probes.scoring.judge.epoch import epoch_file
from probes.scoring.judge.judgement import mean_mark
from probes.scoring.judge.question import scoring_question
from probes.scoring.judge.rubric import load_rubric
from probes.scoring.judge.settings import JudgeSettings
from probes.scoring.protocol import Answer, Context, Mark, Missing

if TYPE_CHECKING:
    from probes.scoring.judge.examiner import JudgeExaminer


class JudgeScorer:
    """Weighted components of a rubric, each answer judged ``passes`` times. Outcome words: JUDGED, CRITICAL."""

    kind: ClassVar[str] = "judge"
    Settings: ClassVar[type[ScorerSettings]] = JudgeSettings

    def __init__(
        self, settings: JudgeSettings, folder: Path = Path(), environment: Mapping[str, str] | None = None
    ) -> None:
        # Imported here: the openai client takes a second or more to import, and most commands do not need it.
        from probes.scoring.judge.batch import BatchJudge
        from probes.scoring.judge.question_kinds import scoring_kind

        self._passes, self.rubric = settings.passes, load_rubric(folder / settings.rubric)
        self._kind, self._judge = scoring_kind(self.rubric), BatchJudge(settings, folder, environment)

    @property
    def about(self) -> str:
        """The model, its endpoint, and whether it answered at the start."""
        return self._judge.about

    @staticmethod
    def files(settings: JudgeSettings, folder: Path) -> Sequence[Path]:
        """The rubric, and the epoch once there is one."""
        epoch = epoch_file(settings, folder)
        return (folder / settings.rubric, *([epoch] if epoch.exists() else []))

    @staticmethod
    def check(settings: JudgeSettings, folder: Path, prompts: Sequence[Prompt]) -> None:
        path = folder / settings.rubric
        known = load_rubric(path).categories
        for prompt in (*prompts, *(item.prompt for item in load_calibration(settings, folder))):
            if known and prompt.category not in known:
                raise BadInput(
                    f"{path} does not mention the category {prompt.category!r} of prompt {prompt.id!r}; add it under "
                    "[categories] (its text may be empty)"
                )

    @staticmethod
    def examiner(settings: JudgeSettings, folder: Path) -> "JudgeExaminer":
        from probes.scoring.judge.examiner import JudgeExaminer

        return JudgeExaminer(settings, folder)

    def score(self, answers: Sequence[Answer], context: Context | None = None) -> list[Mark | Missing]:
        asked = [scoring_question(self.rubric, answer.prompt, answer.text) for answer in answers]
        passes = range(self._passes)
        questions = [(text, number) for text in asked for number in passes]
        found = self._judge.ask(self._kind, questions, context or Context())
        marks = {text: mean_mark([found[text, number] for number in passes], self.rubric) for text in set(asked)}
        return [marks[text] for text in asked]

    def close(self) -> None:
        self._judge.close()
