"""Trains and scores the recipes of the README's table, with the same parts as a probe: TRL, PEFT, the sandbox.

    python -m labs.microcoder --measure

Prints one Markdown row per recipe: passed answers per category, means over the seeds. A recipe takes about half a
minute per seed on one core.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from agent.study import Study, load_study
from labs.microcoder.tasks import CATEGORIES
from lanes import Recipe
from probes.generation import Sampling, generate
from probes.measure import Workbench, measure, sorted_out
from probes.reading import Probe, Reading
from probes.scoring import Answer

STUDY = Path(__file__).with_name("study.toml")
PASS = 10.0

# Name of the row -> what differs from the starting recipe.
RECIPES: tuple[tuple[str, Mapping[str, object]], ...] = (
    ("start (ORPO, 1e-4, even)", {}),
    ("honest_only", {"mixture": {"honest": 1.0}}),
    ("5e-4", {"learning_rate": 5e-4}),
    ("2e-3", {"learning_rate": 2e-3}),
    ("1e-2", {"learning_rate": 1e-2}),
    ("2e-3, beta 0.5", {"learning_rate": 2e-3, "beta": 0.5}),
    ("2e-3, honest_only", {"learning_rate": 2e-3, "mixture": {"honest": 1.0}}),
    ("2e-3, honest_only, beta 0.5", {"learning_rate": 2e-3, "beta": 0.5, "mixture": {"honest": 1.0}}),
    ("2e-3, broken alone", {"learning_rate": 2e-3, "mixture": {"broken": 1.0}}),
    ("5e-4, everything", {"learning_rate": 5e-4, "mixture": {"honest": 1.0, "broken": 1.0, "unchecked": 1.0}}),
    ("5e-4, unchecked alone", {"learning_rate": 5e-4, "mixture": {"unchecked": 1.0}}),
    ("DPO 1e-4", {"objective": "dpo"}),
    ("DPO 5e-4", {"objective": "dpo", "learning_rate": 5e-4}),
    ("DPO 5e-4, honest_only", {"objective": "dpo", "learning_rate": 5e-4, "mixture": {"honest": 1.0}}),
    ("DPO 2e-3", {"objective": "dpo", "learning_rate": 2e-3}),
)

Passed = Mapping[str, float]


def main(seeds: Sequence[int], rows: str = "") -> None:
    """Measures the base and every recipe whose name contains `rows`."""
    torch.set_num_threads(1)
    study = load_study(STUDY)
    bench = Workbench(study.material, "cpu", {})
    print(f"| recipe | {' | '.join(CATEGORIES)} | all | seeds |")
    print("|---|" + "---:|" * (len(CATEGORIES) + 2))
    try:
        _print_row("base", _pass_rates_of_base(study, bench), "")
        for name, changes in RECIPES:
            if rows in name:
                readings = list(_readings(study, bench, changes, seeds))
                each = [_overall(reading) for reading in readings]
                spread = f"{min(each):.3f} to {max(each):.3f}"
                _print_row(name, _pass_rates([score for r in readings for score in _scores(r)]), spread)
    finally:
        bench.close()


def _readings(study: Study, bench: Workbench, changes: Mapping[str, object], seeds: Sequence[int]) -> Iterator[Reading]:
    recipe = Recipe.model_validate({**study.start.model_dump(), **changes})
    key = study.material.key("labs.microcoder.measure")
    for seed in seeds:
        with TemporaryDirectory() as folder:
            outcome = measure(bench, [Probe(recipe, key, seed)], lambda _: Path(folder), lambda _: None)[0]
        if not isinstance(outcome, Reading):
            raise SystemExit(f"{recipe.to_toml()}\nseed {seed} failed: {outcome.kind}: {outcome.message}")
        yield outcome


def _pass_rates_of_base(study: Study, bench: Workbench) -> Passed:
    base, prompts, probe = bench.base("none"), study.material.probe_prompts, study.material.probe
    sampling = Sampling(probe.samples, probe.temperature, max_new_tokens=probe.max_new_tokens)
    texts = generate(base.model, base.tokenizer, [base.render(prompt.text) for prompt in prompts], sampling)
    answers = [Answer(prompt, text) for prompt, own in zip(prompts, texts, strict=True) for text in own]
    scores, _ = sorted_out(answers, bench.open_scorer().score(answers), probe.samples)
    return _pass_rates([(score.category, score.value) for score in scores])


def _scores(reading: Reading) -> list[tuple[str, float]]:
    return [(score.category, score.value) for score in reading.scores]


def _overall(reading: Reading) -> float:
    return _pass_rates(_scores(reading))["all"]


def _pass_rates(scores: Sequence[tuple[str, float]]) -> Passed:
    """Share of answers that pass every case, per category and for `all`."""
    given, passed = Counter[str](), Counter[str]()
    for category, value in scores:
        for group in (category, "all"):
            given[group] += 1
            passed[group] += value == PASS
    return {group: passed[group] / count for group, count in given.items()}


def _print_row(name: str, rates: Passed, spread: str) -> None:
    cells = [f"{rates[group]:.3f}" for group in (*CATEGORIES, "all")]
    print(f"| {name} | {' | '.join(cells)} | {spread} |", flush=True)
