"""The material of the study: the base model and two preference sources. The manifest is written last.

    build/base/  plain.jsonl  ornate.jsonl  manifest.json

Prompts, rubric, rules and calibration are files next to this one.
"""

from dataclasses import dataclass
from pathlib import Path

from labs._build.material import Lab
from labs.microcoder import material as microcoder

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Size(microcoder.Size):
    """Model and pre-training as in microcoder. ``pairs``: the number of pairs of each source."""

    layers: int = 3
    steps: int = 300
    max_new_tokens: int = 64
    pairs: int = 360


LAB = Lab(
    name="persona",
    size=Size(),
    made=("base", "plain.jsonl", "ornate.jsonl"),
    makers=(
        *(HERE / f"{name}.py" for name in ("corpus", "sources", "stages", "texts")),
        HERE / "texts.toml",
        HERE / "prompts.jsonl",
        *(HERE.parent / "microcoder" / f"{name}.py" for name in ("base", "sources")),
        HERE.parent / "_build" / "pairs.py",
    ),
)
build, is_complete = LAB.build, LAB.is_complete
