"""Each layer of the text gate alone: what it refuses, what it passes, and its messages."""

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from some_answers import Text, answer_of, everyday, receipts, standing
from some_rows import pair, side

from preferences.certify.certificate import GATES, Certificate
from preferences.certify.receipt import Receipt
from preferences.code_gate import LAYERS as CODE_LAYERS
from preferences.store.annotations import AnnotatedRow
from preferences.store.provenance import Provenance
from preferences.text_gate import LAYERS, answers_under_test, certify
from preferences.text_gate.layers.repetition import repeated
from probes.inputs.rows.turns import plain

GOOD = Text(
    "How do I keep basil alive?",
    "Give it the sunniest window that you have, and water it when the top of the soil feels dry.",
    "Put it anywhere and water it every day, since basil loves to stand in water, and leave it alone.",
)


def receipt(layer: str, text: Text = GOOD, **changes: Any) -> Receipt:
    return LAYERS[layer](answer_of(replace(text, **changes)))


def test_a_good_answer_passes_all_layers_with_figures() -> None:
    certificate = certify(answer_of(GOOD))
    assert certificate.certified, certificate.reason
    assert [one.layer for one in certificate.receipts] == list(LAYERS)
    assert all(one.figures for one in certificate.receipts)


def test_the_names_of_the_layers_are_those_of_the_gates() -> None:
    assert {"code": tuple(CODE_LAYERS), "text": tuple(LAYERS)} == dict(GATES)


def test_all_layers_run_after_one_that_refused() -> None:
    certificate = certify(
        answer_of(replace(GOOD, score=2.0, critical=("empty",), chosen="I'm sorry, but I can't help."))
    )
    assert len(certificate.receipts) == 8
    assert certificate.failed == ("components", "critical", "length", "refusal")
    assert Certificate.from_json(certificate.as_json()) == certificate


def test_what_is_mechanical_is_refused_unseen() -> None:
    sides = Provenance((side("mechanical"), side()), "", "", "harvest-1", "k")
    flipped = pair(0, "preference", provenance=replace(sides, sides=sides.sides[::-1]))
    certificate = certify(answers_under_test([AnnotatedRow(flipped, flipped=True)])[0])
    assert (certificate.certified, certificate.receipts) == (False, ())
    assert "mechanical transformation" in certificate.reason


def test_a_flipped_row_is_looked_at_as_it_stands() -> None:
    one = replace(standing(GOOD), flipped=True)
    (case,) = answers_under_test([one])
    assert (case.chosen, case.rejected) == (GOOD.rejected, GOOD.chosen)
    assert certify(case).failed == ("components",)
    assert "it was not judged" in certify(case).reason


def test_rows_out_of_use_are_no_part_of_the_set() -> None:
    rows = [replace(standing(text, number), dropped=number == 1) for number, text in enumerate(everyday()[:5])]
    found = answers_under_test(rows)
    assert len(found) == 4
    assert found[0].nearness.prompts == 4


# components


@pytest.mark.parametrize(
    ("changes", "failing"),
    [
        ({"figures": (("voice", 3.0), ("wit", 9.0))}, "voice 3 of 10, at least 5"),
        ({"score": 6.5}, "score 6.5 of 10, at least 7"),
        ({"score": None, "figures": ()}, "it was not judged: it has neither a score nor components"),
        ({"score": None, "figures": (("pass", 1.0), ("pass_spread", 0.4))}, "it was not judged"),
        ({"figures": (("voice", 80.0),)}, "voice is 80, and marks are from 0 to 10"),
        ({"score": 80.0}, "the score is 80, and marks are from 0 to 10"),
        ({"score": 0.9, "figures": (("voice", 0.9),)}, "score 0.9 of 10"),
    ],
)
def test_a_low_mark_and_one_that_nobody_gave_are_refused(changes: dict[str, Any], failing: str) -> None:
    found = receipt("components", **changes)
    assert not found.passed
    assert failing in found.failing


@pytest.mark.parametrize(
    "changes",
    [
        {"score": 7.0, "figures": (("voice", 5.0),)},
        {"score": None, "figures": (("voice", 6.0),)},
        {"score": 8.0, "figures": ()},
        {"score": 10.0, "figures": (("pass", 1.0),)},
        {"score": 10.0, "figures": (("tone", 0.4), ("facts", 1.0))},
        {"figures": (("voice", 8.0), ("judge_overall", 2.0), ("pass_spread", 0.3))},
    ],
)
def test_shares_and_what_stands_beside_the_components_are_none(changes: dict[str, Any]) -> None:
    found = receipt("components", **changes)
    assert found.passed, found.failing


def test_critical_failures_are_named() -> None:
    assert receipt("critical").passed
    assert receipt("critical", critical=("breaks_character", "empty")).failing == "breaks_character, empty"


# length


@pytest.mark.parametrize(
    ("chosen", "rejected", "passed"),
    [
        (300, 100, True),
        (301, 100, False),
        (100, 300, True),
        (100, 301, False),
        (4, 40, True),
        (1, 42, False),
        (1000, 90, False),
    ],
)
def test_three_times_as_long_or_as_short_is_the_most(chosen: int, rejected: int, passed: bool) -> None:
    found = receipt("length", chosen="a" * chosen + "\n", rejected="b" * rejected)
    assert found.passed is passed
    assert (found.figures["chosen"], found.figures["rejected"]) == (chosen, rejected)


# repetition

