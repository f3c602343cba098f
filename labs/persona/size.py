"""How large a build is. The tests build a small one; everything else uses the default."""

from dataclasses import dataclass

from labs.microcoder import size


@dataclass(frozen=True)
class Size(size.Size):
    """The model and its pre-training as in microcoder, and how many pairs a source holds; prompts are a file here."""

    layers: int = 3
    steps: int = 300
    max_new_tokens: int = 64
    pairs: int = 360
