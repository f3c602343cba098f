"""A study for the simulated runner, as text: the whole loop in seconds, without a model."""

from pathlib import Path

import tiny

STUDY = """
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
steps = 20
seeds = [42, 123, 7]
samples = 4
[lanes.hyperparameters]
share = 2.0
learning_rate = { low = 1e-6, high = 0.9, factor = 2.0, reach = 4 }
beta = true
warmup = true
[lanes.mixture]
[lanes.curriculum]
[policy]
disguised = 0.0
holdout_seeds = 0
survey = 0
[budget]
decisions = 8
disk_gb = 0
[runner]
kind = "simulated"
"""


def write_study(folder: Path, text: str = STUDY) -> Path:
    """Write the study with its data and prompts; returns the path of study.toml."""
    tiny.write_files(folder)
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path
