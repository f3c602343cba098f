"""The tasks of microcoder: references pass, mistakes do not, splits are disjoint, the seed decides everything."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from long_cases import but_one_in

from labs.microcoder.corpus import MISTAKE_SHARE, write_corpus
from labs.microcoder.material import Size
from labs.microcoder.sources import BREAKS
from labs.microcoder.splits import Drawn, draw_prompts
from labs.microcoder.tasks import CATEGORIES, TEMPLATES, Task, Template
from probes.inputs.prompts import Prompt
from probes.scoring import Answer
from probes.scoring.execution.scorer import ExecutionScorer, ExecutionSettings

SEED = 5
SMALL = {"probe": 24, "harvest": 30, "holdout": 24}
DRAWN = draw_prompts(SMALL, SEED)


@pytest.fixture(scope="module")
def scorer() -> Iterator[ExecutionScorer]:
    opened = ExecutionScorer(ExecutionSettings(seconds=2.0))
    yield opened
    opened.close()


def prompt_of(template: Template) -> tuple[Task, Prompt]:
    random = Random(template.name)
    task = template.task(random)
    return task, _prompt(Drawn(f"probe-{template.name}", "probe", task, task.cases(random)).as_row())


def _prompt(row: dict[str, Any]) -> Prompt:
    return Prompt(row["id"], row["split"], row["category"], row["difficulty"], row["prompt"], row["checks"])


@pytest.mark.parametrize("template", but_one_in(3, TEMPLATES), ids=lambda template: template.name)
def test_in_the_sandbox_the_reference_passes_every_case_and_each_mistake_and_break_fails_one(
    template: Template, scorer: ExecutionScorer
) -> None:
    task, prompt = prompt_of(template)
    broken = [text for text in (make(task) for make in BREAKS) if text is not None]
    texts = [task.reference, *task.mistakes, *broken]
    marks = scorer.score([Answer(prompt, text) for text in texts])
    assert marks[0].outcome == "PASS"
    for text, mark in zip(texts[1:], marks[1:], strict=True):
        assert mark.value < 10, f"this passes every case of {task.prompt}:\n{text}"


def test_the_missing_import_is_a_name_error(scorer: ExecutionScorer) -> None:
    for template in TEMPLATES:
        if template.category == "imports":
            task, prompt = prompt_of(template)
            assert "import" not in task.mistakes[0]
            assert scorer.score([Answer(prompt, task.mistakes[0])])[0].outcome == "NAME_ERROR"


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
def test_invariants_hold_for_the_expected_values(template: Template) -> None:
    for seed in range(3):
        random = Random(seed)
        task = template.task(random)
        for case in task.cases(random):
            names = dict(zip(task.parameters, case.arguments, strict=True))
            for rule in task.invariants:
                assert eval(rule, {"result": case.expected, **names}), (rule, case)


def test_every_category_has_every_difficulty() -> None:
    assert len(CATEGORIES) >= 6
    found = {(template.category, template.difficulty) for template in TEMPLATES}
    assert found == {(category, difficulty) for category in CATEGORIES for difficulty in (1, 2, 3)}


def test_a_category_has_many_hundreds_of_tasks() -> None:
    random = Random(0)
    for category in CATEGORIES:
        templates = [template for template in TEMPLATES if template.category == category]
        prompts = {random.choice(templates).task(random).prompt for _ in range(4000)}
        assert len(prompts) > 800, category


def test_no_prompt_is_in_two_splits_or_twice_in_one() -> None:
    prompts = [drawn.task.prompt for drawn in DRAWN]
    assert len(set(prompts)) == len(prompts)
    assert Counter((d.split, d.task.category) for d in DRAWN) == {
        (split, category): count for split, count in SMALL.items() for category in CATEGORIES
    }


def test_every_split_holds_every_template_of_the_probe_split() -> None:
    default = Size().prompts
    for category in CATEGORIES:
        templates = sum(template.category == category for template in TEMPLATES)
        assert default["probe"] >= templates
        assert default["holdout"] >= templates


def test_the_seed_decides_every_prompt_and_case() -> None:
    again = [drawn.as_row() for drawn in draw_prompts(SMALL, SEED)]
    assert json.dumps(again) == json.dumps([drawn.as_row() for drawn in DRAWN])
    other = [drawn.as_row() for drawn in draw_prompts(SMALL, SEED + 1)]
    assert json.dumps(again) != json.dumps(other)


def test_rows_have_eight_to_twelve_cases_and_plain_prompts() -> None:
    for row in (drawn.as_row() for drawn in DRAWN):
        assert set(row) == {"id", "split", "category", "difficulty", "prompt", "checks"}
        assert 8 <= len(row["checks"]["cases"]) <= 12, row["prompt"]
        assert row["prompt"].startswith("# ")
        assert row["prompt"].endswith("\n")
        assert row["checks"]["entry_point"] + "(" in row["prompt"]
    ExecutionScorer.check(ExecutionSettings(), Path(), [_prompt(drawn.as_row()) for drawn in DRAWN])


def test_the_corpus_keeps_to_its_shares_of_mistakes_and_leaves_reserved_prompts_out() -> None:
    reserved = {drawn.task.prompt for drawn in DRAWN if drawn.split != "harvest"}
    corpus = write_corpus(6000, SEED, reserved)
    assert not reserved & {document.prompt for document in corpus}
    for category, share in MISTAKE_SHARE.items():
        own = [document.mistaken for document in corpus if document.category == category]
        assert len(own) == 1000
        assert abs(sum(own) / len(own) - share) < 0.06
    assert corpus == write_corpus(6000, SEED, reserved)
