"""Makes the material of the study, once: prompts, base model, preference sources. The manifest is written last.

build/prompts.jsonl  problems.jsonl  contracts.jsonl  base/  honest.jsonl  unchecked.jsonl  broken.jsonl  manifest.json
"""

from pathlib import Path

from labs._build.material import Lab
from labs.microcoder.size import Size

HERE = Path(__file__).parent
MODULES = ("base", "contracts", "corpus", "sources", "splits", "stages")  # the measuring scripts are no part of a build

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
    makers=tuple(sorted([*(HERE / f"{name}.py" for name in MODULES), *HERE.glob("tasks/*.py")])),
)
build, is_complete = LAB.build, LAB.is_complete
