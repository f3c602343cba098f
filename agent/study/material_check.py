"""A study held against its files and its model before anything is trained: what cannot be trained as it is meant is
refused now, or left out where the study says so, and not found by a seed in the middle of the night.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from agent.study.schema import Study
from common.errors import StudyChanged
from probes.inputs.files import rows_digest
from probes.inputs.rows import BadRow
from probes.inputs.sources import Gap
from probes.model.compatibility import Reach, require_fit
from probes.rendering.renderer import Renderer
from probes.rendering.row_check import SourceCounts, count, refused_rows

Tell = Callable[[int, int], None]
"""Told how many rows of how many were rendered."""
MANY = 5000


def _quiet(done: int, total: int) -> None:
    """For callers to whom nothing need be said."""


@dataclass(frozen=True)
class Held:
    """A study that may be trained, without the rows that are left out. ``counts``: its rows as the tokenizer renders
    them, by source; none where the model is simulated or not at hand. ``shortest``: the max_length they are held
    against, the smallest that a recipe of the study may have. ``files``: a digest of each source as read."""

    study: Study
    counts: Mapping[str, SourceCounts] = field(default_factory=dict)
    shortest: int = 0
    renderer: Renderer | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    def require_unchanged(self) -> None:
        """StudyChanged for a source that is no longer what was held: its rows were not looked at."""
        for name, where in self.study.material.source_files.items():
            if rows_digest(where) != self.files[name]:
                raise StudyChanged(
                    f"a session begins with the rows that were checked, and source {name} ({where}) changed since; run "
                    "it again"
                )


def hold(
    study: Study, note: Callable[[str], None], before: Mapping[str, Sequence[Gap]] | None = None, tell: Tell = _quiet
) -> Held:
    """BadInput in one sentence for the first thing that cannot be trained. ``note`` hears what takes long. ``before``:
    where a session left rows out when it began, by source; those stay out though they may have been mended since."""
    study.check_material()
    reach = Reach.of(study.start, study.lanes.knobs)
    renderer = require_fit(study.material, reach) if study.file.runner.kind == "resident" else None
    counts = {}
    if renderer is not None:
        total, done = sum(map(len, study.material.sources.values())), 0

        if total >= MANY:
            note(f"{total} rows are rendered by the tokenizer, to find those that it cannot train")

        def add(more: int) -> None:
            nonlocal done
            done += more
            tell(done, total)

        counts = count(renderer, study.material.sources, reach.min_length, add)
    files = {name: source.files for name, source in study.material.read_sources.items()}
    refused = refused_rows(counts, study.material.source_files, study.file.data.bad_rows)
    if study.file.data.bad_rows == "refuse":
        return Held(study, counts, reach.min_length, renderer, files)
    for name, source in study.material.read_sources.items():  # also while the session runs
        refused.setdefault(name, []).extend(source.bad)
        lines = source.within((before or {}).get(name, ()))
        refused[name].extend(BadRow(line, "it was left out when the session began") for line in lines)
    left_out = {name: tuple(rows) for name, rows in refused.items() if rows}
    return Held(replace(study, left_out=left_out), counts, reach.min_length, renderer, files)
