"""Answers that one evaluation takes over from another are there completely or not at all."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from evaluation.own_study.stored import read_answers, take_over, write_whole

ROW = '{"prompt": "p", "sample": 0, "category": "lists", "text": "t", "score": 1.0, "note": ""}\n'


def write_three_rows(path: Path) -> None:
    path.write_text(ROW * 3, encoding="utf-8")


def stop_after_a_line(source: Any, target: Any, *_: object) -> None:
    target.write(source.readline())
    raise KeyboardInterrupt


def test_a_copy_that_is_cut_off_leaves_no_file_that_could_pass_for_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (tmp_path / f"evaluation-{number}" for number in (1, 2, 3))
    for folder in (first, second, third):
        folder.mkdir()
    write_whole("one", first, write_three_rows)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(shutil, "copyfileobj", stop_after_a_line)
        take_over("one", second)
    assert not list(second.glob("answers-*"))
    assert take_over("one", third)
    assert len(read_answers("one", third)) == 3
