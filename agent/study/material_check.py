"""Checks a study against its files and its model before anything is trained.

Rows that cannot be trained on as intended are refused now, or left out if the study says so, instead of failing a probe
in the middle of the night. The memory that the probes need is compared with the memory of this machine.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from agent.study.load import Study
from common.errors import StudyChanged
from probes.inputs.files.records import rows_digest
from probes.inputs.rows.texts import BadRow
from probes.inputs.sources import Gap
from probes.memory.fit import NOT_COMPUTED, Fit, Machine, fit, largest_recipe, read_config, this_machine, workload
from probes.model.compatibility import Requirements, require_fit
from probes.rendering.renderer import Renderer
from probes.rendering.row_check import SourceCounts, count, refused_rows

OnProgress = Callable[[int, int], None]
"""Called with the number of rows rendered so far and the number of all rows."""
MANY_ROWS = 5000


def _ignore_progress(done: int, total: int) -> None: ...


@dataclass(frozen=True)
class CheckedStudy:
    """A study that can be trained, without the rows that are left out.

    ``counts``: source -> counts of its rows as the tokenizer renders them; empty if the model is simulated or not
    available. ``shortest``: the smallest max_length that a recipe of the study may have; all rows are checked against
    it. ``files``: source -> digest of its files as they were read.
    """

    study: Study
    counts: Mapping[str, SourceCounts] = field(default_factory=dict)
    shortest: int = 0
    renderer: Renderer | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    def require_unchanged(self) -> None:
        """StudyChanged if a source changed after it was checked."""
        for name, where in self.study.material.source_files.items():
            if rows_digest(where) != self.files[name]:
                raise StudyChanged(
                    f"a session begins with the rows that were checked, and source {name} ({where}) changed since; run "
                    "it again"
                )


def check_study(
    study: Study,
    note: Callable[[str], None],
    gaps_before: Mapping[str, Sequence[Gap]] | None = None,
    on_progress: OnProgress = _ignore_progress,
) -> CheckedStudy:
    """Check a study against its files and its model. BadInput in one sentence for the first thing that cannot be
    trained.

    ``note`` is called before a step that takes long. ``gaps_before``: source -> the rows that a session left out when
    it began; they stay out even if they were corrected since.
    """
    study.check_material()
    reach = Requirements.of(study.start, study.lanes.knobs)
    renderer = require_fit(study.material, reach) if study.file.runner.loads_models else None
    counts = {}
    if renderer is not None:
        total, done = sum(map(len, study.material.sources.values())), 0

        if total >= MANY_ROWS:
            note(f"rendering {total} rows with the tokenizer, to find those that cannot be trained")

        def add(more: int) -> None:
            nonlocal done
            done += more
            on_progress(done, total)

        counts = count(renderer, study.material.sources, reach.min_length, add)
    files = {name: source.files for name, source in study.material.read_sources.items()}
    refused = refused_rows(counts, study.material.source_files, study.file.data.bad_rows)
    if study.file.data.bad_rows == "refuse":
        return CheckedStudy(study, counts, reach.min_length, renderer, files)
    for name, source in study.material.read_sources.items():  # bad rows stay out while the session runs
        refused.setdefault(name, []).extend(source.bad)
        lines = source.within((gaps_before or {}).get(name, ()))
        refused[name].extend(BadRow(line, "it was left out when the session began") for line in lines)
    left_out = {name: tuple(rows) for name, rows in refused.items() if rows}
    return CheckedStudy(replace(study, left_out=left_out), counts, reach.min_length, renderer, files)


def memory_fit(checked: CheckedStudy, machine: Machine | None = None) -> Fit | None:
    """The memory that the starting recipe needs and the largest recipe that the lanes can make, against this machine's;
    None if the model is simulated or not on this machine, or the estimate cannot be computed without its weights."""
    study, renderer = checked.study, checked.renderer
    if renderer is None or not study.material.probe_prompts:
        return None
    runner, material = study.file.runner, study.material
    machine = machine or this_machine(runner)
    longest = max((counts.longest for counts in checked.counts.values()), default=0)
    works = (
        workload(material, recipe, runner, renderer, longest, machine.device)
        for recipe in (study.start, largest_recipe(study.start, study.lanes.knobs))
    )
    start, largest = works
    try:
        return fit(read_config(material), start, largest, machine, material.model.trust_remote_code)
    except NOT_COMPUTED:
        return None
