"""The material of the study: prompts, base model, preference sources. The manifest is written last.

build/prompts.jsonl  problems.jsonl  contracts.jsonl  base/  honest.jsonl  unchecked.jsonl  broken.jsonl  manifest.json
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from labs._build.material import Lab

HERE = Path(__file__).parent
MODULES = ("base", "contracts", "corpus", "sources", "splits", "stages")


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large a build is; the tests build a smaller one."""

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


LAB = Lab(
    name="microcoder",
    size=Size(),
    made=(
        "prompts.jsonl",
        "problems.jsonl",
        "contracts.jsonl",
        "base",
        "honest.jsonl",
        "unchecked.jsonl",
        "broken.jsonl",
    ),
    makers=tuple(
        sorted(
            [*(HERE / f"{name}.py" for name in MODULES), *HERE.glob("tasks/*.py"), HERE.parent / "_build" / "pairs.py"]
        )
    ),
)
build, is_complete = LAB.build, LAB.is_complete
