"""Text embeddings by any transformers encoder or decoder: the mean of the last hidden states over a text's tokens.

Mean pooling as in Reimers & Gurevych 2019, "Sentence-BERT", section 3. torch and transformers are imported when a model
is loaded.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import BadInput, MissingRequirement
from probes.inputs.settings import ModelSettings
from probes.model.load import load_quietly, locate

BATCH = 32
LONGEST = 512
"""The most tokens of a text that are used; fewer if the model takes fewer."""

Embedder = Callable[[Sequence[str]], NDArray[np.float32]]


def load_embedder(name: str, folder: Path) -> Embedder:
    """Load a folder, which may be relative to ``folder``, or a hub id, in float32, on a GPU if torch sees one.

    BadInput if it is neither, MissingRequirement if it cannot be loaded.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    load_quietly()
    try:
        where = locate(ModelSettings(path=name), folder)
    except BadInput:
        raise BadInput(f"--embedder {name} is neither a folder nor a hub id; check the path") from None
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        tokenizer = AutoTokenizer.from_pretrained(where)
        model = AutoModel.from_pretrained(where, dtype=torch.float32).to(device).eval()
    except (OSError, ValueError) as error:
        first_line = str(error).strip().splitlines()[0]
        raise MissingRequirement(
            f"--embedder {name} could not be loaded ({first_line}); give a folder that holds a model, or a hub id that "
            "this machine can reach or has in its cache"
        ) from None
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    tokenizer.padding_side = tokenizer.truncation_side = "right"
    return lambda texts: embed(model, tokenizer, texts)


def embed(model: Any, tokenizer: Any, texts: Sequence[str], batch: int = BATCH) -> NDArray[np.float32]:
    """One row per text in their order; zeros for a text without tokens. Texts of similar length share a batch, which
    saves padding."""
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    vectors: NDArray[np.float32] = np.zeros((len(texts), model.config.hidden_size), dtype=np.float32)
    for start in range(0, len(order), batch):
        places = order[start : start + batch]
        vectors[places] = _pooled(model, tokenizer, [texts[place] for place in places])
    return vectors


def _pooled(model: Any, tokenizer: Any, texts: list[str]) -> NDArray[np.float32]:
    import torch

    most = min(LONGEST, tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", LONGEST))
    tokens = tokenizer(texts, padding=True, truncation=True, max_length=most, return_tensors="pt").to(model.device)
    mask = tokens["attention_mask"]
    if not mask.any():
        return np.zeros((len(texts), model.config.hidden_size), dtype=np.float32)
    with torch.inference_mode():
        states = model(input_ids=tokens["input_ids"].long(), attention_mask=mask.long()).last_hidden_state
    held = mask.unsqueeze(-1).to(states.dtype)
    mean = (states * held).nan_to_num().sum(1) / held.sum(1).clamp(min=1)
    return np.asarray(mean.float().cpu().numpy(), dtype=np.float32)
