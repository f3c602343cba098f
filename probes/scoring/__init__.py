"""Scorers: what an answer is worth, from 0 to 10. A scorer is one file here and one entry in SCORERS.

A scorer scores all answers of a probe at once and never sees which recipe wrote them. Other packages add scorers with
the entry point group ``nightlane.scorers`` (a name and a class like ``ExecutionScorer``).
"""

import inspect
import json
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from lanes import digest_of
from lanes.errors import BadInput
from lanes.search_space import nearest
from probes.file_digests import file_digest
from probes.scoring.execution import ExecutionScorer
from probes.scoring.function import FunctionScorer
from probes.scoring.judge import JudgeScorer
from probes.scoring.protocol import Answer, Context, Duel, Mark, Missing, Overseer, Scorer, ScorerBroken
from probes.scoring.rules import RulesScorer
from probes.settings import ScorerSettings

__all__ = [
    "Answer",
    "Context",
    "Duel",
    "Mark",
    "Missing",
    "Overseer",
    "Scorer",
    "ScorerBroken",
    "scorer_class",
    "scorer_digest",
    "scorer_settings",
]

SCORERS: tuple[type[Scorer], ...] = (ExecutionScorer, RulesScorer, FunctionScorer, JudgeScorer)


def scorer_class(kind: str) -> type[Scorer]:
    """The scorer a study names; BadInput says the nearest known one."""
    for scorer in SCORERS:
        if scorer.kind == kind:
            return scorer
    for point in entry_points(group="nightlane.scorers"):
        if point.name == kind:
            loaded: type[Scorer] = point.load()
            return loaded
    raise BadInput(f"[scorer] kind={kind!r} is not a scorer{nearest(kind, (s.kind for s in SCORERS))}")


def scorer_settings(table: Mapping[str, Any]) -> ScorerSettings:
    """The settings of the kind that a ``[scorer]`` table names; BadInput for an unknown kind, pydantic's
    ValidationError for a bad key or value."""
    kind = table.get("kind", ScorerSettings().kind)
    settings = scorer_class(kind if isinstance(kind, str) else repr(kind)).Settings
    return settings.model_validate_json(json.dumps(table))


def scorer_digest(settings: ScorerSettings, folder: Path) -> str:
    """Names the evaluator: its settings, the files they name and the text of the file that scores."""
    scorer = scorer_class(settings.kind)
    own = inspect.getsourcefile(scorer)
    files = [file_digest(path) for path in (*scorer.files(settings, folder), Path(own or __file__))]
    return digest_of([settings.model_dump(mode="json"), *files])
