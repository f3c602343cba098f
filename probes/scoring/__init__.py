"""Scorers: what an answer is worth, from 0 to 10. A scorer is one file here and one entry in SCORERS.

A scorer scores all answers of a probe at once and never sees which recipe wrote them. Other packages add scorers with
the entry point group ``nightlane.scorers`` (a name and a class like ``ExecutionScorer``).
"""

import inspect
from importlib.metadata import entry_points
from pathlib import Path

from lanes import digest_of
from lanes.errors import BadInput
from lanes.search_space import nearest
from probes.base import file_digest
from probes.scoring.execution import ExecutionScorer
from probes.scoring.protocol import Answer, Mark, Scorer, ScorerBroken
from probes.settings import ScorerSettings

__all__ = ["Answer", "Mark", "Scorer", "ScorerBroken", "scorer_class", "scorer_digest"]

SCORERS: tuple[type[Scorer], ...] = (ExecutionScorer,)


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


def scorer_digest(settings: ScorerSettings) -> str:
    """Names the evaluator: its settings and the text of the file that scores."""
    source = inspect.getsourcefile(scorer_class(settings.kind))
    return digest_of([settings.model_dump(mode="json"), file_digest(Path(source or __file__))])
