"""Makes the material of the study, once: the base model and two preference sources. The manifest is written last.

    build/base/  plain.jsonl  ornate.jsonl  manifest.json

Prompts, rubric, rules and calibration are files beside this one.
"""

from pathlib import Path

from labs._build.material import Lab
from labs.persona.size import Size

HERE = Path(__file__).parent

LAB = Lab(
    name="persona",
    size=Size(),
    made=("base", "plain.jsonl", "ornate.jsonl"),
    makers=(
        *(HERE / f"{name}.py" for name in ("corpus", "nearness", "sources", "stages", "texts")),
        HERE / "texts.toml",
        HERE / "prompts.jsonl",
        *(HERE.parent / "microcoder" / f"{name}.py" for name in ("base", "sources")),
    ),
)
build, is_complete = LAB.build, LAB.is_complete
