"""The figures of a probe that determine its peak memory."""

from dataclasses import dataclass

from lanes import Recipe


@dataclass(frozen=True, kw_only=True)
class Workload:
    """``rows``: pairs per forward pass of training; ``length``: tokens of the longest row, prompt and answer.
    ``answers``: rows per forward pass of generation, 0 if a server answers. ``samples``: answers to each prompt.
    ``prompt``, ``new_tokens``: most tokens of a prompt and of an answer. ``dtype``: of a base that is not quantised.
    ``attention``: "eager" keeps all its scores. ``device``: cpu or cuda. ``gpus``: how many hold the base together."""

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
