"""How large a build is. The tests build a small one; everything else uses the default."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Size:
    prompts: Mapping[str, int] = field(default_factory=lambda: {"probe": 24, "harvest": 120, "holdout": 24})
    hidden: int = 128
    layers: int = 4
    steps: int = 600
    batch: int = 32
    learning_rate: float = 3e-3
    samples: int = 8
    max_new_tokens: int = 96
    seed: int = 20

    @property
    def documents(self) -> int:
        return self.steps * self.batch
