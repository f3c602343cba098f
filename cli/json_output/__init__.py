"""What every command prints with --json: a type each. docs/json.md is written from it; tests hold the outputs to it.

A dataclass is printed as it is; a TypedDict is what a command puts together. New keys may be added in any version; keys
that are there keep their meaning.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from agent.rescore.session import Rescored
from agent.workspace.pair_stores import Reviewed
from cli.json_output.model import EvaluatedProblems, EvaluatedStudy, PromotionFigures, Shipped, WrittenExport
from cli.json_output.pairs import AuditedStore, CertifiedRows, ExportedPairs, ImportedRows, PairRow, PlannedScoring
from cli.json_output.session import DoneSession, NewRequest, ServiceUnit, SessionStatus
from cli.json_output.study import NewStudy, StudyCheck, WrittenPrompts
from cli.json_output.workspace import DoctorReport, ServedPages, SkillFile
from finetune.manifest import Manifest
from view.data.figures import SessionFigures
from view.explain.explanation import Explanation
from view.explain.stack import StackExplanation


@dataclass(frozen=True)
class JsonOutput:
    """``stream``: a JSON object per line, instead of one document."""

    type: Any
    stream: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        return TypeAdapter(self.type).json_schema(mode="serialization")


OUTPUTS: dict[str, JsonOutput] = {
    "init": JsonOutput(NewStudy),
    "check": JsonOutput(StudyCheck),
    "prompts": JsonOutput(WrittenPrompts),
    "run": JsonOutput(DoneSession),
    "resume": JsonOutput(DoneSession),
    "status": JsonOutput(SessionStatus),
    "report": JsonOutput(SessionFigures),
    "explain": JsonOutput(Explanation | StackExplanation),
    **dict.fromkeys(("pause", "continue", "stop", "skip", "propose", "note", "budget"), JsonOutput(NewRequest)),
    "view": JsonOutput(ServedPages),
    "watch": JsonOutput(SessionStatus, stream=True),
    "rescore": JsonOutput(Rescored),
    "service": JsonOutput(ServiceUnit),
    "evaluate": JsonOutput(EvaluatedProblems | EvaluatedStudy),
    "finetune": JsonOutput(Manifest),
    "promote": JsonOutput(PromotionFigures),
    "export": JsonOutput(WrittenExport),
    "ship": JsonOutput(Shipped),
    "doctor": JsonOutput(DoctorReport),
    "skill": JsonOutput(SkillFile),
    "pairs list": JsonOutput(list[PairRow]),
    "pairs show": JsonOutput(PairRow),
    "pairs vote": JsonOutput(PairRow),
    "pairs import": JsonOutput(ImportedRows),
    "pairs export": JsonOutput(ExportedPairs),
    "pairs audit": JsonOutput(list[AuditedStore]),
    "pairs score": JsonOutput(PlannedScoring),
    "pairs certify": JsonOutput(CertifiedRows),
    "pairs review": JsonOutput(Reviewed),
    "bench sandbox": JsonOutput(dict[str, Any]),
    "bench decisions": JsonOutput(dict[str, Any]),
    "bench faults": JsonOutput(dict[str, Any]),
    "bench soak": JsonOutput(dict[str, Any]),
}
"""By command, in the order of the help."""
