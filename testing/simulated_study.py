"""A study for the simulated runner, with its pairs and prompts: a whole session in seconds, without a model."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CATEGORIES = ("arithmetic", "lists")
_FUNCTIONS = ("double", "negate", "square", "half", "plus_one", "last", "first", "total")
_PROBE = """\
steps = 20
seeds = [42, 123, 7]
samples = 4
"""
_LANES = """\
[lanes.hyperparameters]
share = 2.0
learning_rate = { low = 1e-6, high = 0.9, factor = 2.0, reach = 4 }
beta = true
warmup = true
[lanes.mixture]
[lanes.curriculum]
"""
_POLICY = """\
disguised = 0.0
holdout_seeds = 0
"""
_TEMPLATE = """
name = "simulated"
[model]
path = "none"
[recipe]
learning_rate = 1e-4
effective_batch = 4
mixture = "even"
[data.sources]
good = "good.jsonl"
broken = "broken.jsonl"
[data.manifests.even]
good = 1.0
broken = 1.0
[data.manifests.good_only]
good = 1.0
[data.manifests.mostly_good]
good = 3.0
broken = 1.0
[data.manifests.mostly_broken]
good = 1.0
broken = 3.0
[prompts]
file = "prompts.jsonl"
[target]
category = "lists"
[guards]
arithmetic = 1.5
[probe]
{probe}{lanes}[policy]
{policy}[budget]
decisions = {decisions}
disk_gb = 0
[runner]
kind = "simulated"
"""


def study_text(probe: str = _PROBE, lanes: str = _LANES, policy: str = _POLICY, decisions: int = 8) -> str:
    """The study as TOML. ``probe`` and ``policy`` are the lines of these sections, ``lanes`` whole sections."""
    return _TEMPLATE.format(probe=probe, lanes=lanes, policy=policy, decisions=decisions)


STUDY = study_text()


def pairs(source: str) -> list[dict[str, Any]]:
    """32 preference pairs; the rejected functions of the source "broken" are no valid Python."""
    rows = []
    for number, name in enumerate(_FUNCTIONS):
        for constant in range(4):
            rejected = f"def {name}(x):\n    return x - {constant}" + (" +" if source == "broken" else " - x") + "\n"
            rows.append(
                {
                    "prompt": f"# {name} with {constant} ({source})\n",
                    "chosen": f"def {name}(x):\n    return x * {constant}\n",
                    "rejected": rejected,
                    "difficulty": 1 + number % 3,
                }
            )
    return rows


def prompts() -> list[dict[str, Any]]:
    """Four prompts in each category of each split, with the checks of the execution scorer."""
    rows = []
    for split in ("probe", "harvest", "holdout"):
        for category in CATEGORIES:
            for number in range(4):
                cases = [{"args": [i], "expected": i * number} for i in range(4)]
                rows.append(
                    {
                        "id": f"{split}-{category}-{number}",
                        "split": split,
                        "category": category,
                        "difficulty": 1 + number % 3,
                        "prompt": f"# {category} {number} for {split}\n",
                        "checks": {"entry_point": "f", "cases": cases},
                    }
                )
    return rows


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_data(folder: Path) -> None:
    """Write the pairs and prompts, without a study file."""
    folder.mkdir(parents=True, exist_ok=True)
    for source in ("good", "broken"):
        write_jsonl(folder / f"{source}.jsonl", pairs(source))
    write_jsonl(folder / "prompts.jsonl", prompts())


def write_study(folder: Path, text: str = STUDY) -> Path:
    """Write the study with its pairs and prompts; returns the path of study.toml."""
    write_data(folder)
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path
