"""Damage to a store file is detected, even if the file can still be read; a line cut off by a kill is no damage."""

from pathlib import Path

import pytest
from some_rows import TIME, pair, stores

from agent.workspace.check import check, repair
from agent.workspace.folder import Workspace
from preferences.store.annotations import Vote
from preferences.store.append_only_file import describe_alteration
from preferences.store.stores import Stores


@pytest.fixture
def found(tmp_path: Path) -> Stores:
    """Rows that came in two turns, and votes."""
    made = stores(tmp_path / "runs")
    made.add([pair(0), pair(1)])
    made.add([pair(2)])
    made.vote([Vote(pair(number).id, "up", "anna", TIME) for number in range(3)])
    return made


def damaged(folder: Path) -> list[str]:
    return [Path(one.path).name for one in check(Workspace(folder)) if not one.intact]


def test_what_was_appended_is_whole_and_so_is_what_a_kill_left(found: Stores, tmp_path: Path) -> None:
    assert damaged(tmp_path) == []
    with (found.folder / "votes.jsonl").open("ab") as stream:
        stream.write(b'{"row": "cut o')
    assert damaged(tmp_path) == []
    found.vote([Vote(pair(0).id, "drop", "anna", TIME)])
    assert damaged(tmp_path) == []


@pytest.mark.parametrize("name", ["dpo", "votes", "reserved"])
@pytest.mark.parametrize("damage", ["gone", "empty", "a line less", "another letter", "garbage", "a folder"])
def test_a_damaged_file_is_found_and_what_can_be_read_of_it_is_kept(
    found: Stores, tmp_path: Path, name: str, damage: str
) -> None:
    path = found.folder / f"{name}.jsonl"
    content = path.read_bytes()
    if damage in ("gone", "a folder"):
        path.unlink()
    if damage == "a folder":
        path.mkdir()
    elif damage != "gone":
        letter = content.replace(b"anna", b"anne").replace(b"Write", b"Wrote").replace(b"task", b"tisk")
        less = b"".join(content.splitlines(keepends=True)[:-1])
        path.write_bytes({"empty": b"", "a line less": less, "another letter": letter}.get(damage, b"\xff{" * 90))
    assert path.name in damaged(tmp_path)
    repair(Workspace(tmp_path))
    assert path.name not in damaged(tmp_path)
    if damage != "gone":
        assert path.with_name(f"{name}.jsonl.damaged").exists()


def test_an_append_to_a_damaged_file_does_not_hide_the_damage(found: Stores, tmp_path: Path) -> None:
    path = found.folder / "votes.jsonl"
    path.write_bytes(path.read_bytes().replace(b"anna", b"anne"))
    found.vote([Vote(pair(0).id, "drop", "bert", TIME)])
    assert describe_alteration(path) == "is not what was written"
    assert damaged(tmp_path) == ["votes.jsonl"]


def test_stores_from_before_there_were_checksums_are_taken_as_they_are(found: Stores, tmp_path: Path) -> None:
    (found.folder / "sums.json").unlink()
    assert damaged(tmp_path) == []
    found.vote([Vote(pair(0).id, "drop", "bert", TIME)])
    path = found.folder / "votes.jsonl"
    path.write_bytes(path.read_bytes().replace(b"anna", b"anne"))
    assert damaged(tmp_path) == ["votes.jsonl"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"votes.jsonl": [1e999, 0]}', '{"votes.json": [0, 0]}', "a flip"])
def test_damaged_checksums_are_named_and_hide_no_other_damage(found: Stores, tmp_path: Path, content: str) -> None:
    sums, path = found.folder / "sums.json", found.folder / "votes.jsonl"
    written = sums.read_text(encoding="utf-8")
    sums.write_text(written.replace("votes", "votfs") if content == "a flip" else content, encoding="utf-8")
    path.write_bytes(path.read_bytes().replace(b"anna", b"anne"))
    found.vote([Vote(pair(0).id, "drop", "bert", TIME)])
    assert damaged(tmp_path) == ["sums.json"]
    repair(Workspace(tmp_path))
    assert damaged(tmp_path) == []
    assert (found.folder / "sums.json.damaged").exists()
    path.write_bytes(path.read_bytes().replace(b"anne", b"anni"))
    assert damaged(tmp_path) == ["votes.jsonl"]


@pytest.mark.parametrize("name", ["votes", "withdrawals", "reviews", "scorings", "certifications", "reserved"])
def test_a_line_that_is_no_entry_of_its_file_is_left_out_by_a_repair(found: Stores, tmp_path: Path, name: str) -> None:
    with (found.folder / f"{name}.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"row": "a row and nothing else"}\n')
    assert damaged(tmp_path)[0] == f"{name}.jsonl"
    repair(Workspace(tmp_path))
    assert damaged(tmp_path) == []
    assert len(found.votes()) == 3


def test_a_file_in_the_place_of_the_stores_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "rl_data").write_text("a file", encoding="utf-8")
    assert damaged(tmp_path) == ["rl_data"]
    repair(Workspace(tmp_path))
    assert damaged(tmp_path) == []
