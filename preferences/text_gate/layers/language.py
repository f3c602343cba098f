"""Layer 6: the answer is in the script and in the language of its prompt.

Both have to be certain (language_detection.py), so a few words pass. Also allowed are the languages of the prompt's own
lines, such as a text to summarize, those that it names in English ("in German", "the French word"), and all if it asks
for a translation without naming a language. This layer does not see a language that is named in another than English, a
mix-up of languages as close as Danish and Norwegian, or an answer that changes its language midway.
"""

import re

from preferences.certify.receipt import Receipt
from preferences.text_gate.answer_under_test import Case
from preferences.text_gate.language_detection import NAMES, language_of, name_of, named, related, script_of, scripts_of

_TRANSLATES = re.compile(r"\btransl(?:at|iterat)", re.IGNORECASE)
_FEWEST_LETTERS = 40  # of an answer, or of a line of a prompt


def check(case: Case) -> Receipt:
    """The script is checked first: it takes fewer letters than the language."""
    figures = {"prompt_letters": float(_letters(case.question)), "letters": float(_letters(case.chosen))}
    names = named(case.prompt)
    any_language = not names and _TRANSLATES.search(case.prompt)
    failing = "" if any_language else _script(case, names) or _language(case, names)
    return Receipt("language", not failing, figures, failing)


def _script(case: Case, names: frozenset[str]) -> str:
    answer, question = script_of(case.chosen), script_of(case.question)
    allowed = scripts_of(case.question) | {NAMES[name][1] for name in names}
    if not answer or not question or answer in allowed:
        return ""
    return f"the prompt is in {question.capitalize()} letters and the answer in {answer.capitalize()}"


def _language(case: Case, names: frozenset[str]) -> str:
    question = language_of(case.question)
    answer = language_of(case.chosen) if question and _letters(case.chosen) >= _FEWEST_LETTERS else ""
    if not answer or related(question, answer):
        return ""
    lines = (line for line in case.question.splitlines() if _letters(line) >= _FEWEST_LETTERS)
    allowed = {*map(language_of, lines), *(NAMES[name][0] for name in names)}
    if any(related(language, answer) for language in allowed):
        return ""
    return f"the prompt is in {name_of(question)} and the answer in {name_of(answer)}"


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))
