"""The type of what each command prints with --json. docs/json.md is generated from it; tests check the outputs against
it.

A dataclass is printed as it is; a TypedDict describes what a command puts together. meanings.toml explains each key.
New keys may be added in any version; keys that are there keep their meaning.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from agent.rescore.session import Rescored
from agent.workspace.pair_stores import Reviewed
from cli.json_output.bench import BenchDecisions, BenchFaults, BenchSandbox, SoakFigure
from cli.json_output.model import EvaluatedProblems, EvaluatedStudy, PromotionFigures, Shipped, WrittenExport
from cli.json_output.pairs import AuditedStore, CertifiedRows, ExportedPairs, ImportedRows, PairRow, PlannedScoring
from cli.json_output.session import DoneSession, NewRequest, ServiceUnit, SessionStatus
from cli.json_output.study import NewStudy, StudyCheck, WrittenPrompts
from cli.json_output.workspace import DoctorReport, ServedPages, SkillFile
from finetune.manifest import Manifest
from view.data.figures import SessionFigures
from view.explain.explanation import Explanation
from view.explain.stack import StackExplanation

MEANINGS: dict[str, dict[str, str]] = tomllib.loads(
    Path(__file__).with_name("meanings.toml").read_text(encoding="utf-8")
)
OF_KEYS = re.compile(r"(?:^|(?<=[.;] ))(?:From )?(?=``|[a-z_]+(?:, [a-z_]+)*: )")
"""Where the docstring of a type begins to explain its keys."""


@dataclass(frozen=True)
class JsonOutput:
    """``stream``: a JSON object per line, instead of one document."""

    type: Any
    stream: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        """A JSON schema in which every key has its meaning."""
        found = TypeAdapter(self.type).json_schema(mode="serialization")
        for own in (found, *found.get("$defs", {}).values()):
            _describe(own)
        return found


def _describe(schema: dict[str, Any]) -> None:
    """Describe a schema by its docstring, without the part about single keys, and each key by its meaning."""
    about = " ".join(schema.pop("description", "").split())
    if first := OF_KEYS.split(about, maxsplit=1)[0].rstrip(" .;"):
        schema["description"] = f"{first}."
    own = MEANINGS.get(schema.get("title", ""), {})
    for name, key in schema.get("properties", {}).items():
        if "description" not in key:
            key["description"] = own.get(name) or MEANINGS["every"][name]


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
    "schema": JsonOutput(Annotated[dict[str, Any], Field(description="A JSON schema.")]),
    "pairs list": JsonOutput(list[PairRow]),
    "pairs show": JsonOutput(PairRow),
    "pairs vote": JsonOutput(PairRow),
    "pairs import": JsonOutput(ImportedRows),
    "pairs export": JsonOutput(ExportedPairs),
    "pairs audit": JsonOutput(list[AuditedStore]),
    "pairs score": JsonOutput(PlannedScoring),
    "pairs certify": JsonOutput(CertifiedRows),
    "pairs review": JsonOutput(Reviewed),
    "bench sandbox": JsonOutput(BenchSandbox),
    "bench decisions": JsonOutput(BenchDecisions),
    "bench faults": JsonOutput(BenchFaults),
    "bench soak": JsonOutput(list[SoakFigure]),
}
"""Command -> output, in the order of the help."""
