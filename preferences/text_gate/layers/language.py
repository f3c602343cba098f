"""Layer 6: the answer is in the script and in the language of its prompt.

Both have to be certain (language_detection.py), so a few words pass. Also allowed are the languages of the prompt's own
lines, such as a text to summarize, those that it names in English ("in German", "the French word"), and all if it asks
for a translation without naming a language. This layer does not see a language that is named in another than English, a
mix-up of languages as close as Danish and Norwegian, or an answer that changes its language midway.
"""

import re

from preferences.certify.receipt import Receipt
from preferences.text_gate.answer_under_test import AnswerUnderTest
from preferences.text_gate.language_detection import NAMES, language_of, name_of, named, related, script_of, scripts_of

_TRANSLATES = re.compile(r"\btransl(?:at|iterat)", re.IGNORECASE)
_FEWEST_LETTERS = 40  # of an answer, or of a line of a prompt


def check(answer: AnswerUnderTest) -> Receipt:
    """The script is checked first: it takes fewer letters than the language."""
    figures = {"prompt_letters": float(_letters(answer.question)), "letters": float(_letters(answer.chosen))}
    names = named(answer.prompt)
    any_language = not names and _TRANSLATES.search(answer.prompt)
    failing = "" if any_language else _script(answer, names) or _language(answer, names)
    return Receipt("language", not failing, figures, failing)


def _script(answer: AnswerUnderTest, names: frozenset[str]) -> str:
    written, question = script_of(answer.chosen), script_of(answer.question)
    allowed = scripts_of(answer.question) | {NAMES[name][1] for name in names}
    if not written or not question or written in allowed:
        return ""
    return f"the prompt is in {question.capitalize()} letters and the answer in {written.capitalize()}"


def _language(answer: AnswerUnderTest, names: frozenset[str]) -> str:
    question = language_of(answer.question)
    written = language_of(answer.chosen) if question and _letters(answer.chosen) >= _FEWEST_LETTERS else ""
    if not written or related(question, written):
        return ""
    lines = (line for line in answer.question.splitlines() if _letters(line) >= _FEWEST_LETTERS)
    allowed = {*map(language_of, lines), *(NAMES[name][0] for name in names)}
    if any(related(language, written) for language in allowed):
        return ""
    return f"the prompt is in {name_of(question)} and the answer in {name_of(written)}"


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))
