"""The material of the study: the base model and two preference sources. The manifest is written last.

    build/base/  brief.jsonl  clipped.jsonl  manifest.json

Prompts and rules are files next to this one. A finished build no longer needs the packages with the weights.
"""

from dataclasses import dataclass
from pathlib import Path

from labs._build.material import Lab

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Size:
    """The size of a build. ``pairs``: the number of pairs of each source."""

    pairs: int = 240
    seed: int = 20


LAB = Lab(
    name="smollm",
    size=Size(),
    made=("base", "brief.jsonl", "clipped.jsonl"),
    makers=(
        *(HERE / f"{name}.py" for name in ("sources", "stages", "texts", "weights")),
        HERE / "texts.toml",
        HERE / "prompts.jsonl",
        HERE.parent / "_build" / "pairs.py",
    ),
)
build, is_complete = LAB.build, LAB.is_complete
