"""Makes the material of the study, once: the base model and two preference sources. The manifest is written last.

    build/base/  brief.jsonl  clipped.jsonl  manifest.json

Prompts and rules are files beside this one. A finished build needs the packages with the weights no more.
"""

from pathlib import Path

from labs._build.material import Lab
from labs.smollm.size import Size

HERE = Path(__file__).parent

LAB = Lab(
    name="smollm",
    size=Size(),
    made=("base", "brief.jsonl", "clipped.jsonl"),
    makers=(
        *(HERE / f"{name}.py" for name in ("sources", "stages", "texts", "weights")),
        HERE / "texts.toml",
        HERE / "prompts.jsonl",
        HERE.parent / "persona" / "nearness.py",
    ),
)
build, is_complete = LAB.build, LAB.is_complete
