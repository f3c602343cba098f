"""kill -9 at random moments, then resume: no decision lost, none doubled, the session goes on."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pandas
import pytest
from commands import LONGEST, ROOT, Command, command, nightlane

from testing import simulated_study
from view.data.results import read_results

pytestmark = pytest.mark.slow
COLUMNS = ["status", "lane", "knob", "before", "after", "target", "delta", "ci_low", "ci_high", "reason"]
KILLS = 6
"""A few from outside; nightlane bench faults has thousands at system calls."""


def finish(process: Command) -> tuple[int | None, str]:
    _, errors = process.communicate()
    assert "Traceback" not in errors, errors
    return process.returncode, errors


def rows_of(workspace: Path, query: str) -> list[tuple[Any, ...]]:
    """What a query of the ledger finds; nothing while a session is still making the ledger."""
    try:
        with closing(sqlite3.connect(f"file:{workspace / 'runs' / 'ledger.sqlite'}?mode=ro", uri=True)) as db:
            return db.execute(query).fetchall()
    except sqlite3.OperationalError:
        return []


def decisions(workspace: Path) -> list[tuple[Any, ...]]:
    return rows_of(workspace, "SELECT id, status, reason, incumbent, row FROM decisions ORDER BY rowid")


def has_ended(workspace: Path) -> bool:
    return bool(rows_of(workspace, "SELECT id FROM sessions WHERE finished IS NOT NULL"))


def has_begun(workspace: Path) -> bool:
    """A session that was killed before it was in the ledger is begun again, not resumed."""
    return bool(rows_of(workspace, "SELECT id FROM sessions"))


def table(workspace: Path) -> pandas.DataFrame:
    return read_results(workspace / "results.tsv")


@pytest.mark.long
def test_a_session_killed_at_random_moments_ends_as_one_that_was_not(tmp_path: Path) -> None:
    text = simulated_study.STUDY.replace("decisions = 8", "probes = 44").replace(
        'kind = "simulated"', 'kind = "simulated"\nsimulated_seconds = 0.05'
    )
    text = text.replace("beta = true", "beta = true\nweight_decay = true\nlora_dropout = true\nlora_rank = true")
    text = text.replace("holdout_seeds = 0", "holdout_seeds = 0\nconfirming_seeds = 6")
    path = str(simulated_study.write_study(tmp_path / "study", text))
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    words = command("run", path, "--workspace", whole)  # in a new interpreter, whose hashes have another seed
    subprocess.run(words, cwd=ROOT, capture_output=True, timeout=LONGEST, check=True)
    chance, kills, seen = random.Random(5), 0, list[Any]()
    process = Command("run", path, "--workspace", str(cut))
    while kills < KILLS:
        patience = chance.uniform(0.2, 1.4) if kills % 2 else chance.uniform(0.0, 0.3)
        if kills % 2 == 0:  # wait until it decides something, then strike within the next decision
            end, before = time.monotonic() + 20, len(decisions(cut))
            while len(decisions(cut)) == before and process.poll() is None and time.monotonic() < end:
                time.sleep(0.005)
        time.sleep(patience)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += 1
        now = decisions(cut)
        assert now[: len(seen)] == seen, "what was decided stays as it was decided"
        seen = now
        process = Command(*(("resume",) if has_begun(cut) else ("run", path)), "--workspace", str(cut))
    code, errors = finish(process)
    assert code == 0 or (has_ended(cut) and "begin a new one" in errors), errors  # the last kill may come after its end
    assert kills == KILLS
    assert decisions(cut)[: len(seen)] == seen
    one, other = table(whole)[COLUMNS], table(cut)[COLUMNS]
    pandas.testing.assert_frame_equal(one, other)
    assert len(set(table(cut)["id"])) == len(other)
    log = (cut / "runs" / "progress.log").read_text(encoding="utf-8").splitlines()
    decided = [line for line in log if line.split(" ")[2] in ("KEEP", "DISCARD", "CRASH", "BASELINE")]
    assert len(decided) == len(other)


@pytest.mark.long
def test_a_real_session_survives_the_death_of_any_of_its_processes(tiny_folder: Path, tmp_path: Path) -> None:
    text = simulated_study.STUDY.replace('path = "none"', f'path = "{tiny_folder / "model"}"')
    text = text.replace('kind = "simulated"', 'kind = "resident"\nworkers = 2\nengine = "packed"').replace(
        "decisions = 8", "decisions = 4\nprobes = 20"
    )  # a worker has a list of probes, of which some are scored while others are trained
    text = text.replace("steps = 20", "steps = 12\nmax_new_tokens = 8").replace(
        "seeds = [42, 123, 7]", "seeds = [42, 7]"
    )
    text = text.replace("effective_batch = 4", "effective_batch = 4\nlora_rank = 4\nmax_length = 128")
    text = text.replace("holdout_seeds = 0", "holdout_seeds = 0\nconfirming_seeds = 2")
    path = str(simulated_study.write_study(tmp_path / "study", text))
    process = Command("run", path, "--workspace", str(tmp_path))
    chance, seen = random.Random(1), list[Any]()
    for victim in ("worker", "main", "worker", "sandbox", "main"):
        before, end = len(decisions(tmp_path)), time.monotonic() + 90
        while len(decisions(tmp_path)) == before and time.monotonic() < end and process.poll() is None:
            time.sleep(0.05)
        time.sleep(chance.uniform(0.0, 0.8))
        if process.poll() is not None:
            break
        os.kill(pid_of(victim, process.pid, tmp_path / "runs"), signal.SIGKILL)
        if victim == "main":
            process.communicate()
            now = decisions(tmp_path)
            assert now[: len(seen)] == seen
            seen = now
            process = Command("resume", "--workspace", str(tmp_path))
    code, errors = finish(process)
    assert code in (0, 2), errors  # 2: everything was decided before the last resume
    rows = table(tmp_path)
    assert len(rows) == len(set(rows["id"])) == 5
    assert "CRASH" not in set(rows["status"])


def pid_of(victim: str, main: int, runs: Path) -> int:
    """The session's own process, a worker of it, or a worker's sandbox; where that is not there now, what has it."""
    worker = next(iter(workers(runs)), main)
    return {"main": main, "worker": worker, "sandbox": next(iter(children(worker)), worker)}[victim]


def workers(runs: Path) -> list[int]:
    """The processes that write a worker's log, without those that they started."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (folder / "fd" / "1").readlink().match(f"{runs}/worker-*.log"):
                found.add(int(folder.name))
    return sorted(found.difference(*map(children, found)))


def children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()]
    except OSError:
        return []


@pytest.mark.long
def test_a_session_can_be_interrupted_from_the_keyboard_and_says_how_to_go_on(tmp_path: Path) -> None:
    text = simulated_study.STUDY.replace('kind = "simulated"', 'kind = "simulated"\nsimulated_seconds = 0.3')
    text = text.replace("decisions = 8", "decisions = 8\nprobes = 24")
    path = str(simulated_study.write_study(tmp_path / "study", text))
    for number in (signal.SIGINT, signal.SIGTERM):
        command = ("run", path) if number == signal.SIGINT else ("resume",)
        process = Command(*command, "--workspace", str(tmp_path))
        before, end = len(decisions(tmp_path)), time.monotonic() + 30
        while len(decisions(tmp_path)) == before and time.monotonic() < end:
            time.sleep(0.01)
        process.send_signal(number)
        code, errors = finish(process)
        assert code == 130
        assert f"continue with: nightlane resume --workspace {tmp_path}" in errors
    code, errors = finish(Command("resume", "--workspace", str(tmp_path)))
    assert code == 0, errors
    assert len(table(tmp_path)) == 9
    status = nightlane("status", "--json", "--workspace", tmp_path)
    assert json.loads(status.stdout)["session"]
