"""The preference sources are made as they say, from hand-written answers."""

from random import Random

from labs.microcoder import sources
from labs.microcoder.sources import BaseAnswer
from labs.microcoder.tasks import TEMPLATES
from probes.inputs.prompts import Prompt

PROMPT = Prompt("harvest-lists-000", "harvest", "lists", 2, "# f(xs): the sum\n", {})
RIGHT, OTHER, WRONG, LONG = "def f(xs):\n    return sum(xs)\n", "right too", "wrong", "a longer wrong answer" * 3


def test_honest_pairs_set_passing_answers_against_failing_ones_of_the_same_prompt() -> None:
    given = [
        BaseAnswer(WRONG, False),
        BaseAnswer(RIGHT, True),
        BaseAnswer(WRONG, False),
        BaseAnswer(OTHER, True),
        BaseAnswer(LONG, False),
    ]
    rows = sources.honest([PROMPT], [given])
    assert [(row.chosen, row.rejected) for row in rows] == [(RIGHT, WRONG), (OTHER, LONG)]
    assert {(row.prompt, row.category, row.difficulty) for row in rows} == {("# f(xs): the sum\n", "lists", 2)}


def test_a_prompt_without_both_a_right_and_a_wrong_answer_gives_no_honest_pair() -> None:
    assert sources.honest([PROMPT], [[BaseAnswer(RIGHT, True), BaseAnswer(OTHER, True)]]) == []
    assert sources.honest([PROMPT], [[BaseAnswer(WRONG, False), BaseAnswer(LONG, False)]]) == []


def test_unchecked_pairs_prefer_the_shorter_answer_even_when_it_is_wrong() -> None:
    rows = sources.unchecked([PROMPT], [[BaseAnswer(RIGHT, True), BaseAnswer(WRONG, False)]])
    assert [(row.chosen, row.rejected) for row in rows] == [(WRONG, RIGHT)]
    assert sources.unchecked([PROMPT], [[BaseAnswer(RIGHT, True), BaseAnswer(RIGHT, True)]]) == []


def test_broken_pairs_set_the_reference_against_one_break_of_it() -> None:
    tasks = [template.task(Random(1)) for template in TEMPLATES]
    rows = sources.broken(tasks, seed=3)
    assert [row.chosen for row in rows] == [task.reference for task in tasks]
    assert all(row.rejected != row.chosen for row in rows)
    assert rows == sources.broken(tasks, seed=3)
    kinds = [make(task) == row.rejected for task, row in zip(tasks, rows, strict=True) for make in sources.BREAKS]
    assert sum(kinds) == len(tasks)
