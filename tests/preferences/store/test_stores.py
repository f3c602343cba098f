"""Stores: durable, append-only, each row once, and readable by ``datasets``."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from some_rows import ASKED, HELD_OUT, pair, prompts, reward, side, stores, talk, turns

from common.errors import BadInput
from preferences.store.append_only_file import append, locked, read
from preferences.store.provenance import Provenance
from preferences.store.rows import KINDS, StoreKind
from preferences.store.stores import Stores

ROOT = Path(__file__).parents[3]


def ids(found: Stores, kind: StoreKind = "dpo") -> list[str]:
    return [row.id for row in found.rows(kind)]


def test_rows_are_there_once_in_their_order_and_in_their_own_store(tmp_path: Path) -> None:
    found = stores(tmp_path)
    rows = [pair(0), pair(1, "preference"), reward(2), pair(3, "orpo"), pair(4)]
    added = found.add(rows)
    assert added.new == tuple(row.id for row in rows)
    again = found.add([pair(4, time="2027-01-01T00:00:00Z"), pair(5), pair(5)])
    assert (again.new, again.known) == ((pair(5).id,), (pair(4).id,))
    assert [found.rows(kind) for kind in KINDS] == [
        (pair(1, "preference"),),
        (reward(2),),
        (pair(0), pair(4), pair(5)),
        (pair(3, "orpo"),),
    ]
    assert Stores(found.folder).rows("dpo") == found.rows("dpo")


def test_an_append_leaves_what_was_there_as_it_was(tmp_path: Path) -> None:
    found = stores(tmp_path)
    found.add([pair(0), pair(1)])
    before = found.path("dpo").read_bytes()
    inode = found.path("dpo").stat().st_ino
    found.add([pair(1), pair(2)])
    assert found.path("dpo").read_bytes().startswith(before)
    assert found.path("dpo").stat().st_ino == inode


def test_a_last_line_cut_off_at_any_byte_costs_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    found = stores(tmp_path)
    found.add([pair(0), pair(1, category="größer ☃")])
    path = found.path("dpo")
    whole = path.read_bytes()
    start, last = whole.index(b"\n") + 1, len(whole) - 1
    for end in range(start, len(whole)):
        path.write_bytes(whole[:end])
        survives = [pair(0).id, *([pair(1).id] if end == last else [])]
        assert ids(found) == survives
        if end % 16 == 0 or end > last - 3:
            found.add([pair(2)])
            assert ids(found) == [*survives, pair(2).id]
            assert path.read_bytes().endswith(b"}\n")


def test_an_append_mends_a_line_cut_off_at_any_byte(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    append(path, [{"a": 1}, {"größer": "☃ }\\n", "b": {"c": [{}]}}])
    whole = path.read_bytes()
    start = whole.index(b"\n") + 1
    for end in range(start, len(whole) + 1):
        path.write_bytes(whole[:end])
        append(path, [{"z": 2}])
        rest = b"" if end < len(whole) - 1 else whole[start:]
        assert path.read_bytes() == whole[:start] + rest + b'{"z": 2}\n'
        assert [row for _, row in read(path)][-1] == {"z": 2}


def test_what_a_lost_page_leaves_behind_the_last_line_is_taken_away(tmp_path: Path) -> None:
    found = stores(tmp_path)
    found.add([pair(0)])
    with found.path("dpo").open("ab") as stream:
        stream.write(b"\0" * 500)
    assert ids(found) == [pair(0).id]
    found.add([pair(1)])
    assert b"\0" not in found.path("dpo").read_bytes()
    assert ids(found) == [pair(0).id, pair(1).id]


def test_a_damaged_line_that_is_not_the_last_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    found = stores(tmp_path)
    found.add([pair(0), pair(1)])
    path = found.path("dpo")
    lines = path.read_bytes().split(b"\n")
    for damage in (lines[0][:40], b"\xff" + lines[0], lines[0].replace(b"x * 0", b"x * 7")):
        damaged = b"\n".join([damage, *lines[1:]])
        path.write_bytes(damaged)
        with pytest.raises(BadInput, match=r"dpo\.jsonl, line 1"):
            found.add([pair(2)])
        assert path.read_bytes() == damaged


WRITER = """
import sys
from pathlib import Path
from some_rows import pair
from preferences.store.stores import Stores

