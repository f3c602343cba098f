"""The stages of a build, in order: corpus and sources, base model. Imports torch."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from labs.microcoder import base
from labs.microcoder.corpus import Document
from labs.microcoder.files import replace_folder, write_rows
from labs.microcoder.stages import Figures, _one_thread, _timed
from labs.persona.corpus import write_corpus
from labs.persona.nearness import Reserved
from labs.persona.size import Size
from labs.persona.sources import STYLES, pairs
from probes.prompts import load_prompts

PROMPTS = Path(__file__).with_name("prompts.jsonl")

# A question is a line, the answer is what follows it: the study's prompts stay plain questions for larger models.
CHAT_TEMPLATE = (
    "{% for turn in messages %}{{ turn['content'] }}"
    "{% if turn['role'] == 'user' %}{{ '\\n' }}{% else %}{{ eos_token }}{% endif %}{% endfor %}"
)


def make(directory: Path, size: Size, progress: Callable[[str, float], None]) -> tuple[Figures, dict[str, float]]:
    """Writes everything but the manifest; the figures and the seconds of each stage."""
    seconds: dict[str, float] = {}
    with _one_thread():
        with _timed(seconds, "corpus and sources"):
            progress("corpus and sources", 0.0)
            reserved = Reserved(prompt.text for prompt in load_prompts(PROMPTS) if prompt.split != "harvest")
            corpus = write_corpus(size.documents, size.seed, reserved)
            sources = {style: pairs(style, size.pairs, size.seed, reserved) for style in STYLES}
            for style, rows in sources.items():
                write_rows(directory / f"{style}.jsonl", (row.as_dict() for row in rows))
        with _timed(seconds, "base model"):
            figures = _make_base(directory / "base", corpus, size, progress)
    figures["pairs"] = {style: len(rows) for style, rows in sources.items()}
    return figures, {stage: round(value, 1) for stage, value in seconds.items()}


def _make_base(
    folder: Path, corpus: Sequence[Document], size: Size, progress: Callable[[str, float], None]
) -> dict[str, Any]:
    tokenizer = base.train_tokenizer(corpus)
    tokenizer.chat_template = CHAT_TEMPLATE
    model = base.new_model(tokenizer, size, size.seed)
    losses = base.pretrain(model, tokenizer, corpus, size, size.seed, lambda share: progress("base model", share))
    replace_folder(folder, lambda partial: base.save(model, tokenizer, partial))
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "final loss": round(sum(losses[-20:]) / len(losses[-20:]), 4),
        "share out of character in the corpus": _mistaken(corpus),
    }


def _mistaken(corpus: Sequence[Document]) -> dict[str, float]:
    """Measured, by category; the shares they come from are in texts.toml."""
    all_of, mistaken = Counter(d.category for d in corpus), Counter(d.category for d in corpus if d.mistaken)
    return {category: round(mistaken[category] / count, 3) for category, count in all_of.items()}
