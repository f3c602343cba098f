"""An export is written as a whole or not at all, and training refuses one that is not whole."""

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from some_rows import pair, stores

from common.errors import BadInput
from preferences.export import dataset as exports
from preferences.export.dataset import export
from preferences.export.record import record_of, write_record
from preferences.store.stores import Stores
from view.pairs.dataset_card import card_markdown


def filled(folder: Path) -> Stores:
    found = stores(folder)
    found.add([pair(number) for number in range(3)])
    return found


def attempt(found: Stores, folder: Path) -> None:
    export(found, "dpo", "jsonl", folder, card=lambda done: card_markdown(done, "mine"))


def in_child(*acts: Callable[[], object]) -> int:
    """The wait status of a process that does these and ends at once."""
    if (child := os.fork()) == 0:
        for act in acts:
            act()
        os._exit(0)
    return os.waitpid(child, 0)[1]


def killed_at(number: int) -> Callable[[], None]:
    """Has the process killed at its so-manieth sync of a file or folder."""
    seen, sync = 0, os.fsync

    def count(handle: int) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)
        sync(handle)

    def set_up() -> None:
        os.fsync = count  # type: ignore[assignment]

    return set_up


def test_an_export_killed_at_any_sync_leaves_none_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    found, folder, ends = filled(tmp_path), tmp_path / "out", []
    for number in range(1, 40):
        status = in_child(killed_at(number), lambda: attempt(found, folder))
        ends.append(os.WIFSIGNALED(status))
        if folder.exists():
            record = record_of(folder / "train.jsonl")
            assert record is not None, "what appears has its record and what the record names"
            assert len(record.rows) == 3
            break
        assert not list(tmp_path.rglob("out/*"))
    assert ends.count(True) >= 5
    second = tmp_path / "second"
    in_child(killed_at(3), lambda: attempt(found, second))
    assert list(tmp_path.glob(".second.*.partial"))
    attempt(found, second)
    assert not list(tmp_path.glob(".second.*"))
    assert {path.name for path in second.iterdir()} == {"train.jsonl", "README.md", "export.json"}


def test_an_export_that_meets_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    found = filled(tmp_path)
    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr(exports, "write_record", full)
    with pytest.raises(OSError, match="No space"):
        attempt(found, tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == before


def test_an_export_that_is_being_written_is_not_taken_away_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, write = filled(tmp_path), write_record

    def beside(*given: Any) -> None:
        monkeypatch.setattr(exports, "write_record", write)
        attempt(found, tmp_path / "out")
        write(*given)

    monkeypatch.setattr(exports, "write_record", beside)
    with pytest.raises(OSError, match="not empty"):
        attempt(found, tmp_path / "out")
    assert record_of(tmp_path / "out" / "train.jsonl") is not None
    assert not list(tmp_path.glob(".out.*"))


@pytest.mark.parametrize("damage", ["gone", "cut", "garbage", "folder", "other data"])
def test_an_export_whose_record_does_not_match_is_refused_in_a_sentence(tmp_path: Path, damage: str) -> None:
    attempt(filled(tmp_path), tmp_path / "out")
    record, data = tmp_path / "out" / "export.json", tmp_path / "out" / "train.jsonl"
    if damage == "cut":
        os.truncate(record, 100)
    elif damage == "garbage":
        record.write_bytes(b"\xff\x00" * 50)
    elif damage == "other data":
        data.write_bytes(data.read_bytes()[:-30])
    else:
        record.unlink()
        if damage == "folder":
            record.mkdir()
    with pytest.raises(BadInput, match="export again"):
        record_of(data)


def test_a_card_of_somebody_else_makes_no_data_an_export(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# My pairs\n", encoding="utf-8")
    (tmp_path / "train.jsonl").write_text("{}\n", encoding="utf-8")
    assert record_of(tmp_path / "train.jsonl") is None
