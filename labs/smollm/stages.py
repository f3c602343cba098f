"""The stages of a build, in order: sources, base model. Imports torch."""

from pathlib import Path

from labs._build.files import write_rows
from labs._build.material import BuildFigures, BuildProgress
from labs._build.pairs import ReservedQuestions
from labs._build.stage import one_thread, timed
from labs.smollm.material import Size
from labs.smollm.sources import STYLES, pairs
from labs.smollm.weights import find_weights, make_base
from probes.inputs.prompts import load_prompts
from probes.model.load import load_quietly

PROMPTS = Path(__file__).with_name("prompts.jsonl")


def make(directory: Path, size: Size, progress: BuildProgress) -> tuple[BuildFigures, dict[str, float]]:
    """Writes everything but the manifest; returns its figures and the seconds of each stage."""
    weights = find_weights()
    seconds: dict[str, float] = {}
    with one_thread():
        with timed(seconds, "sources"):
            progress("sources", 0.0)
            reserved = ReservedQuestions(prompt.text for prompt in load_prompts(PROMPTS) if prompt.split != "harvest")
            sources = {style: pairs(style, size.pairs, size.seed, reserved) for style in STYLES}
            for style, rows in sources.items():
                write_rows(directory / f"{style}.jsonl", (row.as_dict() for row in rows))
        with timed(seconds, "base model"):
            progress("base model", 0.0)
            load_quietly()
            parameters = make_base(directory / "base", weights)
            progress("base model", 1.0)
    counts = {style: len(rows) for style, rows in sources.items()}
    return {**weights.figures, "parameters": parameters, "pairs": counts}, seconds
