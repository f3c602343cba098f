"""What a probe asks of the memory."""

from dataclasses import dataclass

from lanes import Recipe


@dataclass(frozen=True, kw_only=True)
class Workload:
    """``rows``: pairs per forward pass of training; ``length``: tokens of the longest row, prompt and answer.
    ``answers``: per forward pass of generation, ``samples`` of them behind each prompt of ``prompt`` tokens, with up to
    ``new_tokens`` each; 0 where a server answers. ``dtype``: of a base that is not quantised. ``attention``: "eager"
    keeps all its scores. ``device``: cpu or cuda. ``gpus``: that hold the base together."""

    recipe: Recipe
    rows: int
    length: int
    answers: int
    prompt: int
    new_tokens: int
    samples: int = 1
    dtype: str = "float32"
    attention: str = ""
    checkpointing: bool = False
    device: str = "cpu"
    gpus: int = 1

    @property
    def quantised(self) -> bool:
        return self.recipe.quantization == "nf4"

    @property
    def computes_in(self) -> str:
        return "bfloat16" if self.quantised else self.dtype
