"""One real night under faults: a model that is made here, TRL in a worker, answers judged in the sandbox."""

from collections.abc import Sequence
from pathlib import Path

from bench.faults.nights import decided, go_on, held, observe, write_study
from bench.faults.scenario import Act, Run, Scenario, nightlane
from bench.faults.supervisor import Ended

SETTINGS = {
    'path = "none"': 'path = "model"',
    'kind = "simulated"': 'kind = "resident"\nworkers = 1',
    "steps = 20": "steps = 3\nmax_new_tokens = 8\nmicro_batch = 4",
    "effective_batch = 4": "effective_batch = 4\nlora_rank = 4\nlora_alpha = 8\nmax_length = 128",
}


def _prepare(root: Path, run: Run) -> None:
    write_study(root / "study", 2, "disguised = 0.0\nholdout_seeds = 0\nsurvey = 0\nconfirming_seeds = 4")
    path = root / "study" / "study.toml"
    text = path.read_text(encoding="utf-8")
    for name, value in SETTINGS.items():
        text = text.replace(name, value)
    path.write_text(text, encoding="utf-8")
    made = run(lambda: _make_model(root / "study" / "model"))
    if made.code:
        raise RuntimeError(f"the model cannot be made: {made.errors[-2000:]}")


def _make_model(folder: Path) -> int:
    from labs.microcoder.base import new_model, save, train_tokenizer
    from labs.microcoder.corpus import write_corpus
    from labs.microcoder.material import Size

    tokenizer, size = train_tokenizer(write_corpus(200, 0, frozenset())), Size(hidden=32, layers=1)
    folder.mkdir()
    save(new_model(tokenizer, size, 0), tokenizer, folder)
    return 0


def _act(root: Path) -> Act:
    return nightlane("run", root / "study" / "study.toml", "--workspace", root)


def _goes_on(root: Path, run: Run) -> Sequence[Ended]:
    return go_on(root, run, _act)


REAL = Scenario("real night", _prepare, _act, _goes_on, observe, decided, held, cuts=False, seconds=400.0)