LOOPS = {
    "a sentence": "I saw to the lamp every single morning. " * 8,
    "a phrase in an answer": plain(GOOD.chosen) + " And then you water it again" * 9,
    "two words": "It is very, " + "very good, " * 40,
    "one word": "no " * 120,
    "lines": "Water it.\nWait.\n" * 12,
    "no spaces": "今天天气很好，我们去公园散步。" * 12,
    "late": " ".join(text.chosen for text in everyday()[:2] if isinstance(text.chosen, str)) + " and so on and on" * 20,
}


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_is_refused_with_what_it_says(name: str) -> None:
    found = receipt("repetition", chosen=LOOPS[name])
    assert not found.passed, found.figures
    assert found.failing.split("'")[1] in " ".join(re.findall(r"\w+", LOOPS[name])).casefold()


@pytest.mark.parametrize(
    "text",
    [
        "Yes. Yes. Yes.",
        "I do not know how deep it is, and I do not know how deep it was.",
        "First, water it.\nSecond, water it less.\nThird, water it least of all.",
        "- flour\n- salt\n- water\n- flour for the board\n- salt for the crust\n",
        "The rain fell, the rain fell hard, and the rain fell long after we had gone to bed.",
    ],
)
def test_a_short_text_that_says_a_thing_twice_is_no_loop(text: str) -> None:
    assert receipt("repetition", chosen=text).passed


@pytest.mark.parametrize("text", ["我喜欢森林" * 60, "とても楽しいですね" * 50, "a" * 400, "ha" * 200])
def test_a_loop_without_word_breaks_is_one_too(text: str) -> None:
    assert "compresses" in receipt("repetition", chosen=text).failing


def test_no_everyday_answer_is_a_loop() -> None:
    assert all(found["repetition"].passed for found in receipts(everyday()))


@given(st.lists(st.sampled_from("abc"), max_size=40))
def test_what_is_repeated_is_what_stood_there_before(words: list[str]) -> None:
    places = repeated(words, 5)
    starts = [tuple(words[start : start + 5]) for start in range(len(words) - 4)]
    assert bool(places) == (len(set(starts)) < len(starts))
    assert all(0 < place < len(words) for place in places)


# refusal


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I cannot assist with this request.",
        "Sorry, I can\u2019t share that.",
        "As an AI language model, I have no opinion on basil.",
        "I am unable to provide advice on plants.",
        "Thank you for asking. I won't write about this topic.",
        "I must decline.  I will not discuss it.",
        "I'm not able to do that for you.",
        "I don't feel comfortable with this.",
        "I apologize, but I cannot continue.",
        "Unfortunately, I am not permitted to describe this.",
        "I must refuse to answer.",
        "I am sorry that we cannot help you with this.",
        "I cannot in good conscience write that.",
        "No, I will not do it.",
        "Es tut mir leid, aber dabei kann ich nicht helfen.",
        "Je suis désolé, mais je ne peux pas vous aider.",
        "对不起，我无法帮助您。",
    ],
)
def test_an_answer_that_declines_is_refused_with_its_words(text: str) -> None:
    found = receipt("refusal", chosen=text)
    assert not found.passed
    assert found.failing.strip("'\"")[:10] in text.replace("\u2019", "'")


@pytest.mark.parametrize(
    "text",
    [
        GOOD.chosen,
        "I was not there, so I cannot say.",
        "I'm so sorry to hear that your dog is ill. Call the vet tonight.",
        "I am sorry for your loss. Write to her soon.",
        "I am sorry that we did not reply. We will write today.",
        "I am sorry that nobody rang you. The book is here.",
        "Sorry to hear about the car. Check the battery first.",
        "I can't help but smile when I think of it. Go there in May.",
        "I will not change my mind about lamps.",
        "I cannot remember a colder winter.",
        "I was unable to sleep for a week after it. Try a cold room.",
        "As an AI researcher you would begin with the data.",
        "He said: I beg your pardon, and left.",
    ],
)
def test_not_knowing_a_firm_view_and_pity_are_no_refusals(text: str) -> None:
    assert receipt("refusal", chosen=text).passed


# near duplicates


def test_an_answer_near_its_rejected_side_leaves_nothing_to_learn() -> None:
    found = receipt("near_duplicate", rejected=plain(GOOD.chosen).replace("Give", "Find"))
    assert not found.passed
    assert "similar to its own rejected side" in found.failing
    assert receipt(
        "near_duplicate", rejected=plain(GOOD.chosen) + " " + plain(GOOD.rejected) + " And so on. " * 9
    ).passed
    assert receipt(
        "near_duplicate",
        chosen="It was built in 1911 by men from the south.",
        rejected="It was built in 1912 by men from the south.",
    ).passed


def test_an_answer_given_to_an_earlier_row_with_another_prompt_is_refused_and_the_row_named() -> None:
    again = replace(GOOD, prompt="What is the capital of Australia?")
    first, second = receipts([GOOD, again])
    assert first["near_duplicate"].passed
    assert standing(GOOD).id in second["near_duplicate"].failing
    assert "which answers another prompt" in second["near_duplicate"].failing


def test_the_same_prompt_may_have_the_same_answer_twice_but_not_the_whole_row() -> None:
    other = replace(GOOD, rejected="Throw it away and buy a plastic one, since nobody will see the difference.")
    *_, same, whole = receipts([GOOD, other, replace(GOOD, chosen=f"{GOOD.chosen} ")])
    assert same["near_duplicate"].passed
    assert f"it repeats row {standing(GOOD).id}" in whole["near_duplicate"].failing


def test_short_answers_may_be_right_for_many_prompts() -> None:
    texts = [replace(GOOD, prompt=f"Is {name} a plant?", chosen="Yes.", rejected="No.") for name in ("basil", "thyme")]
    assert all(found["near_duplicate"].passed for found in receipts(texts))
