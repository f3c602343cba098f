"""The store of reference log probabilities: with real DPO on the tiny model, and its file when it is damaged."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tiny
from lazily import Lazily

from probes.inputs.settings import MemorySettings, ModelSettings
from probes.inputs.training_rows import order
from probes.model.load import Base, load_base
from probes.train.reference_store import NAME, Logps, ReferenceStore

if TYPE_CHECKING:
    from probes.train import trl
else:
    trl = Lazily("probes.train.trl")

ROWS = [{"prompt_ids": [1, 2], "chosen_ids": [3], "rejected_ids": [number]} for number in range(4)]
EXACT = ("loss", "grad_norm", "rewards_chosen", "rewards_margin")


class Computes:
    """Counts the rows that are computed."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, row: Any) -> Logps:
        self.asked.append(row["rejected_ids"][0])
        return -1.5, -0.1 * row["rejected_ids"][0]


def computed(store: ReferenceStore, rows: Any = ROWS) -> list[int]:
    """The rows that the store did not have."""
    compute = Computes()
    assert store.logps(rows, compute) == [(-1.5, -0.1 * row["rejected_ids"][0]) for row in rows]
    return compute.asked


def test_a_row_is_computed_once(tmp_path: Path) -> None:
    store = ReferenceStore(tmp_path / NAME, "base")
    assert computed(store, ROWS[:2] * 2) == [0, 1]
    assert computed(store) == [2, 3]
    assert computed(ReferenceStore(tmp_path / NAME, "base")) == []


def test_what_the_numbers_depend_on_is_in_the_key(tmp_path: Path) -> None:
    computed(ReferenceStore(tmp_path / NAME, "base"))
    assert computed(ReferenceStore(tmp_path / NAME, "another base")) == [0, 1, 2, 3]


def test_a_number_that_changed_is_computed_again(tmp_path: Path) -> None:
    store = ReferenceStore(tmp_path / NAME, "base")
    computed(store)
    with closing(sqlite3.connect(store.path)) as database, database:
        database.execute("UPDATE logps SET chosen = -2 WHERE rejected = -0.1 * 2")
    assert computed(store) == [2]
    assert computed(store) == []


@pytest.mark.parametrize("content", [b"", b"no database at all" * 300])
def test_a_damaged_file_is_made_anew(tmp_path: Path, content: bytes) -> None:
    store = ReferenceStore(tmp_path / NAME, "base")
    computed(store)
    store.path.write_bytes(content)
    assert computed(store) == [0, 1, 2, 3]
    assert computed(store) == []


def test_a_file_that_cannot_be_written_costs_time_alone(tmp_path: Path) -> None:
    assert computed(ReferenceStore(tmp_path / "missing" / NAME, "base")) == [0, 1, 2, 3]


@pytest.fixture(scope="module")
def base(one_thread: None, tiny_folder: Path) -> Base:
    return load_base(ModelSettings(path="model"), tiny_folder, "none", "cpu")


def curve(base: Base, folder: Path, store: Path | None, seed: int = 1, **changes: Any) -> list[dict[str, float]]:
    recipe = tiny.recipe(objective="dpo", effective_batch=4, **changes)
    rows = order(recipe, tiny.material(folder.parent).sources, 16, seed)
    folder.mkdir(parents=True)
    references = store and ReferenceStore(store, str(recipe.ld_alpha))
    job = trl.TrainingJob(recipe, rows, seed, folder, lambda *_: None, references=references or None)
    [trained] = trl.train(base, [job], MemorySettings())
    assert isinstance(trained, trl.Trained), trained
    lines = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    return [{name: line[name] for name in EXACT} for line in lines]


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"ld_alpha": 0.5, "second_loss": "sft"}])
def test_dpo_is_the_same_with_the_store_empty_and_full_and_as_trl_computes_it(
    base: Base, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    import shutil

    shutil.copytree(tiny_folder, tmp_path / "study")
    at = tmp_path / "study"
    plain = curve(base, at / "plain", None, **changes)
    empty = curve(base, at / "empty", tmp_path / NAME, **changes)
    monkeypatch.setattr(trl.TokenDPOTrainer, "_reference", lambda *_: pytest.fail("the store has every row"))
    assert curve(base, at / "full", tmp_path / NAME, **changes) == empty
    for mine, theirs in zip(empty, plain, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-4, abs=1e-6)
