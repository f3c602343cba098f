"""A model so small that a few steps of training take a moment, and studies of it."""

from pathlib import Path

from bench.faults.scenarios.scenario import Run

SETTINGS = {
    'path = "none"': 'path = "model"',
    "effective_batch = 4": "effective_batch = 4\nlora_rank = 4\nlora_alpha = 8\nmax_length = 128",
}


def with_small_model(study: str) -> str:
    """The text of a simulated study, with the model in the folder ``model`` beside it."""
    for simulated, real in SETTINGS.items():
        study = study.replace(simulated, real)
    return study


def make_small_model(folder: Path, run: Run) -> None:
    """Write the model, in a process of its own."""
    made = run(lambda: _write_model(folder))
    if made.code:
        raise RuntimeError(f"the model cannot be made: {made.stderr[-2000:]}")


def _write_model(folder: Path) -> int:
    from labs.microcoder.base import new_model, save, train_tokenizer
    from labs.microcoder.corpus import write_corpus
    from labs.microcoder.material import Size

    tokenizer, size = train_tokenizer(write_corpus(200, 0, frozenset())), Size(hidden=32, layers=1)
    folder.mkdir()
    save(new_model(tokenizer, size, 0), tokenizer, folder)
    return 0
