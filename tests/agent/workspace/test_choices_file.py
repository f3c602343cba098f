"""A file of choices is as it was written, or found damaged."""

import json
from pathlib import Path

import pytest

from agent.workspace.choices_file import has_choices, read_choices, write_choices
from probes.result.comparison import Choice

CHOICES = [Choice(42, "a prompt", 0, 1.0), Choice(42, "another", 1, -1.0), Choice(42, "a third", 0, 0.0)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_choices(tmp_path / "choices-a-b.json", CHOICES, None)
    return tmp_path / "choices-a-b.json"


def test_what_is_written_is_read(path: Path) -> None:
    assert read_choices(path) == (CHOICES, None)
    write_choices(path, [], "too many are missing")
    assert read_choices(path) == ([], "too many are missing")


def test_every_flipped_bit_and_every_cut_is_found(path: Path) -> None:
    content = path.read_bytes()
    end = len(content.rstrip())
    for place in range(end):
        for bit in range(8):
            path.write_bytes(content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :])
            assert not has_choices(path), f"bit {bit} of byte {place}"
        path.write_bytes(content[:place])
        assert not has_choices(path), f"cut to {place} bytes"
    path.write_bytes(content)
    assert has_choices(path)


def test_a_file_of_an_older_version_has_no_digest_and_is_read(path: Path) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    del data["sha256"]
    path.write_text(json.dumps(data) + "\n", encoding="utf-8")
    assert read_choices(path) == (CHOICES, None)


def test_a_folder_in_its_place_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "choices-a-b.json"
    path.mkdir()
    assert not has_choices(path)
    write_choices(path, CHOICES, None)
    assert has_choices(path)
    assert (tmp_path / "choices-a-b.json.damaged").is_dir()
