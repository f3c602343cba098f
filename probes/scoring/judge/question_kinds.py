"""The two kinds of question to a judge: score an answer, or choose between two."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from probes.endpoint.dialects import ChatMessage
from probes.scoring.judge.judgement import Judgement, judgement_of, read_judgement
from probes.scoring.judge.preference import Preferred, preference_format, preference_of, read_preference
from probes.scoring.judge.question import comparison_instructions, scoring_instructions
from probes.scoring.judge.rubric import Rubric

T = TypeVar("T")


@dataclass(frozen=True)
class QuestionKind(Generic[T]):
    """One kind of question to a judge: its system message, the format of the reply, and how a reply is read.

    ``read`` takes the text of a reply. ``store`` makes JSON of the result, and ``restore`` reads that. ``read`` and
    ``restore`` raise UnreadableJudgement.
    """

    system: str
    response_format: Mapping[str, Any]
    read: Callable[[str], T]
    store: Callable[[T], dict[str, Any]]
    restore: Callable[[object], T]

    def messages(self, question: str) -> list[ChatMessage]:
        return [{"role": "system", "content": self.system}, {"role": "user", "content": question}]


def scoring_kind(rubric: Rubric) -> QuestionKind[Judgement]:
    """Score an answer: a mark per component, critical failures, and the judge's own overall."""
    return QuestionKind(
        scoring_instructions(rubric),
        rubric.response_format,
        lambda text: read_judgement(text, rubric),
        _as_data,
        lambda data: judgement_of(data, rubric),
    )


def preference_kind(rubric: Rubric) -> QuestionKind[Preferred]:
    """Choose the first of two answers, the second, or neither."""
    return QuestionKind(
        comparison_instructions(rubric),
        preference_format(),
        read_preference,
        lambda preferred: {"preferred": preferred},
        preference_of,
    )


def _as_data(judgement: Judgement) -> dict[str, Any]:
    return {
        "components": dict(judgement.marks),
        "critical_failures": list(judgement.critical),
        "overall": judgement.overall,
        "note": judgement.note,
    }
