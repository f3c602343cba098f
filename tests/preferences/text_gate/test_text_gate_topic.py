"""Answers that leaked from another prompt of the set: how many are caught, and how many others are refused."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from moved_answers import copied, given, one_row_off, swapped
from some_answers import Text, everyday, leaked, persona, receipts, refusals, standing

from preferences.text_gate import AnswerUnderTest, answers_under_test
from preferences.text_gate.text_vectors import BY_EMBEDDER, BY_WORDS, Array, by_embedder, by_words, unit
from preferences.text_gate.topic_similarity import FEWEST
from probes.inputs.rows.turns import Turn

GENERIC = (
    "I am not sure about that, and you could look it up somewhere or ask a person who knows.",
    "That depends on many things, so it is hard to say, and opinions differ a good deal.",
    "Just try it and see what happens, and if it does not work you can still do something else.",
)


def share(texts: list[Text], places: list[int]) -> tuple[float, float]:
    """Of the leaked answers, those that the layer refused; of the others, those that it passed."""
    refused = ["topic" in layers for layers in refusals(texts)]
    rest = [place for place in range(len(texts)) if place not in places]
    return float(np.mean([refused[k] for k in places])), float(np.mean([not refused[k] for k in rest] or [True]))


def shares(texts: list[Text], count: int, times: int, both: bool = False) -> tuple[float, float]:
    random, found = Random(5), []
    for _ in range(times):
        places = random.sample(range(len(texts)), count)
        found.append(share(leaked(texts, places, random, both), places))
    return float(np.mean([one for one, _ in found])), float(np.mean([one for _, one in found]))


def test_of_forty_everyday_answers_at_least_95_percent_are_told_to_be_on_topic() -> None:
    refused = [layers for layers in refusals(everyday()) if "topic" in layers]
    assert len(refused) <= 2


@pytest.mark.long
@pytest.mark.parametrize(("both", "bound"), [(False, 0.85), (True, 0.75)])
def test_most_answers_that_stand_with_another_prompt_too_are_caught(both: bool, bound: float) -> None:
    assert copied(everyday(), both).caught >= bound


@pytest.mark.long
def test_of_answers_that_changed_places_words_alone_catch_near_half() -> None:
    assert swapped(everyday()).caught >= 0.45


@pytest.mark.long
def test_a_tenth_of_the_answers_leaked() -> None:
    caught, passed = shares(everyday(), 4, 15)
    assert caught >= 0.8
    assert passed >= 0.93


def test_where_rejected_sides_say_nothing_37_of_40_good_answers_are_told_to_be_on_topic() -> None:
    texts = [replace(text, rejected=GENERIC[place % 3]) for place, text in enumerate(everyday())]
    assert np.mean(["topic" not in layers for layers in refusals(texts)]) >= 0.92


def test_good_answers_pass_beside_rows_whose_two_sides_moved_together() -> None:
    texts, places = everyday(), [3, 11, 24, 38]
    moved = [given(text, texts[(k + 1) % 40], True) if k in places else text for k, text in enumerate(texts)]
    _, passed = share(moved, places)
    assert passed >= 0.9


def test_of_a_set_in_which_every_answer_is_one_row_off_words_alone_refuse_near_half() -> None:
    assert one_row_off(everyday()).caught >= 0.45


def test_the_prompt_that_an_answer_leaked_from_is_named_with_its_row() -> None:
    texts = everyday()
    texts[3] = replace(texts[3], chosen=texts[17].chosen)
    failing = receipts(texts)[3]["topic"].failing
    assert "'How do I make a simple tomato sauce for pasta?'" in failing
    assert f"of row {standing(texts[17], 17).id}" in failing


def test_where_an_answer_stands_with_two_prompts_the_one_it_belongs_to_keeps_it() -> None:
    texts = everyday()
    texts[3] = replace(texts[3], chosen=texts[17].chosen)
    found = receipts(texts)
    assert not found[3]["topic"].passed
    assert found[17]["topic"].passed


def test_answers_in_a_voice_that_names_no_topic_are_left_alone_and_said_to_be_so() -> None:
    """The bundled study's keeper answers "I saw to that every morning" to half of what she is asked: nothing tells
    such an answer from one to another question."""
    texts = persona()
    found = receipts(texts)
    assert {row["topic"].figures["told_apart"] for row in found} == {0.0}
    assert all(row["topic"].passed for row in found)


def test_an_answer_to_nearly_the_same_prompt_is_no_leak() -> None:
    texts = everyday()
    twin = replace(texts[0], prompt="How can I keep basil alive on my kitchen windowsill?")
    *_, first, second = (found["topic"] for found in receipts([*texts[1:], texts[0], twin]))
    assert first.passed
    assert second.passed


def test_a_set_of_too_few_prompts_is_not_measured() -> None:
    texts = everyday()[: FEWEST - 1]
    texts[0] = replace(texts[0], chosen=texts[1].chosen)
    found = receipts(texts)[0]["topic"]
    assert (found.passed, found.figures["own"], found.figures["other"]) == (True, 0.0, 0.0)


def test_the_order_of_the_rows_changes_no_figure() -> None:
    rows = [standing(text, number) for number, text in enumerate(everyday())]

    def measured(found: tuple[AnswerUnderTest, ...]) -> dict[str, tuple[float, float]]:
        return {case.row.id: (round(case.nearness.own, 4), round(case.nearness.other, 4)) for case in found}

    assert measured(answers_under_test(rows)) == measured(answers_under_test(rows[::-1]))


def test_conversations_are_compared_by_all_that_is_said_before_the_answer() -> None:
    def talk(text: Text) -> Text:
        asked = (Turn("system", "You are a helpful assistant."), Turn("user", str(text.prompt)))
        sides = (Turn("assistant", str(text.chosen)),), (Turn("assistant", str(text.rejected)),)
        return replace(text, prompt=asked, chosen=sides[0], rejected=sides[1])

    texts = [talk(text) for text in everyday()]
    assert sum("topic" in layers for layers in refusals(texts)) <= 3
    texts[3] = replace(texts[3], chosen=texts[17].chosen)
    assert "topic" in refusals(texts)[3]


def test_a_text_without_a_word_is_near_to_nothing() -> None:
    prompts, rows = ["?", "!", "why is the sky blue"], np.arange(3)
    assert not by_words(rows, ["?", "!", "-"], ["", ".", ""], ["", "", "..."]).near(slice(0, 3)).any()
    near = by_words(rows, prompts, ["the sky is blue", "", "blue sky"], ["", "", ""]).near(slice(0, 3))
    assert not near[:, :2].any()
    assert list(near[:, 2] > 0) == [True, False, True]
    assert not unit(np.zeros((2, 3), dtype=np.float32)).any()


def test_a_prompts_profile_is_what_it_asks_and_the_mean_of_its_rejected_sides() -> None:
    rejected = ["put it anywhere", "water it daily"]
    space = by_words(np.array([0, 0, 1]), ["basil", "soda"], ["a", "b", "c"], [*rejected, "fizz"])
    single = [
        by_words(np.array([0, 0, 1]), ["basil", "soda"], [text, "b", "c"], [*rejected, "fizz"]) for text in rejected
    ]
    assert single[0].near(slice(0, 1))[0, 0] > 0.3
    assert single[1].near(slice(0, 1))[0, 0] > 0.3
    assert space.near(slice(0, 3))[0, 1] == 0
    assert space.bounds is BY_WORDS


def subjects(texts: Sequence[str]) -> Array:
    """An embedder that knows which of the everyday prompts a text asks or answers, and adds what all have in common."""
    known = {
        str(said): place for place, text in enumerate(everyday()) for said in (text.prompt, text.chosen, text.rejected)
    }
    found = np.ones((len(texts), 41), dtype=np.float32)
    for line, text in enumerate(texts):
        found[line, known[text]] += 3
    return found


@pytest.mark.parametrize("both", [False, True])
def test_with_an_embedder_that_knows_the_topics_every_leak_is_caught_and_nothing_else(both: bool) -> None:
    texts = everyday()
    moved = list(texts)
    for place in (3, 11, 24, 38):
        moved[place] = given(texts[place], texts[(place + 1) % 40], both)
    found = answers_under_test([standing(text, number) for number, text in enumerate(moved)], subjects)
    assert [place for place, case in enumerate(found) if case.nearness.leaked] == [3, 11, 24, 38]
    assert by_embedder(subjects, *([str(text.prompt) for text in texts] for _ in range(3))).bounds is BY_EMBEDDER
