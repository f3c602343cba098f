"""A file that grows is read on; one that was replaced, cut or written over is read anew."""

import os
from pathlib import Path

from common.files import is_locked, locked
from common.followed_file import FollowedFile, line_at


def look(followed: FollowedFile) -> tuple[bool, list[bytes]]:
    return followed.begins_anew(), [line for _, line in followed.new_lines()]


def test_each_line_is_read_once_and_half_a_line_later(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    followed = FollowedFile(path, is_whole=lambda line: line.endswith(b"}"))
    assert look(followed) == (True, [])
    path.write_bytes(b"{a}\n{b")
    assert look(followed) == (True, [b"{a}"])
    with path.open("ab") as stream:
        stream.write(b"}\r\n{c}\n")
    assert look(followed) == (False, [b"{b}", b"{c}"])
    assert look(followed) == (False, [])
    assert line_at(path, 4) == b"{b}"


def test_a_last_line_without_its_end_counts_and_is_read_anew_once_it_has_one(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    followed = FollowedFile(path, is_whole=lambda line: line.endswith(b"}"))
    path.write_bytes(b"{a}")
    assert look(followed) == (True, [b"{a}"])
    path.write_bytes(b"{a}\n{b}\n")
    assert look(followed) == (True, [b"{a}", b"{b}"])


def test_a_file_that_is_not_what_it_was_is_read_from_its_first_line(tmp_path: Path) -> None:
    path, followed = tmp_path / "rows", FollowedFile(tmp_path / "rows")
    path.write_bytes(b"one\ntwo\n")
    assert look(followed) == (True, [b"one", b"two"])
    path.write_bytes(b"one\n")
    assert look(followed) == (True, [b"one"])
    path.write_bytes(b"other\nlines\n")
    assert look(followed) == (True, [b"other", b"lines"])
    path.unlink()
    assert look(followed) == (True, [])


def test_a_file_that_was_written_over_while_it_was_read_is_read_anew(tmp_path: Path) -> None:
    path, followed = tmp_path / "rows", FollowedFile(tmp_path / "rows")
    path.write_bytes(b"first\nlast\n")
    os.utime(path, (1, 1))
    assert followed.begins_anew()
    lines = followed.new_lines()
    assert next(lines) == (0, b"first")
    path.write_bytes(b"other\nlast\n")
    assert list(lines) == [(6, b"last")]
    assert look(followed) == (True, [b"other", b"last"])
    assert look(followed) == (False, [])


def test_who_looks_whether_a_folder_is_locked_does_not_keep_it_from_being_locked(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    with locked(tmp_path):
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)
    assert not is_locked(tmp_path / "missing")
