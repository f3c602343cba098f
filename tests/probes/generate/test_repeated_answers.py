"""A server is asked one question at a time and all of them at once."""

import threading

import pytest

from probes.generate.repeated_answers import QUESTIONS, same_answers

PROMPTS = [f"question {number}" for number in range(QUESTIONS + 4)]


def test_a_server_that_repeats_itself_has_the_same_answers_alone_and_together() -> None:
    assert same_answers(str.upper, PROMPTS) == (QUESTIONS, QUESTIONS)


def test_answers_that_depend_on_how_many_are_asked_at_once_are_counted() -> None:
    everyone = threading.Barrier(QUESTIONS)
    alone = [QUESTIONS]

    def ask(prompt: str) -> str:
        if alone[0]:
            alone[0] -= 1
            return prompt
        everyone.wait(10)  # all are asked at once
        return prompt if prompt in PROMPTS[:3] else "another"

    assert same_answers(ask, PROMPTS) == (3, QUESTIONS)


def test_one_question_cannot_be_asked_together_with_others() -> None:
    assert same_answers(str.upper, ["the same", "the same"]) == (0, 0)


def test_what_asking_raises_is_raised() -> None:
    def ask(prompt: str) -> str:
        raise OSError(prompt)

    with pytest.raises(OSError, match="question 0"):
        same_answers(ask, PROMPTS)
