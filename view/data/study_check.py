"""What nightlane check found, as plain JSON values."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from agent.study.endpoint_trials import EndpointTrial
from agent.study.material_check import CheckedStudy
from agent.workspace.folder import Workspace
from probes.memory.fit import Fit
from view.data.cost import cost_text, probe_history


def check_data(
    checked: CheckedStudy, workspace: Workspace, memory: Fit | None, trials: Sequence[EndpointTrial]
) -> dict[str, Any]:
    study, material, lanes = checked.study, checked.study.material, checked.study.lanes
    seconds = probe_history(study, workspace).seconds
    return {
        "study": study.name,
        "file": str(study.path),
        "target": study.target,
        "guards": dict(study.guards),
        "probe_prompts": dict(sorted(Counter(prompt.category for prompt in material.probe_prompts).items())),
        "rows": {name: len(rows) for name, rows in material.sources.items()},
        "left_out": list(material.left_out),
        "legal_moves": {lane: sum(map(len, lanes.moves(study.start, lane).values())) for lane in lanes.shares},
        "rendered": checked.renderer is not None,
        "cut_rows": {name: counts.cut for name, counts in checked.counts.items()},
        "longest_rows": {name: counts.longest for name, counts in checked.counts.items()},
        "memory": memory.sentence if memory is not None else None,
        "seconds_per_probe": round(median(seconds), 3) if seconds else None,
        "says": cost_text(study, workspace, memory),
        "endpoints": [{**asdict(one.trial), "required": one.required} for one in trials],
    }
