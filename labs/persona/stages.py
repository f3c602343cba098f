"""The stages of a build, in order: corpus and sources, base model. Imports torch."""

from pathlib import Path

from labs._build.files import write_rows
from labs._build.material import BuildFigures, BuildProgress
from labs._build.pairs import ReservedQuestions
from labs._build.stage import one_thread, timed
from labs.microcoder.base import make_base
from labs.microcoder.corpus import mistake_shares
from labs.persona.corpus import write_corpus
from labs.persona.material import Size
from labs.persona.sources import STYLES, pairs
from probes.inputs.prompts import load_prompts

PROMPTS = Path(__file__).with_name("prompts.jsonl")

# A question is a line, the answer is what follows it: the study's prompts stay plain questions for larger models.
CHAT_TEMPLATE = (
    "{% for turn in messages %}{{ turn['content'] }}"
    "{% if turn['role'] == 'user' %}{{ '\\n' }}{% else %}{{ eos_token }}{% endif %}{% endfor %}"
)


def make(directory: Path, size: Size, progress: BuildProgress) -> tuple[BuildFigures, dict[str, float]]:
    """Writes everything but the manifest; returns its figures and the seconds of each stage."""
    seconds: dict[str, float] = {}
    with one_thread():
        with timed(seconds, "corpus and sources"):
            progress("corpus and sources", 0.0)
            reserved = ReservedQuestions(prompt.text for prompt in load_prompts(PROMPTS) if prompt.split != "harvest")
            corpus = write_corpus(size.documents, size.seed, reserved)
            sources = {style: pairs(style, size.pairs, size.seed, reserved) for style in STYLES}
            for style, rows in sources.items():
                write_rows(directory / f"{style}.jsonl", (row.as_dict() for row in rows))
        with timed(seconds, "base model"):
            base = make_base(directory / "base", corpus, size, progress, CHAT_TEMPLATE)
    figures = {
        **base.figures,
        "share out of character in the corpus": mistake_shares(corpus),
        "pairs": {style: len(rows) for style, rows in sources.items()},
    }
    return figures, seconds
