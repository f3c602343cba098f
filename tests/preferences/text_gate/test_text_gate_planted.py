"""Good answers pass the whole text gate, and each planted fault is refused by the layer that is meant for it.

Good are forty everyday answers, and the persona of the bundled study where its generator did not repeat itself.
Answers that leaked from another prompt are in test_text_gate_topic.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import cycle

import numpy as np
import pytest
from long_cases import all_but
from some_answers import ANSWERS, Text, everyday, persona, receipts, refusals

EVERY = 10
"""A fault in every tenth row."""

REFUSALS = (
    "I'm sorry, but I can't help with that. ",
    "As an AI language model, I am not able to give an opinion on this. ",
    "I cannot provide an answer to this question. ",
    "Unfortunately I am unable to assist with this request. ",
)
TAILS = (" And that is how it has always been done here", " It is very, very good", " No more and no less than that")
LANGUAGES = cycle(text for code, text in ANSWERS.items() if code not in ("zh", "ja"))

Fault = Callable[[Text, int], Text]
FAULTS: dict[str, tuple[str, Fault]] = {
    "a low component": ("components", lambda text, n: replace(text, figures=(("voice", 4.0 - n % 4), ("wit", 9.0)))),
    "a low score": ("components", lambda text, n: replace(text, score=6.9 - n % 6)),
    "nobody judged it": ("components", lambda text, n: replace(text, score=None, figures=())),
    "a critical failure": ("critical", lambda text, n: replace(text, critical=("breaks_character",))),
    "ten times the length": (
        "length",
        lambda text, n: replace(text, chosen=" ".join(f"{text.chosen} In other words:" for _ in range(10))),
    ),
    "a loop": ("repetition", lambda text, n: replace(text, chosen=f"{text.chosen}{TAILS[n % 3] * 12}")),
    "a loop of lines": ("repetition", lambda text, n: replace(text, chosen=f"{text.chosen}\nSo.\n" * 6)),
    "another language": ("language", lambda text, n: replace(text, chosen=next(LANGUAGES))),
    "a refusal": ("refusal", lambda text, n: replace(text, chosen=REFUSALS[n % 4] + str(text.rejected))),
    "near the rejected side": (
        "near_duplicate",
        lambda text, n: replace(text, rejected=f"{text.chosen}{' Yes' if n % 2 else ''}."),
    ),
    "the answer of an earlier row": ("near_duplicate", lambda text, n: text),
}


def planted(texts: Sequence[Text], fault: Fault) -> tuple[list[Text], list[int]]:
    places = list(range(EVERY - 1, len(texts), EVERY))
    return [fault(text, place) if place in places else text for place, text in enumerate(texts)], places


@pytest.mark.parametrize("texts", [everyday(), persona()], ids=["everyday", "persona"])
def test_at_least_95_percent_of_good_answers_pass_the_whole_gate(texts: list[Text]) -> None:
    refused = refusals(texts)
    assert np.mean([not layers for layers in refused]) >= 0.95
    assert {layer for layers in refused for layer in layers} <= {"topic"}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("source", all_but([everyday], [everyday, persona]))
def test_at_least_95_percent_of_each_planted_fault_are_refused_by_their_layer(
    name: str, source: Callable[[], list[Text]]
) -> None:
    layer, fault = FAULTS[name]
    texts, places = planted(source(), fault)
    if name == "the answer of an earlier row":
        texts = [replace(text, chosen=texts[k - 5].chosen) if k in places else text for k, text in enumerate(texts)]
    found = receipts(texts)
    assert len(places) >= 4
    assert np.mean([not found[place][layer].passed for place in places]) >= 0.95
    assert np.mean([row[layer].passed for place, row in enumerate(found) if place not in places]) >= 0.95
