"""Measures the recipes of a lab's README with probes: training with TRL and PEFT, then the scorer of the study.

Prints one Markdown row per recipe: means per category over prompts, samples and seeds. Imports torch.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

import torch

from agent.study.load import Study, load_study
from labs._build.command import RecipeTable
from lanes import Recipe
from probes.generate.sampler import Sampling, generate
from probes.result.reading import Probe, Reading, Score
from probes.run.answers import split_scored
from probes.run.execute import measure
from probes.run.workbench import Workbench
from probes.scoring import Answer


def print_table(table: RecipeTable, seeds: Sequence[int], rows: str = "") -> None:
    """Measure the base and every recipe whose name contains ``rows``, and print a row of each."""
    torch.set_num_threads(1)
    study = load_study(table.study)
    bench = Workbench(study.material, "cpu", {}, study.file.runner)
    print(f"| recipe | {' | '.join(table.categories)} | all | seeds |\n|---|{'---:|' * (len(table.categories) + 2)}")
    try:
        _print_row(table, "base", _scores_of_base(study, bench), "")
        for name, changes in table.recipes:
            if rows in name:
                readings = list(_readings(study, bench, changes, seeds))
                each = [_means(table, reading.scores)["all"] for reading in readings]
                spread = f"{min(each):.{table.digits}f} to {max(each):.{table.digits}f}"
                _print_row(table, name, [score for reading in readings for score in reading.scores], spread)
    finally:
        bench.close()


def _print_row(table: RecipeTable, name: str, scores: Sequence[Score], spread: str) -> None:
    means = _means(table, scores)
    cells = [f"{means[group]:.{table.digits}f}" for group in (*table.categories, "all")]
    print(f"| {name} | {' | '.join(cells)} | {spread} |", flush=True)


def _means(table: RecipeTable, scores: Sequence[Score]) -> Mapping[str, float]:
    """Mean score per category, and of all scores under the key `all`."""
    values = defaultdict(list)
    for score in scores:
        for group in (score.category, "all"):
            values[group].append(table.worth(score.value))
    return {group: fmean(of_group) for group, of_group in values.items()}


def _readings(study: Study, bench: Workbench, changes: Mapping[str, object], seeds: Sequence[int]) -> Iterator[Reading]:
    recipe = Recipe.model_validate({**study.start.model_dump(), **changes})
    key = study.material.key("labs._build.measure")
    for seed in seeds:
        with TemporaryDirectory() as folder:
            outcome = measure(bench, [Probe(recipe, key, seed)], lambda _: Path(folder), lambda _: None)[0]
        if not isinstance(outcome, Reading):
            raise SystemExit(f"{recipe.to_toml()}\nseed {seed} failed: {outcome.kind}: {outcome.message}")
        yield outcome


def _scores_of_base(study: Study, bench: Workbench) -> Sequence[Score]:
    base, prompts, probe = bench.base("none"), study.material.probe_prompts, study.material.probe
    sampling = Sampling(
        samples=probe.samples,
        temperature=probe.temperature,
        top_p=probe.top_p,
        top_k=probe.top_k,
        max_new_tokens=probe.max_new_tokens,
        seed=probe.sampling_seed,
        batch_size=study.file.runner.generation_batch,
    )
    questions = [base.renderer.question(prompt.text) for prompt in prompts]
    texts = generate(base.model, base.renderer, questions, sampling)
    answers = [Answer(prompt, text) for prompt, own in zip(prompts, texts, strict=True) for text in own]
    return split_scored(answers, bench.open_scorer().score(answers), probe.samples)[0]
