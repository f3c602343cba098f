"""Texts for tests of the text gate: rows, and everyday prompts with two answers each."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from some_rows import pair, side

from labs._build.pairs import ReservedQuestions
from labs.persona.sources import pairs
from preferences.certify.receipt import Receipt
from preferences.store.annotations import AnnotatedRow
from preferences.store.provenance import Provenance
from preferences.text_gate import AnswerUnderTest, answers_under_test, certify
from probes.inputs.duplicates import Wordings
from probes.inputs.rows.turns import Turns

MORE = " That is all there is to say about it, and nobody I know has ever done it in another way."


@dataclass(frozen=True)
class Text:
    """The texts of a row, and a judge's marks of its chosen side."""

    prompt: Turns
    chosen: Turns
    rejected: Turns
    category: str = "everyday"
    score: float | None = 9.0
    figures: tuple[tuple[str, float], ...] = (("voice", 8.0), ("judge_overall", 4.0))
    critical: tuple[str, ...] = ()


def standing(text: Text, number: int = 0) -> AnnotatedRow:
    chosen = side(sample=number, figures=dict(text.figures), critical=text.critical)
    provenance = Provenance((chosen, side()), "s1", "", f"harvest-{number}", "k")
    texts = (text.chosen, text.rejected)
    return AnnotatedRow(pair(number, prompt=text.prompt, texts=texts, scores=(text.score, None), provenance=provenance))


def answer_of(text: Text) -> AnswerUnderTest:
    """The chosen answer of a row, as the gate sees it in a set with no other row."""
    return answers_under_test([standing(text)])[0]


def receipts(texts: Sequence[Text], places: Sequence[int] | None = None) -> list[Mapping[str, Receipt]]:
    """By layer, the receipts of each row of a set, or only of the rows at ``places``."""
    answers = answers_under_test([standing(text, number) for number, text in enumerate(texts)])
    asked = answers if places is None else [answers[place] for place in places]
    return [{receipt.layer: receipt for receipt in certify(answer).receipts} for answer in asked]


def refusals(texts: Sequence[Text], places: Sequence[int] | None = None) -> list[tuple[str, ...]]:
    """The layers that refuse each row of a set, or only the rows at ``places``."""
    return [tuple(layer for layer, found in row.items() if not found.passed) for row in receipts(texts, places)]


def everyday() -> list[Text]:
    """Everyday rows. The rejected answers get one more sentence, so that the chosen ones are not simply longer."""
    lines = (Path(__file__).parents[1] / "cases" / "everyday.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [Text(row["prompt"], row["chosen"], row["rejected"] + MORE) for row in rows]


def persona(count: int = 360) -> list[Text]:
    """Pairs of the lab persona, without answers that nearly repeat an earlier one: its generator has only few
    sentences."""
    rows = pairs("plain", count, 1, ReservedQuestions(()))
    again = {place for place, _, _ in Wordings((row.chosen, place) for place, row in enumerate(rows)).repeats()}
    return [
        Text(row.prompt, row.chosen, row.rejected, row.category) for place, row in enumerate(rows) if place not in again
    ]


def leaked(texts: Sequence[Text], places: Sequence[int], random: Random, both: bool = False) -> list[Text]:
    """The set, with the chosen answers at ``places`` replaced by answers to other prompts; ``both``: the rejected
    too."""
    found = list(texts)
    for place in places:
        other = random.choice([text for text in texts if text.prompt != texts[place].prompt])
        rejected = other.rejected if both else texts[place].rejected
        found[place] = replace(texts[place], chosen=other.chosen, rejected=rejected)
    return found


ANSWERS = {
    "de": "Stell die Pflanze an das hellste Fenster und gieße sie, wenn die Erde oben trocken ist. Kürze sie oft.",
    "fr": "Placez la plante devant la fenêtre la plus claire et arrosez-la quand la terre est sèche. Taillez-la.",
    "es": "Ponga la planta en la ventana más luminosa y riéguela cuando la tierra esté seca. Córtela cada semana.",
    "it": "Metti la pianta davanti alla finestra più luminosa e annaffiala quando la terra è asciutta. Potala spesso.",
    "pt": "Coloque a planta na janela mais clara e regue quando a terra estiver seca. Corte as pontas toda semana.",
    "nl": "Zet de plant voor het lichtste raam en geef water wanneer de aarde droog is. Snoei hem iedere week.",
    "pl": "Postaw roślinę w najjaśniejszym oknie i podlewaj ją, kiedy ziemia jest sucha. Przycinaj ją co tydzień.",
    "sv": "Ställ växten i det ljusaste fönstret och vattna den när jorden är torr. Klipp den lite varje vecka.",
    "tr": "Bitkiyi en aydınlık pencereye koyun ve toprak kuruduğunda sulayın. Her hafta uçlarını biraz kesin.",
    "vi": "Hãy đặt cây ở cửa sổ sáng nhất và tưới nước khi đất khô. Mỗi tuần nên cắt tỉa một ít ngọn cây.",
    "fi": "Aseta kasvi valoisimmalle ikkunalle ja kastele sitä, kun multa on kuivaa. Leikkaa latvoja joka viikko.",
    "ru": "Поставьте растение на самое светлое окно и поливайте его, когда земля высохнет. Подрезайте каждую неделю.",
    "el": "Βάλτε το φυτό στο πιο φωτεινό παράθυρο και ποτίστε το όταν το χώμα είναι στεγνό. Κλαδέψτε το συχνά.",
    "zh": "把植物放在最明亮的窗边，土壤表面干了再浇水。每周剪去一点顶端，让它长得更茂盛。",
    "ja": "いちばん明るい窓辺に置き、土の表面が乾いたら水をやってください。毎週少しずつ摘み取ります。",
    "ko": "가장 밝은 창가에 두고 흙이 마르면 물을 주세요. 매주 끝을 조금씩 잘라 주면 더 풍성하게 자랍니다.",
    "ar": "ضع النبتة عند أكثر النوافذ ضوءا واسقها عندما تجف التربة. قص أطرافها قليلا كل أسبوع.",
    "hi": "पौधे को सबसे रोशन खिड़की पर रखें और मिट्टी सूखने पर पानी दें। हर हफ्ते इसकी नोक थोड़ी काटें।",
}
"""The same answer in many languages."""