folder, start, rows = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for number in range(start, start + rows):
    Stores(folder).add([pair(number)])
"""


def writer(folder: Path, start: int, rows: int) -> subprocess.Popen[str]:
    """A process that is ready to add rows and waits for a line."""
    command = [sys.executable, "-c", WRITER, str(folder), str(start), str(rows)]
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'helpers'}", "PATH": "/usr/bin:/bin"}
    pipe = subprocess.PIPE
    started = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)
    assert started.stdout
    assert started.stdout.readline() == "ready\n"
    return started


def test_two_processes_append_at_once_and_every_row_is_there_once(tmp_path: Path) -> None:
    found = stores(tmp_path)
    writers = [writer(found.folder, start, 20) for start in (0, 10)]
    for one in writers:
        assert one.stdin
        one.stdin.write("go\n")
        one.stdin.flush()
    for one in writers:
        one.communicate()
        assert one.returncode == 0
    assert sorted(ids(found)) == sorted(pair(number).id for number in range(30))
    assert len(found.path("dpo").read_bytes().splitlines()) == 30


def test_a_writer_waits_for_another(tmp_path: Path) -> None:
    found = stores(tmp_path)
    waits = writer(found.folder, 0, 1)
    assert waits.stdin
    with locked(found.folder):
        waits.stdin.write("go\n")
        waits.stdin.flush()
        with pytest.raises(subprocess.TimeoutExpired):
            waits.wait(timeout=0.5)
        assert ids(found) == []
    waits.communicate()
    assert ids(found) == [pair(0).id]


def test_a_killed_writer_holds_no_lock(tmp_path: Path) -> None:
    found = stores(tmp_path)
    script = (
        "import sys, os, signal; from pathlib import Path; from preferences.store.append_only_file import locked\n"
        "with locked(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, found.folder], env={"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == -9
    found.add([pair(0)])
    assert ids(found) == [pair(0).id]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (pair(prompt=f"{ASKED}."), "also, or holds, the probe prompt 'probe-1'"),
        (pair(prompt=f"Please: {HELD_OUT.upper()} Thank you"), "the holdout prompt 'holdout-1'"),
        (pair(prompt=ASKED.replace("numbers", "figures")), r"0\.\d+ similar to the probe prompt"),
        (reward(prompt=ASKED), "the probe prompt 'probe-1'"),
        (talk(prompt=turns(("system", ASKED), ("user", "Well?"))), "the probe prompt 'probe-1'"),
    ],
)
def test_a_row_that_asks_a_probe_or_holdout_prompt_is_refused_with_all_that_came_with_it(
    tmp_path: Path, row: Any, told: str
) -> None:
    found = stores(tmp_path)
    with pytest.raises(BadInput, match=told):
        found.add([pair(1), row])
    assert ids(found) == []


def test_a_text_that_a_row_calls_mechanical_is_no_chosen_side_of_another(tmp_path: Path) -> None:
    found = stores(tmp_path)
    broken = pair(1).texts[1]
    found.add([pair(1, "preference", provenance=Provenance((side(), side("mechanical"))))])
    for kind in ("preference", "dpo"):
        laundered = pair(2, kind, texts=(broken, "x"), prompt="# task 1\n")
        with pytest.raises(BadInput, match="mechanically made"):
            found.add([pair(3, kind), laundered])
        assert pair(3, kind).id not in {one.id for one in found.rows(kind)}


def test_nothing_is_added_before_the_prompts_of_a_study_are_known(tmp_path: Path) -> None:
    found = Stores(tmp_path / "rl_data")
    with pytest.raises(BadInput, match="name the study with --study STUDY"):
        found.add([pair()])
    assert found.reserve(prompts()) == 2
    assert found.reserve(prompts()) == 0
    found.add([pair(prompt="Double every item.")])
    assert [prompt.id for prompt in found.reserved_prompts()] == ["probe-1", "holdout-1"]


def test_a_store_has_one_form_plain_or_conversational(tmp_path: Path) -> None:
    found = stores(tmp_path)
    found.add([pair(0), talk(1, "preference")])
    for row in (talk(2), pair(3, "preference")):
        with pytest.raises(BadInput, match="since TRL trains on one form at a time"):
            found.add([reward(1), row])
    assert ids(found, "reward") == []
    with pytest.raises(BadInput, match=r"orpo\.jsonl holds plain texts"):
        found.add([pair(1, "orpo"), talk(2, "orpo")])


@pytest.mark.parametrize("name", ["votes", "withdrawals", "reviews", "reserved"])
def test_an_entry_that_is_none_is_named(tmp_path: Path, name: str) -> None:
    found = stores(tmp_path)
    found.add([pair()])
    with locked(found.folder):
        append(found.folder / f"{name}.jsonl", [{"odd": 1}, {"odd": 2}])
    with pytest.raises(BadInput, match=f"{name}.jsonl"):
        _ = found.reserved() if name == "reserved" else found.read("dpo")


def test_an_id_may_be_cut_short_where_it_names_one_row(tmp_path: Path) -> None:
    found = stores(tmp_path)
    found.add([pair(number) for number in range(40)])
    row = pair(7)
    assert found.find(row.id).row == found.find(row.id[:8]).row == row
    with pytest.raises(BadInput, match="there is no row 'zzzz'"):
        found.find("zzzz")
    with pytest.raises(BadInput, match="there is no row"):
        found.find(row.id[:1])


def test_no_stores_are_no_rows_and_reading_makes_no_folder(tmp_path: Path) -> None:
    found = Stores(tmp_path / "runs" / "rl_data")
    assert all(found.read(kind) == () for kind in KINDS)
    assert not found.reviewed("dpo")
    assert not found.folder.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_datasets_loads_a_store_as_it_lies_there(
    tmp_path: Path, kind: StoreKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    found = stores(tmp_path)
    rows = [reward(n) for n in range(3)] if kind == "reward" else [pair(n, kind) for n in range(3)]
    if kind == "preference":
        rows = [talk(n, kind, scores=(None, 1.0) if n else (None, None)) for n in range(3)]
    found.add(rows)
    loaded = load_dataset("json", data_files=str(found.path(kind)), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(loaded) == 3
    assert [row["id"] for row in loaded] == [row.id for row in rows]
    first = loaded[1]
    if kind == "reward":
        assert (first["prompt"], first["completion"], first["score"]) == ("# task 1\n", "return 1\n", 1.0)
        assert first["provenance"]["completion"]["figures"][0] == {"name": "brief", "value": 1.0}
    elif kind == "preference":
        assert first["prompt"] == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Question 1?"},
        ]
        assert first["chosen"] == [{"role": "assistant", "content": "Yes, 1."}]
        assert (first["chosen_score"], first["rejected_score"]) == (None, 1.0)
    else:
        assert (first["chosen"], first["rejected"]) == rows[1].texts
        assert first["provenance"]["chosen"]["recipe"] == "kept"
        assert str(first["time"]).startswith("2026-11-21")


def test_rows_that_are_there_are_not_read_again_unless_somebody_else_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = stores(tmp_path)
    found.add([pair(1), reward(1)])
    rows = Stores.rows

    def unread(_: Stores, kind: str) -> Any:
        raise AssertionError(f"{kind} is read again")

    with monkeypatch.context() as still:
        still.setattr(Stores, "rows", unread)
        assert found.add([pair(1), pair(2), reward(2)]).known == (pair(1).id,)
    Stores(found.folder).add([pair(3)])
    asked: list[str] = []

    def noting(self: Stores, kind: Any) -> Any:
        asked.append(kind)
        return rows(self, kind)

    monkeypatch.setattr(Stores, "rows", noting)
    assert found.add([pair(3), pair(4)]).known == (pair(3).id,)
    assert asked == ["dpo"]
    assert [row.id for row in rows(found, "dpo")] == [pair(n).id for n in (1, 2, 3, 4)]
