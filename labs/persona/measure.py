"""Trains and scores the recipes of the README's table under the rules, with the same parts as a probe: TRL, PEFT.

    python -m labs.persona --measure

Prints one Markdown row per recipe: mean scores (0 to 10) per category over prompts, samples and seeds.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

import torch

from agent.study import Study, load_study
from labs.microcoder.measure import _readings
from labs.persona.texts import CATEGORIES
from probes.generation import Sampling, generate
from probes.measure import Workbench, sorted_out
from probes.reading import Score
from probes.scoring import Answer

STUDY = Path(__file__).with_name("study-rules.toml")

# Name of the row -> what differs from the starting recipe.
RECIPES: tuple[tuple[str, Mapping[str, object]], ...] = (
    ("start (ORPO, 1e-4, even)", {}),
    ("5e-4", {"learning_rate": 5e-4}),
    ("plain_only", {"mixture": {"plain": 1.0}}),
    ("plain_only, 5e-4", {"learning_rate": 5e-4, "mixture": {"plain": 1.0}}),
    ("plain_only, 2e-3", {"learning_rate": 2e-3, "mixture": {"plain": 1.0}}),
    ("plain_only, 1e-2", {"learning_rate": 1e-2, "mixture": {"plain": 1.0}}),
    ("ornate alone, 5e-4", {"learning_rate": 5e-4, "mixture": {"ornate": 1.0}}),
    ("DPO plain_only, 5e-4", {"objective": "dpo", "learning_rate": 5e-4, "mixture": {"plain": 1.0}}),
    ("DPO plain_only, 2e-3", {"objective": "dpo", "learning_rate": 2e-3, "mixture": {"plain": 1.0}}),
)


def main(seeds: Sequence[int], rows: str = "") -> None:
    """Measures the base and every recipe whose name contains `rows`."""
    torch.set_num_threads(1)
    study = load_study(STUDY)
    bench = Workbench(study.material, "cpu", {})
    print(f"| recipe | {' | '.join(CATEGORIES)} | all | seeds |\n|---|{'---:|' * (len(CATEGORIES) + 2)}")
    try:
        _print_row("base", _scores_of_base(study, bench), "")
        for name, changes in RECIPES:
            if rows in name:
                readings = list(_readings(study, bench, changes, seeds))
                each = [_means(reading.scores)["all"] for reading in readings]
                spread = f"{min(each):.2f} to {max(each):.2f}"
                _print_row(name, [score for reading in readings for score in reading.scores], spread)
    finally:
        bench.close()


def _scores_of_base(study: Study, bench: Workbench) -> Sequence[Score]:
    base, prompts, probe = bench.base("none"), study.material.probe_prompts, study.material.probe
    sampling = Sampling(probe.samples, probe.temperature, max_new_tokens=probe.max_new_tokens)
    texts = generate(base.model, base.tokenizer, [base.render(prompt.text) for prompt in prompts], sampling)
    answers = [Answer(prompt, text) for prompt, own in zip(prompts, texts, strict=True) for text in own]
    return sorted_out(answers, bench.open_scorer().score(answers), probe.samples)[0]


def _means(scores: Sequence[Score]) -> Mapping[str, float]:
    """Mean score per category and for `all`."""
    values = defaultdict(list)
    for score in scores:
        for group in (score.category, "all"):
            values[group].append(score.value)
    return {group: fmean(of_group) for group, of_group in values.items()}


def _print_row(name: str, scores: Sequence[Score], spread: str) -> None:
    means = _means(scores)
    cells = [f"{means[group]:.2f}" for group in (*CATEGORIES, "all")]
    print(f"| {name} | {' | '.join(cells)} | {spread} |", flush=True)
