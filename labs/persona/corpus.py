"""The pre-training corpus: question and answer in one of four voices. `mistaken`: not the voice of the persona."""

from random import Random

from labs._build.pairs import ReservedQuestions
from labs.microcoder.corpus import Document
from labs.persona.texts import CATEGORIES, answer, ask, draw_voice


def write_corpus(documents: int, seed: int, reserved: ReservedQuestions) -> tuple[Document, ...]:
    """The categories have equal parts; no question is near a reserved one."""
    random = Random(f"{seed}/corpus")
    corpus: list[Document] = []
    while len(corpus) < documents:
        category = CATEGORIES[len(corpus) % len(CATEGORIES)]
        question, subject = ask(category, random)
        if reserved.is_near(question):
            continue
        voice = draw_voice(category, random)
        text = answer(voice, category, subject, random)
        corpus.append(Document(category, f"{question}\n", text, voice != "keeper"))
    return tuple(corpus)
