"""The words in which two texts differ."""

from hypothesis import given
from hypothesis import strategies as st

from view.pages.differences import differing_words

TEXTS = st.text(alphabet="ab c\n(),<&", max_size=30)


def test_the_words_that_differ_are_told_apart() -> None:
    before, after = differing_words("return items[0]\n", "return max(items)\n")
    assert [piece.text for piece in before if not piece.differs] == ["return ", "items", "\n"]
    assert "".join(piece.text for piece in before if piece.differs) == "[0]"
    assert "".join(piece.text for piece in after if piece.differs) == "max()"


@given(before=TEXTS, after=TEXTS)
def test_the_pieces_are_the_texts_and_what_does_not_differ_is_in_both(before: str, after: str) -> None:
    mine, theirs = differing_words(before, after)
    assert "".join(piece.text for piece in mine) == before
    assert "".join(piece.text for piece in theirs) == after
    shared = ["".join(piece.text for piece in side if not piece.differs) for side in (mine, theirs)]
    assert shared[0] == shared[1]


def test_equal_texts_do_not_differ() -> None:
    assert not any(piece.differs for side in differing_words("a b", "a b") for piece in side)
