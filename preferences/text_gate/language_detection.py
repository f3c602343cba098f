"""Detects the language and the script of a text, and the languages that it names in English.

The detector is py3langid (Lui & Baldwin 2012, "langid.py: an off-the-shelf language identification tool", retrained):
naive Bayes on bytes, 140 languages; the shorter the text, the less certain it is. A text of which it is not certain is
English if enough of its words are among the commonest of English, else its language is unknown.
"""

import functools
import re
import unicodedata
from collections import Counter
from typing import Any

from probes.scoring.rules.ruleset import STOP_WORDS, Text

CERTAIN = 0.65
FEWEST_LETTERS = 20
LONGEST = 2_000
ENGLISH_WORDS = 3
ENGLISH_SHARE = 0.4

_TABLE = """
Afrikaans af, Albanian sq, Amharic am ETHIOPIC, Arabic ar ARABIC, Armenian hy ARMENIAN, Azerbaijani az, Basque eu,
Belarusian be CYRILLIC, Bengali bn BENGALI, Bosnian bs, Bulgarian bg CYRILLIC, Burmese my MYANMAR, Cantonese yue CJK,
Catalan ca, Chinese zh CJK, Croatian hr, Czech cs, Danish da, Dutch nl, English en, Esperanto eo, Estonian et,
Farsi fa ARABIC, Filipino tl, Finnish fi, Flemish nl, French fr, Galician gl, Georgian ka GEORGIAN, German de,
Greek el GREEK, Gujarati gu GUJARATI, Hausa ha, Hebrew he HEBREW, Hindi hi DEVANAGARI, Hungarian hu, Icelandic is,
Igbo ig, Indonesian id, Irish ga, Italian it, Japanese ja CJK, Javanese jv, Kannada kn KANNADA, Kazakh kk CYRILLIC,
Khmer km KHMER, Korean ko HANGUL, Kurdish ku, Kyrgyz ky CYRILLIC, Lao lo LAO, Latin la, Latvian lv, Lithuanian lt,
Luxembourgish lb, Macedonian mk CYRILLIC, Malagasy mg, Malay ms, Malayalam ml MALAYALAM, Maltese mt, Mandarin zh CJK,
Marathi mr DEVANAGARI, Mongolian mn CYRILLIC, Nepali ne DEVANAGARI, Norwegian no, Occitan oc, Pashto ps ARABIC,
Persian fa ARABIC, Polish pl, Portuguese pt, Punjabi pa GURMUKHI, Quechua qu, Romanian ro, Russian ru CYRILLIC,
Sanskrit sa DEVANAGARI, Serbian sr CYRILLIC, Sinhala si SINHALA, Slovak sk, Slovenian sl, Somali so, Spanish es,
Swahili sw, Swedish sv, Tagalog tl, Tajik tg CYRILLIC, Tamil ta TAMIL, Tatar tt CYRILLIC, Telugu te TELUGU,
Thai th THAI, Tibetan bo TIBETAN, Turkish tr, Turkmen tk, Ukrainian uk CYRILLIC, Urdu ur ARABIC, Uyghur ug ARABIC,
Uzbek uz, Vietnamese vi, Welsh cy, Xhosa xh, Yiddish yi HEBREW, Yoruba yo, Zulu zu
"""
_ROWS = [entry.split() for entry in _TABLE.replace("\n", " ").split(",")]
NAMES = {name: (code, script[0] if script else "LATIN") for name, code, *script in _ROWS}
"""English name -> code (ISO 639) and the script it is mostly written in, as Unicode names its letters."""
_NAME_OF = {code: name for name, (code, _) in reversed(NAMES.items())}
_NAMED = re.compile(rf"\b(?:{'|'.join(NAMES)})\b", re.IGNORECASE)
_RELATED = """
no nn da, hr sr bs, id ms, cs sk, gl pt, gl es an ext, ca oc, af nl, de lb, en pcm, fr wa, it vec lij,
zh yue wuu, ar ary arz, uz uzs, lv ltg, el grc, he hbo, zu xh, st nso, tl bcl, kk ky, tt ba crh, ku sdh,
no nn sv
"""
_RELATED_CODES = tuple(frozenset(group.split()) for group in _RELATED.split(","))
_ONE_SCRIPT = {"HIRAGANA": "CJK", "KATAKANA": "CJK", "FULLWIDTH": "LATIN", "HALFWIDTH": "CJK"}


def language_of(text: str) -> str:
    """The code of the language; "" if it is not certain."""
    beginning = text[:LONGEST]
    if sum(map(str.isalpha, beginning)) >= FEWEST_LETTERS:
        code, certainty = _detector().classify(beginning)
        if certainty >= CERTAIN:
            return "" if code == "zxx" else str(code)
    words = Text.of(beginning).words
    common = sum(word in STOP_WORDS["en"] for word in words)
    return "en" if len(words) >= ENGLISH_WORDS and common >= ENGLISH_SHARE * len(words) else ""


def related(code: str, other: str) -> bool:
    """Whether the codes are equal, or of two languages that a detector mixes up."""
    return code == other or any(code in group and other in group for group in _RELATED_CODES)


def script_of(text: str) -> str:
    """The script of most letters, as Unicode names it; "" for fewer than ten letters. Han and kana are one."""
    counted = Counter(map(_script, filter(str.isalpha, text[:LONGEST])))
    return counted.most_common(1)[0][0] if counted.total() >= 10 else ""


def scripts_of(text: str) -> frozenset[str]:
    """The scripts of at least a tenth of the letters each."""
    counted = Counter(map(_script, filter(str.isalpha, text[:LONGEST])))
    return frozenset(script for script, times in counted.items() if times >= counted.total() / 10)


def named(text: str) -> frozenset[str]:
    """The English names of languages in the text."""
    return frozenset(name.capitalize() for name in _NAMED.findall(text))


def name_of(code: str) -> str:
    """The English name of a language, or its code."""
    return _NAME_OF.get(code, code)


@functools.cache
def _script(letter: str) -> str:
    first = unicodedata.name(letter, "UNNAMED").split()[0]
    return _ONE_SCRIPT.get(first, first)


@functools.cache
def _detector() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
