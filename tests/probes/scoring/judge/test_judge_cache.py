import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from common.errors import MissingRequirement
from probes.scoring.judge.requests.cache import JudgeCache, cache_key
from probes.scoring.protocol import ScorerBroken

ROOT = Path(__file__).parents[4]
WRITER = """
import sys
from pathlib import Path
from probes.scoring.judge.requests.cache import JudgeCache, cache_key
cache, name = JudgeCache(Path(sys.argv[1])), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[3])):
    kept = cache.put(cache_key(number), {"by": name, "text": "x" * 500})
    print(number, kept["by"], flush=True)
"""


def writer(folder: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(folder), name, str(count)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_what_is_put_is_had_again_also_by_another_opening(tmp_path: Path) -> None:
    cache = JudgeCache(tmp_path / "new" / "cache")
    key = cache_key("model", ["a"], 0)
    assert cache.get(key) is None
    assert cache.put(key, {"voice": 1.5}) == {"voice": 1.5} == cache.get(key)
    cache.close()
    again = JudgeCache(tmp_path / "new" / "cache")
    assert again.get(key) == {"voice": 1.5}
    assert len(again) == 1
    again.close()


def test_a_key_names_all_that_was_asked() -> None:
    keys = [
        cache_key("m", "a", 0),
        cache_key("m", "a", 1),
        cache_key("m", "a0"),
        cache_key("ma", 0),
        cache_key("\ud800"),
    ]
    assert len(set(keys)) == len(keys)
    assert cache_key("m", "a", 0) == keys[0]


def test_the_first_judgement_of_an_answer_stands_unless_it_is_of_no_use(tmp_path: Path) -> None:
    cache = JudgeCache(tmp_path)
    key = cache_key(1)
    cache.put(key, {"a": 1})
    assert cache.put(key, {"a": 2}) == {"a": 1}
    assert cache.put(key, {"a": 3}, lambda kept: kept["a"] > 1) == {"a": 3} == cache.get(key)
    cache.close()


def test_the_folder_keeps_itself_out_of_git(tmp_path: Path) -> None:
    JudgeCache(tmp_path / "cache").close()
    assert (tmp_path / "cache" / ".gitignore").read_text(encoding="utf-8") == "*\n"


def test_threads_share_it(tmp_path: Path) -> None:
    cache = JudgeCache(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: cache.put(cache_key(number % 50), {"n": number % 50}), range(400)))
    assert [cache.get(cache_key(number)) for number in range(50)] == [{"n": number} for number in range(50)]
    cache.close()


@pytest.mark.long
def test_processes_that_open_and_write_at_once_agree_on_every_judgement(tmp_path: Path) -> None:
    writers = [writer(tmp_path, name, 40) for name in "abcd"]
    for process in writers:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    said = []
    for process in writers:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in writers:
        said.append(process.communicate()[0])
        assert process.returncode == 0
    assert len(set(said)) == 1
    cache = JudgeCache(tmp_path)
    assert len(cache) == 40
    cache.close()


def test_after_kill_9_all_that_was_acknowledged_is_there(tmp_path: Path) -> None:
    process = writer(tmp_path, "a", 1_000_000)
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        process.stdout.readline()
        acknowledged = [process.stdout.readline() for _ in range(100)]
        os.kill(process.pid, signal.SIGKILL)
    assert acknowledged[-1] == "99 a\n"
    cache = JudgeCache(tmp_path)
    assert all(cache.get(cache_key(number)) == {"by": "a", "text": "x" * 500} for number in range(100))
    assert cache.put(cache_key("more"), {"b": 1}) == {"b": 1}
    cache.close()


@pytest.mark.parametrize("text", ["no json", "[1]", "{", "7"])
def test_a_row_that_is_no_judgement_is_none(tmp_path: Path, text: str) -> None:
    cache = JudgeCache(tmp_path)
    with sqlite3.connect(cache.path) as database:
        database.execute("INSERT INTO judgements VALUES (?, ?)", (cache_key(1), text))
    database.close()
    assert cache.get(cache_key(1)) is None
    assert cache.put(cache_key(1), {"a": 1}) == {"a": 1} == cache.get(cache_key(1))
    cache.close()


def test_a_judgement_that_changed_on_the_disk_is_none_and_is_asked_for_again(tmp_path: Path) -> None:
    cache = JudgeCache(tmp_path)
    cache.put(cache_key(1), {"overall": 7})
    with sqlite3.connect(cache.path) as database:
        database.execute("UPDATE judgements SET judgement = replace(judgement, '7', '5')")
    database.close()
    assert cache.get(cache_key(1)) is None
    assert cache.put(cache_key(1), {"overall": 7}) == {"overall": 7} == cache.get(cache_key(1))
    cache.close()


def test_a_cache_from_before_there_were_checksums_keeps_what_it_has(tmp_path: Path) -> None:
    cache = JudgeCache(tmp_path)
    cache.put(cache_key(1), {"overall": 7})
    cache.close()
    with sqlite3.connect(cache.path) as database:
        database.execute("DROP TABLE row_digests")
    database.close()
    again = JudgeCache(tmp_path)
    assert again.get(cache_key(1)) == {"overall": 7}
    again.close()


def test_a_file_that_is_no_database_and_a_folder_that_is_a_file_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "judgements.sqlite").write_text("no database at all, but long enough for a header" * 10)
    with pytest.raises(MissingRequirement, match="move it away if it is damaged"):
        JudgeCache(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(MissingRequirement, match=r"name a writable folder with cache under \[scorer\]"):
        JudgeCache(tmp_path / "file")


def test_a_full_disk_is_told_as_one_and_any_other_failure_as_the_scorers(tmp_path: Path) -> None:
    cache = JudgeCache(tmp_path)
    cache._database.execute("PRAGMA max_page_count = 4")
    with pytest.raises(OSError, match="No space left on device"):
        cache.put(cache_key(1), {"text": "x" * 100_000})
    cache._database.execute("DROP TABLE judgements")
    with pytest.raises(ScorerBroken, match=r"the judge's cache .* no such table"):
        cache.get(cache_key(1))
    cache.close()


def test_a_question_that_a_killed_process_was_asking_is_asked_at_once(tmp_path: Path) -> None:
    program = "from pathlib import Path; from probes.scoring.judge.requests.cache import JudgeCache; import os; "
    program += f"assert JudgeCache(Path({str(tmp_path)!r})).claim(b'key', 600.0); os._exit(9)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 9
    cache = JudgeCache(tmp_path)
    assert cache.claim(b"key", 600.0)
    assert not cache.claim(b"key", 600.0)
