"""Vectors of texts by a model: what is pooled, and that the batch does not matter."""

from pathlib import Path

import numpy as np
import pytest

from common.errors import BadInput, MissingRequirement
from probes.model.embedding import LONGEST, Embedder, embed, load_embedder

TEXTS = ("def f(x):", "", "return x * 2\n" * 4, "a", "def double(x):\n    return x * 2\n")


@pytest.fixture
def embedder(tiny_folder: Path) -> Embedder:
    return load_embedder("model", tiny_folder)


def test_a_text_is_the_mean_of_its_last_hidden_states(tiny_folder: Path, embedder: Embedder) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    model, tokenizer = (
        AutoModel.from_pretrained(tiny_folder / "model"),
        AutoTokenizer.from_pretrained(tiny_folder / "model"),
    )
    found = embedder(TEXTS)
    assert (found.dtype, found.shape) == (np.float32, (len(TEXTS), 64))
    for text, vector in zip(TEXTS, found, strict=True):
        tokens = tokenizer(text)["input_ids"]
        if not tokens:
            assert not vector.any()
            continue
        with torch.inference_mode():
            states = model(input_ids=torch.tensor([tokens])).last_hidden_state[0]
        assert np.allclose(vector, states.mean(0).numpy(), atol=1e-5)
    assert not np.allclose(found[0], found[2], atol=1e-2)


def test_neither_the_batch_nor_the_order_changes_a_vector(tiny_folder: Path, embedder: Embedder) -> None:
    from transformers import AutoModel, AutoTokenizer

    model, tokenizer = (kind.from_pretrained(tiny_folder / "model") for kind in (AutoModel, AutoTokenizer))
    found = embedder(TEXTS)
    for batch in (1, 2):
        assert np.allclose(embed(model, tokenizer, TEXTS, batch), found, atol=1e-5)
    assert np.allclose(embedder(TEXTS[::-1])[::-1], found, atol=1e-5)


def test_a_long_text_is_cut_at_what_the_model_takes(embedder: Embedder) -> None:
    """The tiny model has 256 places."""
    long = "x y " * LONGEST
    assert np.allclose(embedder([long])[0], embedder([long + "and what comes later"])[0])


def test_what_holds_no_model_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingRequirement, match="--embedder empty could not be loaded"):
        load_embedder("empty", tmp_path)
    with pytest.raises(BadInput, match="neither a folder nor a hub id"):
        load_embedder("./nowhere", tmp_path)
