"""The language of an answer: scripts, Latin languages, and prompts that ask for another one."""

from dataclasses import replace

import pytest
from some_answers import ANSWERS, Text, answer_of, everyday

from preferences.text_gate.language_detection import language_of, named, related, script_of
from preferences.text_gate.layers.language import check
from probes.inputs.rows.turns import Turn

PROMPTS = {
    "de": "Wie halte ich Basilikum auf der Fensterbank in der Küche am Leben?",
    "fr": "Comment garder du basilic en vie sur le rebord de la fenêtre ?",
    "es": "¿Cómo mantengo viva la albahaca en la ventana de la cocina?",
    "pl": "Jak utrzymać bazylię przy życiu na parapecie w kuchni?",
    "ru": "Как сохранить базилик живым на кухонном подоконнике?",
    "zh": "怎样让厨房窗台上的罗勒活得久一些？",
}
ENGLISH = "Give it the sunniest window that you have, and water it when the top of the soil feels dry to the touch."


def failing(prompt: str, chosen: str) -> str:
    return check(answer_of(Text(prompt, chosen, "no"))).failing


@pytest.mark.parametrize("code", ANSWERS)
def test_an_answer_in_another_language_than_its_english_prompt_is_refused(code: str) -> None:
    told = failing("How do I keep basil alive on a kitchen windowsill?", ANSWERS[code])
    assert told.startswith("the prompt is in ")
    assert script_of(ANSWERS[code]) == "LATIN" or "letters" in told


@pytest.mark.parametrize("code", PROMPTS)
def test_an_english_answer_to_a_prompt_in_another_language_is_refused(code: str) -> None:
    assert failing(PROMPTS[code], ENGLISH)


@pytest.mark.parametrize("code", PROMPTS)
def test_an_answer_in_the_language_of_its_prompt_passes(code: str) -> None:
    assert not failing(PROMPTS[code], ANSWERS[code])


def test_no_everyday_answer_is_in_another_language_than_its_prompt() -> None:
    assert not [text for text in everyday() if check(answer_of(text)).failing]


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        ("Translate to French: put the plant in the window.", "fr"),
        ("How would you say this in German? Put the plant in the sunniest window that you have.", "de"),
        ("please answer in spanish: how do I keep basil alive on a windowsill?", "es"),
        ("Translate this sentence for my grandmother: put the plant in the window.", "pl"),
        ("Write a short text in Russian about how to keep basil alive.", "ru"),
        ("What would a Japanese gardener write about basil? Use their language.", "ja"),
        (f"Proofread this letter for me, please.\n\n{ANSWERS['it']}", "it"),
    ],
)
def test_a_prompt_that_asks_for_another_language_gets_it(prompt: str, code: str) -> None:
    assert not failing(prompt, ANSWERS[code])


def test_a_language_that_the_prompt_names_is_no_pass_for_a_third() -> None:
    assert "French" in failing("How would you say this in German? Put the plant in the window.", ANSWERS["fr"])


def test_a_text_in_another_language_may_be_summed_up_in_english() -> None:
    assert not failing(f"Sum this up in one sentence, please, for somebody in a hurry.\n\n{ANSWERS['it']}", ENGLISH)


@pytest.mark.parametrize("answer", ["Ja.", "42", "C'est la vie!", "```\nx = 1\n```", "Schadenfreude.", "O Sole Mio"])
def test_of_a_few_words_nothing_is_said(answer: str) -> None:
    assert not failing("What is the name of that song about the sun that everybody knows?", answer)


def test_what_the_user_says_last_counts_and_not_the_language_of_the_system() -> None:
    asked = (Turn("system", "You are a helpful assistant and answer in a friendly way."), Turn("user", PROMPTS["de"]))
    text = Text(asked, (Turn("assistant", ANSWERS["de"]),), (Turn("assistant", "nein"),))
    assert not check(answer_of(text)).failing
    assert check(answer_of(replace(text, chosen=(Turn("assistant", ENGLISH),)))).failing
    told = (Turn("system", "Always answer in English, whatever language the user writes."), Turn("user", PROMPTS["de"]))
    assert not check(answer_of(replace(text, prompt=told, chosen=(Turn("assistant", ENGLISH),)))).failing


def test_languages_are_told_by_code_and_named_in_english() -> None:
    assert [language_of(text) for text in ANSWERS.values()] == list(ANSWERS)
    assert language_of("What is a marlinspike for?") == "en"
    assert language_of("Xylo 42") == ""
    assert named("in german, or the polish of a French door") == {"German", "Polish", "French"}
    assert related("no", "da")
    assert not related("es", "pt")
