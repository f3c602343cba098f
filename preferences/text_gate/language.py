"""Layer 6: the answer is in the script and in the language of its prompt.

Both have to be certain (languages.py); of a few words nothing is said. Also allowed are the languages of the prompt's
own lines, a text to be summed up say, those that it names in English ("in German", "the French word"), and where it
asks for a translation without naming one, all. What this cannot see: a language that is named in another than
English, two languages as near to each other as Danish and Norwegian, an answer that changes its language on the way.
"""

import re

from preferences.certify.receipt import Receipt
from preferences.text_gate import language_detection as languages
from preferences.text_gate.answer_under_test import Case

_TRANSLATES = re.compile(r"\btransl(?:at|iterat)", re.IGNORECASE)
_FEWEST_LETTERS = 40  # of an answer, or of a line of a prompt


def check(case: Case) -> Receipt:
    """Figures are the letters of both. The script comes first: it is seen in fewer of them."""
    figures = {"prompt_letters": float(_letters(case.asked)), "letters": float(_letters(case.chosen))}
    names = languages.named(case.prompt)
    any_language = not names and _TRANSLATES.search(case.prompt)
    told = "" if any_language else _script(case, names) or _language(case, names)
    return Receipt("language", not told, figures, told)


def _script(case: Case, names: frozenset[str]) -> str:
    answered, asked = languages.script_of(case.chosen), languages.script_of(case.asked)
    allowed = languages.scripts_of(case.asked) | {languages.NAMES[name][1] for name in names}
    if not answered or not asked or answered in allowed:
        return ""
    return f"the prompt is in {asked.capitalize()} letters and the answer in {answered.capitalize()}"


def _language(case: Case, names: frozenset[str]) -> str:
    asked = languages.language_of(case.asked)
    answered = languages.language_of(case.chosen) if asked and _letters(case.chosen) >= _FEWEST_LETTERS else ""
    if not answered or languages.kin(asked, answered):
        return ""
    lines = (line for line in case.asked.splitlines() if _letters(line) >= _FEWEST_LETTERS)
    allowed = {*map(languages.language_of, lines), *(languages.NAMES[name][0] for name in names)}
    if any(languages.kin(one, answered) for one in allowed):
        return ""
    return f"the prompt is in {languages.told(asked)} and the answer in {languages.told(answered)}"


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))
