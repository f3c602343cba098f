"""Makes the prompts file from a task's samples: three disjoint splits, the same each time.

In each category the samples are drawn by a hash of their ids. Near duplicates stay in one split (invariant 7).
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from common.errors import BadInput
from probes.inputs.duplicates import Wordings
from probes.inputs.prompts import SPLITS, wording
from probes.inputs.rows.turns import messages
from probes.inputs.seeded_random import unit
from probes.scoring.benchmarks.task import BenchmarkTask, TaskSample


def prompt_rows(task: BenchmarkTask, harvest: float, holdout: float) -> Iterator[dict[str, Any]]:
    """A row per sample. ``harvest``, ``holdout``: shares of each category; the rest decides. BadInput if the samples
    are too much alike, or too few, for the splits."""
    splits = _splits(task, {"probe": 1 - harvest - holdout, "harvest": harvest, "holdout": holdout})
    for name, sample in task.samples.items():
        yield {
            "id": f"{task.name}-{name}",
            "split": splits[name],
            "category": sample.category,
            "prompt": sample.asked if isinstance(sample.asked, str) else messages(sample.asked, "user"),
            "checks": {"sample": name, "digest": sample.digest},
        }


def _splits(task: BenchmarkTask, shares: Mapping[str, float]) -> dict[str, str]:
    first = _first_alike(task)
    groups: dict[str, list[TaskSample]] = defaultdict(list)
    for name, sample in task.samples.items():
        groups[first[name]].append(sample)
    by_category: dict[str, list[str]] = defaultdict(list)
    for name in groups:
        by_category[task.samples[name].category].append(name)
    found: dict[str, str] = {}
    for names in by_category.values():
        drawn = sorted(names, key=lambda name: unit("split", task.name, name))
        counts = {split: round(shares[split] * len(drawn)) for split in ("harvest", "holdout")}
        for place, name in enumerate(drawn):
            ends = counts["harvest"], counts["harvest"] + counts["holdout"]
            split = "harvest" if place < ends[0] else "holdout" if place < ends[1] else "probe"
            found |= {sample.id: split for sample in groups[name]}
    used = Counter(found.values())
    if missing := [split for split in SPLITS if shares[split] > 0 and not used[split]]:
        raise BadInput(
            f"the {len(found)} samples of the task {task.name!r} are {len(groups)} different ones and none is left for "
            f"{missing[0]}: near duplicates stay in one split; put a long template into a system message, or take more "
            "samples"
        )
    return found


def _first_alike(task: BenchmarkTask) -> dict[str, str]:
    """For each sample, the first one that it nearly repeats, or itself."""
    first = {name: name for name in task.samples}
    known = Wordings((wording(sample.asked), name) for name, sample in task.samples.items())
    for name, earlier, _ in known.repeats():
        first[name] = first[earlier]
    return first
