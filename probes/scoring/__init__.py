"""Scorers give each answer a score from 0 to 10. A built-in scorer is a file or a folder here and an entry in
SCORERS.

A scorer scores all answers of a probe at once and never sees which recipe wrote them. Other packages add a scorer by an
entry point of ``nightlane.scorers`` that names a class like ``ExecutionScorer``; they import all they need from here.
"""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.digests import digest_of, file_digest
from common.errors import BadInput
from common.plugins import plugins, unknown_kind
from probes.inputs.prompts import Prompt
from probes.inputs.settings import ScorerSettings
from probes.inputs.toml_file import parse_strict
from probes.scoring.benchmarks.scorer import InspectScorer, LmEvalScorer
from probes.scoring.execution.scorer import ExecutionScorer
from probes.scoring.function import FunctionScorer
from probes.scoring.judge.scorer import JudgeScorer
from probes.scoring.protocol import Answer, AnswerPair, Context, Mark, Missing, Scorer, ScorerBroken, ScorerExaminer
from probes.scoring.rules.scorer import RulesScorer

__all__ = [
    "Answer",
    "AnswerPair",
    "Context",
    "Mark",
    "Missing",
    "Prompt",
    "Scorer",
    "ScorerBroken",
    "ScorerExaminer",
    "ScorerSettings",
    "scorer_class",
    "scorer_digest",
    "scorer_settings",
]

SCORERS: tuple[type[Scorer], ...] = (
    ExecutionScorer,
    RulesScorer,
    FunctionScorer,
    JudgeScorer,
    InspectScorer,
    LmEvalScorer,
)


def scorer_class(kind: str) -> type[Scorer]:
    """The scorer of this kind; BadInput names the nearest known kind."""
    for scorer in SCORERS:
        if scorer.kind == kind:
            return scorer
    if unknown := unknown_kind("scorers", kind, (scorer.kind for scorer in SCORERS)):
        raise BadInput(f"[scorer] {unknown}")
    loaded: type[Scorer] = plugins("scorers")[kind].load()
    return loaded


def scorer_settings(table: Mapping[str, Any]) -> ScorerSettings:
    """The settings of a ``[scorer]`` table. BadInput for an unknown kind, pydantic's ValidationError for a bad key or
    value."""
    kind = table.get("kind", ScorerSettings().kind)
    settings = scorer_class(kind if isinstance(kind, str) else repr(kind)).Settings
    return parse_strict(settings, table)


def scorer_digest(settings: ScorerSettings, folder: Path) -> str:
    """The digest of the evaluator: its settings, the files they name and the source file of the scorer."""
    scorer = scorer_class(settings.kind)
    own = inspect.getsourcefile(scorer)
    files = [file_digest(path) for path in (*scorer.files(settings, folder), Path(own or __file__))]
    return digest_of([settings.model_dump(mode="json"), *files])
