"""One question to a judge before anything is trained."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from probes.endpoint.client import Completion
from probes.endpoint.trial import Trial, try_chat
from probes.inputs.prompts import Prompt
from probes.scoring.judge.batch import judge_endpoint
from probes.scoring.judge.calibration import load_calibration
from probes.scoring.judge.judgement import UnreadableJudgement
from probes.scoring.judge.question import scoring_question
from probes.scoring.judge.question_kinds import scoring_kind
from probes.scoring.judge.requests.client import read_completion
from probes.scoring.judge.rubric import load_rubric
from probes.scoring.judge.settings import JudgeSettings


def try_judge(
    settings: JudgeSettings, folder: Path, prompts: Sequence[Prompt], environment: Mapping[str, str] | None = None
) -> Trial:
    """Have one answer judged: the first of the calibration set, or an empty one. BadInput and EndpointUnavailable as
    for ``judge_endpoint``."""
    rubric, items = load_rubric(folder / settings.rubric), load_calibration(settings, folder)
    prompt, answer = (items[0].prompt, items[0].answer) if items else (prompts[0], "")
    kind, endpoint = scoring_kind(rubric), judge_endpoint(settings, environment)

    def problem_of(completion: Completion) -> str:
        try:
            read_completion(completion, settings.max_tokens, kind)
        except UnreadableJudgement as error:
            return str(error)
        return ""

    messages = kind.messages(scoring_question(rubric, prompt, answer))
    return try_chat("judge", endpoint, messages, kind.response_format, problem_of)
